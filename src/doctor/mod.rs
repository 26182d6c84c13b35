//! The doctor: looks at everything that Kirosu stands on, and says what to do about what is wrong.
//!
//! # Theory of operation
//!
//! A look never costs money and changes nothing: providers are asked for their version, and for a login only the signs
//! are looked at that it leaves behind; of a store that a hub has only the outside is seen. With `fix`, what is safe is
//! put right at the place where it is found, and told: a missing folder is made, permissions are taken from others, a
//! socket that nobody listens at is removed. Each file here is one area; each gives [`Finding`]s, in the order in which a
//! person should read them.

mod files;
mod finding;
mod hub;
mod login;
mod pools;
mod providers;
mod repositories;
mod secrets;
mod settings;
mod store;
mod system;
mod systemd;

pub use finding::{Finding, Level};
pub use system::too_few_files;

use kirosu_config::{Faults, Loaded};
use kirosu_protocol::client::Endpoint;
use kirosu_providers::{Containment, RunnerCommand, runner};

/// What is looked at.
pub struct Patient {
    /// The settings to serve with, or what is wrong with them.
    pub settings: Result<Loaded, Faults>,
    /// The settings without the file, to look at the machine with where the others cannot be used.
    pub usual: Option<Loaded>,
    /// Where the hub should be; none where the settings cannot say it.
    pub hub: Option<Endpoint>,
}

/// How it is looked.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// Put right what is safe.
    pub fix: bool,
    /// Only this provider.
    pub provider: Option<String>,
}

/// Looks.
///
/// # Errors
/// The orders name a provider that there is not; the sentence says which there are.
pub async fn look(patient: &Patient, orders: &Orders) -> Result<Vec<Finding>, String> {
    let containment = Containment::new(
        RunnerCommand::this_executable(runner::VERB),
        format!("doctor {}", std::process::id()),
    );
    let good = patient.settings.as_ref().ok();
    let Some(loaded) = good.or(patient.usual.as_ref()) else {
        return Ok(settings::findings(&patient.settings));
    };
    let of_providers = providers::findings(loaded, orders, good.is_some(), &containment).await?;
    if orders.provider.is_some() {
        return Ok(of_providers);
    }
    let mut findings = settings::findings(&patient.settings);
    findings.extend(of_providers);
    if let Some(loaded) = good {
        findings.extend(pools::findings(&loaded.settings, &containment).await);
        findings.extend(hub::findings(loaded, patient.hub.as_ref()).await);
        findings.extend(store::findings(&loaded.settings).await);
        findings.extend(files::findings(&loaded.settings, orders.fix));
        findings.extend(repositories::findings(&loaded.settings, &containment).await);
    }
    findings.extend(systemd::findings(&containment).await);
    findings.extend(system::findings(&loaded.settings, good.is_some()));
    Ok(findings)
}
