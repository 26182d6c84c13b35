//! What of our own environment a program may see.

use std::ffi::OsString;

/// Ours alone: the hub's key, and systemd's channels to this very process.
const WITHHELD: &[&str] = &[
    "KIRO_SWARM_KEY",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY",
];

/// Our environment without what is [`WITHHELD`], but for the names in `pass`.
pub(super) fn inherited(pass: &[String]) -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(move |(name, _)| may_pass(name.to_str(), pass))
}

fn may_pass(name: Option<&str>, pass: &[String]) -> bool {
    name.is_none_or(|name| !WITHHELD.contains(&name) || pass.iter().any(|it| it == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_passes_only_when_asked() {
        let key = Some("KIRO_SWARM_KEY");
        assert!(!may_pass(key, &[]));
        assert!(may_pass(key, &["KIRO_SWARM_KEY".to_owned()]));
        assert!(may_pass(Some("PATH"), &[]));
        assert!(may_pass(None, &[]));
    }
}
