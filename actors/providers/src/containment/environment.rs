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

/// What every program may see: where things are and how to talk to a person and the net, no keys.
const USUAL: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TMPDIR",
    "TZ",
    "XDG_*",
    "GIT_*",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "NVM_DIR",
    "VIRTUAL_ENV",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOPATH",
    "JAVA_HOME",
];

/// Our environment without what is [`WITHHELD`], but for the names in `pass`. With `only`, nothing but the
/// [`USUAL`] variables and those.
pub(super) fn inherited(
    pass: &[String],
    only: Option<&[String]>,
) -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(move |(name, _)| may_pass(name.to_str(), pass, only))
}

fn may_pass(name: Option<&str>, pass: &[String], only: Option<&[String]>) -> bool {
    let Some(name) = name else {
        return only.is_none();
    };
    if pass.iter().any(|it| it == name) {
        return true;
    }
    let listed = only.is_none_or(|only| {
        let usual = USUAL.iter().any(|it| means(it, name));
        usual || only.iter().any(|it| means(it, name))
    });
    listed && !WITHHELD.contains(&name)
}

/// `NAME`, or `PREFIX*`.
fn means(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_passes_only_when_asked() {
        let key = Some("KIRO_SWARM_KEY");
        assert!(!may_pass(key, &[], None));
        assert!(may_pass(key, &["KIRO_SWARM_KEY".to_owned()], None));
        assert!(may_pass(Some("PATH"), &[], None));
        assert!(may_pass(None, &[], None));
    }

    #[test]
    fn a_list_lets_through_the_usual_and_what_it_names() {
        let only = ["KIRO_*".to_owned(), "OPENAI_API_KEY".to_owned()];
        let passes = |name| may_pass(Some(name), &[], Some(&only));
        assert!(passes("PATH") && passes("LC_ALL") && passes("OPENAI_API_KEY"));
        assert!(passes("KIRO_API_KEY") && !passes("KIRO_SWARM_KEY"));
        assert!(!passes("ANTHROPIC_API_KEY") && !passes("OPENAI_API_KEYS"));
    }
}
