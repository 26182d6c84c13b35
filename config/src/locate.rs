//! The places of the settings file.

use std::path::{Path, PathBuf};

/// A file that may hold the settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileCandidate {
    pub path: PathBuf,
    /// Whether the file was named by flag or variable, so that its absence is a fault.
    pub must_exist: bool,
    /// Whether it counts only if the user has trusted it: a file of the working directory that was not named.
    pub needs_trust: bool,
}

/// The files in the order in which they are tried: only the one named by the flag, else only the one named by
/// `KIROSU_CONFIG`, else `./kirosu.toml`, `$XDG_CONFIG_HOME/kirosu/kirosu.toml` (`~/.config`), `/etc/kirosu/kirosu.toml`.
pub(crate) fn candidates(
    flag: Option<&Path>,
    here: &Path,
    var: impl Fn(&str) -> Option<String>,
) -> Vec<FileCandidate> {
    let variable = || var("KIROSU_CONFIG").filter(|path| !path.is_empty());
    let named = flag
        .map(Path::to_owned)
        .or_else(|| variable().map(PathBuf::from));
    if let Some(path) = named {
        return vec![FileCandidate {
            path,
            must_exist: true,
            needs_trust: false,
        }];
    }
    let user = xdg(&var, "XDG_CONFIG_HOME", ".config").map(|(dir, _)| dir.join("kirosu"));
    let system = Some(PathBuf::from("/etc/kirosu"));
    let here = Some((here.to_owned(), true));
    let others = [user, system].map(|dir| dir.map(|dir| (dir, false)));
    let folders = [here].into_iter().chain(others).flatten();
    folders
        .map(|(dir, needs_trust)| FileCandidate {
            path: dir.join("kirosu.toml"),
            must_exist: false,
            needs_trust,
        })
        .collect()
}

/// A base directory by the XDG rules and the variable that set it. A relative value counts as not set. `None` means that
/// there is no home directory either.
pub(crate) fn xdg(
    var: impl Fn(&str) -> Option<String>,
    name: &'static str,
    below_home: &str,
) -> Option<(PathBuf, &'static str)> {
    let set = var(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || {
        var("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
    };
    set.map(|dir| (dir, name))
        .or_else(|| home().map(|home| (home.join(below_home), "HOME")))
}
