//! The doctor: checks everything that Kirosu needs, and prints what to do about faults.
//!
//! # Theory of operation
//!
//! A check costs no money and changes nothing: agent programs only print their version, a login is judged by the files
//! and variables it leaves, and the store of a running hub is not opened. With `fix`, each area fixes what is safe and
//! reports it: it creates a missing folder, removes permissions of others, removes a socket on which no hub listens.
//! Each file here is one area. It returns [`Finding`]s in the order in which a person should read them.

mod bounds;
mod files;
mod finding;
mod hub;
mod login;
mod notify;
mod pools;
mod providers;
mod repositories;
mod settings;
mod store;
mod system;
mod systemd;

pub use finding::{Finding, Level};
pub use system::too_few_files;

use kirosu_config::{ConfigFaults, Loaded};
use kirosu_protocol::client::Endpoint;
use kirosu_providers::runner;
use kirosu_providers::{Containment, RunnerCommand};

/// The input of the checks.
pub struct DoctorInput {
    /// The settings, or their faults.
    pub settings: Result<Loaded, ConfigFaults>,
    /// The settings without the file, to check the machine if the others have faults.
    pub defaults: Option<Loaded>,
    /// Address of the hub; `None` if the settings do not name it.
    pub hub: Option<Endpoint>,
}

/// Options of the checks.
#[derive(Debug, Clone, Default)]
pub struct DoctorOptions {
    /// Whether to fix what is safe.
    pub fix: bool,
    /// Checks only this provider.
    pub provider: Option<String>,
}

/// Runs the checks.
///
/// # Errors
/// `options` name an unknown provider; the message lists the known ones.
pub async fn examine(input: &DoctorInput, options: &DoctorOptions) -> Result<Vec<Finding>, String> {
    let containment = Containment::new(
        RunnerCommand::this_executable(runner::VERB),
        format!("doctor {}", std::process::id()),
    );
    let good = input.settings.as_ref().ok();
    let Some(loaded) = good.or(input.defaults.as_ref()) else {
        return Ok(settings::findings(&input.settings));
    };
    let found = providers::findings(loaded, options, good.is_some(), &containment).await;
    let mut of_providers = found?;
    of_providers.iter_mut().for_each(Finding::hide_secrets);
    if options.provider.is_some() {
        return Ok(of_providers);
    }
    let mut findings = settings::findings(&input.settings);
    findings.extend(of_providers);
    if let Some(loaded) = good {
        findings.extend(pools::findings(&loaded.settings, &containment).await);
        findings.extend(bounds::findings(&loaded.settings));
        findings.extend(notify::findings(&loaded.settings).await);
        findings.extend(hub::findings(loaded, input.hub.as_ref()).await);
        findings.extend(store::findings(&loaded.settings).await);
        findings.extend(files::findings(&loaded.settings, options.fix));
        findings.extend(repositories::findings(&loaded.settings, &containment).await);
    }
    findings.extend(systemd::findings(&containment).await);
    findings.extend(system::findings(&loaded.settings, good.is_some()));
    findings.iter_mut().for_each(Finding::hide_secrets);
    Ok(findings)
}
