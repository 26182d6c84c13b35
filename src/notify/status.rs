//! The one line that `systemctl status` shows.

use kirosu_protocol::task::Stats;
use kirosu_protocol::verbs::pools::PoolInfo;

/// How the hub stands, seen from this process.
#[derive(Clone, Debug, PartialEq)]
pub enum HubView {
    /// It is in this process, and these are its counters.
    Here(Stats),
    /// It is elsewhere, and connected.
    Connected(String),
    /// It is elsewhere, and cannot be reached now.
    Away(String),
    /// It is in this process and did not answer this time.
    Silent,
}

/// Counters, then pools. A pool that cannot run is told with its reason.
pub fn line(hub: &HubView, pools: &[PoolInfo]) -> String {
    let mut parts = vec![self::hub(hub)];
    parts.extend(pools.iter().map(pool));
    // A line break would end the message to systemd.
    parts.join("; ").replace(['\n', '\r'], " ")
}

fn hub(hub: &HubView) -> String {
    match hub {
        HubView::Here(stats) => counters(stats),
        HubView::Connected(place) => format!("connected to the hub at {place}"),
        HubView::Away(place) => format!("no hub at {place}, trying again"),
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
    let told = always.into_iter().chain(sometimes);
    let told: Vec<String> = told
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    told.join(", ")
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
    fn says_what_waits_who_works_and_what_is_wrong() {
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
            line(&HubView::Here(stats), &pools),
            "3 queued, 0 at work, 1 failed; coders 2 of 4 busy; checks missing (no program kiro-cli)"
        );
        assert_eq!(
            line(&HubView::Away("hub.lan:8765".into()), &[]),
            "no hub at hub.lan:8765, trying again"
        );
    }
}
