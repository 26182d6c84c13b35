//! The status line for `systemctl status`.

use kirosu_protocol::PoolInfo;
use kirosu_protocol::task::Stats;

/// State of the hub, seen from this process.
#[derive(Clone, Debug, PartialEq)]
pub enum HubView {
    /// The hub is in this process and has these counters.
    Local(Stats),
    /// The hub is in another process, at this address, and connected.
    Connected(String),
    /// The hub is in another process, at this address, and unreachable now.
    Unreachable(String),
    /// The hub is in this process and has not answered in time.
    Silent,
}

/// The counters or the address of the hub, then the pools. A pool that cannot run has its reason.
pub fn line(hub: &HubView, pools: &[PoolInfo]) -> String {
    let mut parts = vec![self::hub(hub)];
    parts.extend(pools.iter().map(pool));
    // A line break would end the message to systemd.
    parts.join("; ").replace(['\n', '\r'], " ")
}

fn hub(hub: &HubView) -> String {
    match hub {
        HubView::Local(stats) => counters(stats),
        HubView::Connected(place) => format!("connected to the hub at {place}"),
        HubView::Unreachable(place) => format!("no hub at {place}, trying again"),
        HubView::Silent => "the hub does not answer".into(),
    }
}

fn counters(stats: &Stats) -> String {
    let always = [(stats.queued, "queued"), (stats.leased, "at work")];
    let sometimes = [
        (stats.scheduled, "scheduled"),
        (stats.blocked, "blocked"),
        (stats.awaiting_approval, "awaiting approval"),
        (stats.failed, "failed"),
    ];
    let sometimes = sometimes.into_iter().filter(|(count, _)| *count > 0);
    let shown = always.into_iter().chain(sometimes);
    let shown: Vec<String> = shown
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    shown.join(", ")
}

fn pool(pool: &PoolInfo) -> String {
    let PoolInfo {
        name, busy, size, ..
    } = pool;
    match (pool.state.as_str(), &pool.note) {
        ("running", _) => format!("{name} {busy} of {size} busy"),
        (state, None) => format!("{name} {state}"),
        (state, Some(note)) => format!("{name} {state} ({note})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str, state: &str, note: Option<&str>) -> PoolInfo {
        PoolInfo {
            name: name.into(),
            size: 4,
            busy: 2,
            state: state.into(),
            note: note.map(Into::into),
            ..PoolInfo::default()
        }
    }

    #[test]
    fn the_line_has_counters_pools_and_reasons() {
        let stats = Stats {
            queued: 3,
            failed: 1,
            ..Stats::default()
        };
        let pools = [
            pool("coders", "running", None),
            pool("checks", "missing", Some("no program\nkiro-cli")),
        ];
        assert_eq!(
            line(&HubView::Local(stats), &pools),
            "3 queued, 0 at work, 1 failed; coders 2 of 4 busy; checks missing (no program kiro-cli)"
        );
        assert_eq!(
            line(&HubView::Unreachable("hub.lan:8765".into()), &[]),
            "no hub at hub.lan:8765, trying again"
        );
    }
}
