//! The variables of our environment that a program may see.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

use super::launch::LaunchSpec;
use super::run_temp::RunTemp;
use super::user::RunUser;
use super::{Containment, INSTANCE_VARIABLE, RUN_VARIABLE};
use crate::definition::place;

/// Variables that no program gets: settings by the names of earlier versions (those with other names are in
/// [`is_setting`]), systemd's channels to this process, and those that would direct git to another folder than that of the
/// run.
const WITHHELD: &[&str] = &[
    "KIRO_PROVIDER",
    "KIRO_CODEX_EXTRA_ARGS",
    "MITTELO_KIRO_MODEL",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// The hub's address and that of its certificate, which programs of a run may need to enqueue tasks.
const ADDRESS: &[&str] = &[
    "KIRO_SWARM_HOST",
    "KIRO_SWARM_PORT",
    "KIROSU_HUB__HOST",
    "KIROSU_HUB__PORT",
    "KIROSU_HUB__SOCKET",
    "KIROSU_HUB__TLS_FINGERPRINT",
    "KIROSU_HUB__TLS_CA",
];

/// Variables that every program may see: paths, locale, network access; no keys.
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

/// The variables of one program.
pub(super) struct Surroundings(pub(super) BTreeMap<OsString, OsString>);

impl Surroundings {
    /// Later ones win: ours, those of the run's user, those of the call, the run's own folder for temporary files, its marks.
    pub(super) fn of(
        launch: &LaunchSpec,
        containment: &Containment,
        run: &str,
        temp: Option<&RunTemp>,
    ) -> Self {
        let bounds = containment.bounds.as_ref();
        let user = bounds.and_then(|bounds| bounds.user.as_ref());
        let stays = |name: &OsStr| user.is_none() || !name.to_str().is_some_and(RunUser::drops);
        let mut all: BTreeMap<OsString, OsString> =
            inherited(&launch.pass_env, launch.env_pass.as_deref())
                .filter(|(name, _)| stays(name))
                .collect();
        let mut set = |name: &str, value: OsString| drop(all.insert(name.into(), value));
        for (name, value) in user.map(RunUser::environment).unwrap_or_default() {
            set(name, value.into());
        }
        for (name, value) in &launch.env {
            set(name, value.into());
        }
        if let Some(temp) = temp {
            for name in ["TMPDIR", "TMP", "TEMP"] {
                set(name, temp.path().into());
            }
        }
        set(RUN_VARIABLE, run.into());
        set(INSTANCE_VARIABLE, (&containment.instance).into());
        Self(all)
    }

    /// The places in which the program keeps its state. Missing folders are made, because the program may not make them.
    pub(super) fn state_of(&self, launch: &LaunchSpec, containment: &Containment) -> Vec<PathBuf> {
        let var = |name: &str| self.0.get(OsStr::new(name))?.to_str().map(str::to_owned);
        let mut found = Vec::new();
        for pattern in &launch.state {
            let Some(path) = place(pattern, &var) else {
                continue;
            };
            if pattern.ends_with('/') && fs::symlink_metadata(&path).is_err() {
                let made = fs::create_dir_all(&path).and_then(|()| containment.give(&path));
                if let Err(error) = made {
                    tracing::debug!(path = %path.display(), %error, "a folder for the state of an agent program cannot be made");
                }
            }
            found.push(path);
        }
        found
    }
}

/// Our environment without the [`WITHHELD`] variables, except for the names in `pass`. With `only`, just the [`USUAL`]
/// variables and those that it lists; `!NAME` and `!PREFIX*` in it remove usual ones.
pub(super) fn inherited(
    pass: &[String],
    only: Option<&[String]>,
) -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(move |(name, _)| may_pass(name.to_str(), pass, only))
}

/// Whether a program gets this variable only where it is listed by its full name.
#[must_use]
pub fn is_withheld(name: &str) -> bool {
    WITHHELD.contains(&name) || is_setting(name)
}

/// Whether a variable is Kirosu's own (`KIROSU_SECTION__KEY`, `KIROSU_CONFIG`, `KIRO_SWARM_KEY`, the marks of a run around
/// this process) and is not the hub's address. Settings may hold secrets, and the names of new ones are not known here.
/// Names of settings are case-insensitive.
fn is_setting(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is_ours = name.starts_with("KIROSU_") || name.starts_with("KIRO_SWARM_");
    is_ours && !ADDRESS.contains(&name.as_str())
}

fn may_pass(name: Option<&str>, pass: &[String], only: Option<&[String]>) -> bool {
    let Some(name) = name else {
        return only.is_none();
    };
    if pass.iter().any(|it| it == name) {
        return true;
    }
    let listed = only.is_none_or(|only| {
        let mut taken = only.iter().filter_map(|it| it.strip_prefix('!'));
        let usual = USUAL.iter().any(|it| means(it, name)) && !taken.any(|it| means(it, name));
        usual || only.iter().any(|it| means(it, name))
    });
    listed && !is_withheld(name)
}

/// Whether a pattern, `NAME` or `PREFIX*`, matches.
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
    fn the_key_passes_only_when_listed() {
        let key = Some("KIRO_SWARM_KEY");
        assert!(!may_pass(key, &[], None));
        assert!(may_pass(key, &["KIRO_SWARM_KEY".to_owned()], None));
        assert!(may_pass(Some("PATH"), &[], None));
        assert!(may_pass(None, &[], None));
    }

    #[test]
    fn a_setting_passes_only_when_listed() {
        for name in [
            "KIROSU_HUB__KEY",
            "KIROSU_hub__key",
            "KIROSU_HUB__KEY_FILE",
            "KIROSU_HUB__TLS_CLIENT_KEY",
            "KIROSU_PROVIDERS__API__HEADERS",
            "KIROSU_POOL__CODERS__ENV__TOKEN",
            "KIROSU_STORE__PATH",
            "KIROSU_CONFIG",
            "KIROSU_RUN",
            "KIRO_SWARM_ANYTHING",
            "KIRO_PROVIDER",
        ] {
            assert!(!may_pass(Some(name), &[], None), "{name}");
            let all = ["KIROSU_*".to_owned(), "KIRO_*".to_owned()];
            assert!(!may_pass(Some(name), &[], Some(&all)), "{name}");
            assert!(may_pass(Some(name), &[name.to_owned()], None), "{name}");
        }
        for name in [
            "KIROSU_HUB__PORT",
            "KIROSU_HUB__TLS_FINGERPRINT",
            "KIRO_SWARM_HOST",
            "KIRO_API_KEY",
            "MY__KEY",
        ] {
            assert!(may_pass(Some(name), &[], None), "{name}");
        }
    }

    #[test]
    fn a_list_passes_the_usual_variables_and_those_it_names() {
        let only = ["KIRO_*".to_owned(), "OPENAI_API_KEY".to_owned()];
        let passes = |name| may_pass(Some(name), &[], Some(&only));
        assert!(passes("PATH") && passes("LC_ALL") && passes("OPENAI_API_KEY"));
        assert!(passes("KIRO_API_KEY") && !passes("KIRO_SWARM_KEY"));
        assert!(!passes("ANTHROPIC_API_KEY") && !passes("OPENAI_API_KEYS"));
    }

    #[test]
    fn nothing_makes_a_git_work_elsewhere() {
        let only = ["!GIT_*".to_owned()];
        let passes = |name| may_pass(Some(name), &[], Some(&only));
        assert!(passes("PATH") && !passes("GIT_EXTERNAL_DIFF"));
        assert!(
            may_pass(Some("GIT_SSH_COMMAND"), &[], None) && !may_pass(Some("GIT_DIR"), &[], None)
        );
        assert!(may_pass(Some("GIT_DIR"), &["GIT_DIR".to_owned()], None));
    }
}
