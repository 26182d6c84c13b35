//! Prices of models, and the rules for permission requests.

use kirosu_config::Settings;
use kirosu_swarm::{PermissionPolicy, PermissionRule, Prices};

/// Prices of models.
///
/// # Errors
/// Every fault, as `MODEL.KEY: sentence`.
pub(super) fn prices(settings: &Settings) -> Result<Prices, Vec<String>> {
    let table = settings.prices.as_ref().map(Prices::read);
    table.unwrap_or_else(|| Ok(Prices::default()))
}

/// Rules for permission requests.
///
/// # Errors
/// Every pattern that cannot be compiled, as `rule[N].KEY: sentence`.
pub(super) fn permissions(settings: &Settings) -> Result<PermissionPolicy, Vec<String>> {
    let (mut rules, mut faults) = (Vec::new(), Vec::new());
    for (index, rule) in settings.approval.rule.iter().enumerate() {
        match PermissionRule::new(rule.clone()) {
            Ok(rule) => rules.push(rule),
            Err(fault) => faults.push(format!("rule[{index}].{fault}")),
        }
    }
    match faults.is_empty() {
        true => Ok(PermissionPolicy::new(settings.approval.wait, rules)),
        false => Err(faults),
    }
}
