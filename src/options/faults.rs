//! Faults in the parts of the settings that only other crates can read.

use super::notify;
use super::policy::{permissions, prices};
use super::providers::provider_options;
use kirosu_config::{ConfigFault, Loaded};

/// The faults of provider definitions, addresses of webhooks, permission rules and prices.
pub fn definition_faults(loaded: &Loaded) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    let mut add = |prefix: &str, key: &str, origin: &str, message: &str| {
        faults.push(ConfigFault {
            key: format!("{prefix}.{key}"),
            origin: loaded.origins.get(origin).cloned(),
            message: message.to_owned(),
        });
    };
    for (name, provider) in &loaded.settings.providers {
        let prefix = format!("providers.{name}");
        for fault in provider_options(name, provider).faults() {
            let (key, message) = fault.split_once(": ").unwrap_or(("command", &fault));
            // Only the key itself has an origin, not the parts of its value.
            let top = key.split(['.', '[']).next().unwrap_or(key);
            add(&prefix, key, &format!("{prefix}.{top}"), message);
        }
    }
    for (target, message) in notify::faults(&loaded.settings) {
        let prefix = format!("notify.{target}");
        add(&prefix, "url", &format!("{prefix}.url"), &message);
    }
    for fault in permissions(&loaded.settings).err().into_iter().flatten() {
        let (key, message) = fault.split_once(": ").unwrap_or(("rule", &fault));
        add("approval", key, "approval.rule", message);
    }
    for fault in prices(&loaded.settings).err().into_iter().flatten() {
        let (key, message) = fault.split_once(": ").unwrap_or(("", &fault));
        add("prices", key, "prices", message);
    }
    faults
}
