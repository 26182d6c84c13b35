//! The provider accounts of the pools beside the hub.

use super::families::Families;
use kirosu_protocol::verbs::pools::{LaneInfo, PoolInfo};
use std::collections::BTreeMap;

/// The accounts of all pools, each once; as many as the settings name.
pub(super) fn accounts(families: &mut Families, pools: &[PoolInfo]) {
    let all = pools.iter().flat_map(|pool| &pool.lanes);
    let lanes: BTreeMap<&str, &LaneInfo> = all.map(|lane| (&*lane.account, lane)).collect();
    let mut parked = families.gauge(
        "kirosu_account_parked",
        "Whether a provider account is parked: rate limited, without a login, missing or not to be reached.",
    );
    for (account, lane) in &lanes {
        let is_parked = !matches!(&*lane.state, "open" | "probing");
        parked.add(&[("account", account)], f64::from(u8::from(is_parked)));
    }
    let mut running = families.gauge(
        "kirosu_account_running",
        "Runs under way on a provider account.",
    );
    for (account, lane) in &lanes {
        running.add(&[("account", account)], f64::from(lane.running));
    }
    let mut waiting = families.gauge(
        "kirosu_account_waiting",
        "Sessions and runs that wait for a provider account.",
    );
    for (account, lane) in &lanes {
        waiting.add(&[("account", account)], f64::from(lane.waiting));
    }
}
