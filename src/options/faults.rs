//! Faults of settings whose keys `config` knows, and whose content only other rooms do.

use super::policy::{approval, prices};
use super::providers::provider_options;
use kirosu_config::{Fault, Loaded};

/// What is wrong with definitions of providers, approval rules and prices.
pub fn definition_faults(loaded: &Loaded) -> Vec<Fault> {
    let mut faults = Vec::new();
    let providers = loaded.settings.providers.iter();
    for (name, provider) in providers {
        for fault in provider_options(name, provider).faults() {
            let (key, message) = fault.split_once(": ").unwrap_or(("command", &fault));
            // What lies below a key of the settings came from where that key was written.
            let top = key.split(['.', '[']).next().unwrap_or(key);
            let origin = loaded.origins.get(&format!("providers.{name}.{top}"));
            faults.push(Fault {
                key: format!("providers.{name}.{key}"),
                origin: origin.cloned(),
                message: message.to_owned(),
            });
        }
    }
    for fault in approval(&loaded.settings).err().into_iter().flatten() {
        let (key, message) = fault.split_once(": ").unwrap_or(("rule", &fault));
        faults.push(Fault {
            key: format!("approval.{key}"),
            origin: loaded.origins.get("approval.rule").cloned(),
            message: message.to_owned(),
        });
    }
    for fault in prices(&loaded.settings).err().into_iter().flatten() {
        let (key, message) = fault.split_once(": ").unwrap_or(("", &fault));
        faults.push(Fault {
            key: format!("prices.{key}"),
            origin: loaded.origins.get("prices").cloned(),
            message: message.to_owned(),
        });
    }
    faults
}
