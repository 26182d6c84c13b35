//! Providers: first those that pools use, in full; then the others, with one line each.

use super::{DoctorOptions, Finding, login};
use crate::options;
use futures_util::future::join_all;
use kirosu_config::{Loaded, PoolSection, ProviderKind, ProviderSection, Settings};
use kirosu_protocol::redact::hide_in_command;
use kirosu_providers::{Containment, ProbeReport, TrustLevel};
use std::collections::{BTreeMap, BTreeSet};

const USED: &str = "Providers in use";
const OTHERS: &str = "Other providers";

/// Checks the providers. `certain` means that these are the user's settings, so that missing programs are problems.
///
/// # Errors
/// The options name an unknown provider.
pub(super) async fn findings(
    loaded: &Loaded,
    doctor_options: &DoctorOptions,
    certain: bool,
    containment: &Containment,
) -> Result<Vec<Finding>, String> {
    let settings = &loaded.settings;
    let used = used(settings);
    if let Some(name) = &doctor_options.provider {
        let Some(provider) = settings.providers.get(name) else {
            let names: Vec<&str> = settings.providers.keys().map(String::as_str).collect();
            return Err(format!(
                "there is no provider {name}; there are {}",
                names.join(", ")
            ));
        };
        let check = ProviderCheck::new(settings, name, provider, true);
        return Ok(vec![check.finding(containment).await]);
    }
    let (mut first, mut others): (Vec<ProviderCheck<'_>>, Vec<ProviderCheck<'_>>) = settings
        .providers
        .iter()
        .map(|(name, provider)| {
            let is_needed = certain && used.contains(name.as_str());
            ProviderCheck::new(settings, name, provider, is_needed)
        })
        .partition(|check| check.is_needed);
    first.append(&mut others);
    Ok(join_all(first.iter().map(|check| check.finding(containment))).await)
}

/// The providers of pools, and those among which a pool's router chooses.
fn used(settings: &Settings) -> BTreeSet<&str> {
    let mut used = BTreeSet::new();
    let mut open: Vec<&str> = settings
        .pools
        .iter()
        .map(|it| it.provider.as_str())
        .collect();
    while let Some(name) = open.pop() {
        if used.insert(name) {
            let members = settings
                .providers
                .get(name)
                .and_then(|it| it.providers.as_ref());
            open.extend(members.into_iter().flatten().map(String::as_str));
        }
    }
    used
}

/// The check of one provider.
struct ProviderCheck<'a> {
    settings: &'a Settings,
    name: &'a str,
    provider: &'a ProviderSection,
    is_needed: bool,
    pools: Vec<&'a PoolSection>,
}

impl<'a> ProviderCheck<'a> {
    fn new(
        settings: &'a Settings,
        name: &'a str,
        provider: &'a ProviderSection,
        is_needed: bool,
    ) -> Self {
        let pools = settings.pools.iter().filter(|pool| pool.provider == name);
        Self {
            settings,
            name,
            provider,
            is_needed,
            pools: pools.collect(),
        }
    }

    /// Whether the check would contact a service.
    fn is_service(&self) -> bool {
        matches!(
            self.provider.kind,
            ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Router
        )
    }

    async fn finding(&self, containment: &Containment) -> Finding {
        let area = if self.is_needed { USED } else { OTHERS };
        if self.is_service() && !self.is_needed {
            let about = format!("not checked; `kirosu doctor --provider {}` does", self.name);
            return Finding::ok(area, self.name, about);
        }
        let options = options::routed(self.settings, self.name, self.provider);
        let probe = match kirosu_providers::build(&options, containment) {
            Ok(provider) if self.is_needed => provider.check().await,
            Ok(provider) => provider.probe().await,
            Err(why) => {
                return Finding::problem(area, self.name, why.to_string())
                    .advise("correct its definition under [providers]");
            }
        };
        let definition = options.definition().ok();
        let install = definition.as_ref().and_then(|it| it.install.clone());
        let finding = match (&probe.problem, self.is_needed) {
            (None, _) => self.found(area, &probe, &options),
            // No pool needs the others, so a missing program is not a fault.
            (Some(_), false) => {
                let how = install.as_deref().unwrap_or("its program is not in PATH");
                return Finding::ok(area, self.name, format!("not installed: {how}"));
            }
            (Some(problem), true) => Finding::problem(area, self.name, problem),
        };
        let finding = match (install, probe.found) {
            (Some(line), false) => finding.advise(format!("install it: {line}")),
            _ => finding,
        };
        self.details(finding, &probe, &options)
    }

    fn found(
        &self,
        area: &'static str,
        probe: &ProbeReport,
        options: &kirosu_providers::ProviderOptions,
    ) -> Finding {
        let version = probe
            .version
            .clone()
            .unwrap_or_else(|| "installed".to_owned());
        let program = matches!(
            self.provider.kind,
            ProviderKind::Command | ProviderKind::Acp
        );
        let definition = options.definition().ok().filter(|_| program);
        let Some(definition) = definition.filter(|_| self.provider.preset.is_some()) else {
            return Finding::ok(area, self.name, version);
        };
        if let Some(oldest) = definition.oldest.as_ref()
            && definition.is_too_old(&version)
        {
            let message =
                format!("{version}; the oldest version that is known to work is {oldest}");
            let finding = Finding::note(area, self.name, message);
            return match &definition.install {
                Some(line) => finding.advise(format!("update it: {line}")),
                None => finding,
            };
        }
        let (words, sign) = login::words(&definition, &options.env, &self.pools);
        let message = format!("{version}; {words}");
        match sign {
            Some(false) if self.is_needed => {
                let finding = Finding::note(area, self.name, message);
                match &definition.install {
                    Some(line) => finding.advise(format!(
                        "log in, unless the login is stored elsewhere: {line}"
                    )),
                    None => finding,
                }
            }
            _ => Finding::ok(area, self.name, message),
        }
    }

    fn details(
        &self,
        mut finding: Finding,
        probe: &ProbeReport,
        options: &kirosu_providers::ProviderOptions,
    ) -> Finding {
        if !self.is_needed {
            return finding;
        }
        let definition = options.definition().ok();
        let known: Vec<&str> = options
            .env
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        let plain = definition.filter(|_| {
            matches!(
                self.provider.kind,
                ProviderKind::Command | ProviderKind::Acp
            )
        });
        match (plain, self.pools.is_empty()) {
            (Some(definition), false) => {
                for pool in &self.pools {
                    let own = || options::model_of(self.name, self.provider, &pool.env);
                    let model = pool.model.clone().or_else(own);
                    let call = definition.call(trust(pool), model.as_deref());
                    let call = call.map(|argv| hide_in_command(&argv, &known).join(" "));
                    let call = call.unwrap_or_else(|why| why);
                    finding = finding.detail("runs", format!("{call}  (pool {})", pool.name));
                }
            }
            (Some(definition), true) => {
                let model = options::model_of(self.name, self.provider, &BTreeMap::new());
                let call = definition.call(TrustLevel::Safe, model.as_deref());
                let call = call.map(|argv| hide_in_command(&argv, &known).join(" "));
                finding = finding.detail("runs", call.unwrap_or_else(|why| why));
            }
            (None, _) => finding = finding.detail("runs", &probe.command),
        }
        finding
    }
}

fn trust(pool: &PoolSection) -> TrustLevel {
    match (pool.trust_all_tools, pool.trust) {
        (true, _) => TrustLevel::All,
        (false, Some(TrustLevel::Edit)) => TrustLevel::Edit,
        _ => TrustLevel::Safe,
    }
}
