//! Metrics of the provider accounts.

use super::families::Families;
use kirosu_protocol::{LaneInfo, PoolInfo};
use std::collections::BTreeMap;

/// Reads one value of an account.
type Value = fn(&LaneInfo) -> u32;

const GAUGES: [(&str, &str, Value); 3] = [
    (
        "kirosu_account_parked",
        "Whether a provider account is parked: rate limited, without a login, missing or not to be reached.",
        |account| u32::from(!matches!(&*account.state, "open" | "probing")),
    ),
    (
        "kirosu_account_running",
        "Runs under way on a provider account.",
        |account| account.running,
    ),
    (
        "kirosu_account_waiting",
        "Sessions and runs that wait for a provider account.",
        |account| account.waiting,
    ),
];

/// The metrics of the accounts of all pools, each account once. The settings bound their number.
pub(super) fn accounts(families: &mut Families, pools: &[PoolInfo]) {
    let all = pools.iter().flat_map(|pool| &pool.lanes);
    let accounts: BTreeMap<&str, &LaneInfo> = all.map(|lane| (&*lane.account, lane)).collect();
    for (name, help, value) in GAUGES {
        let mut gauge = families.gauge(name, help);
        for (name, account) in &accounts {
            gauge.add(&[("account", name)], f64::from(value(account)));
        }
    }
}
