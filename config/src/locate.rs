//! Which file is read.

use std::path::{Path, PathBuf};

/// The file, and whether somebody asked for it by name: then its absence is a fault.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub path: PathBuf,
    pub asked_for: bool,
}

/// Candidates in order: the one asked for by flag, by `KIROSU_CONFIG`, else the first that exists of `./kirosu.toml`,
/// `$XDG_CONFIG_HOME/kirosu/kirosu.toml` (`~/.config`), `/etc/kirosu/kirosu.toml`.
pub(crate) fn candidates(
    flag: Option<&Path>,
    here: &Path,
    var: impl Fn(&str) -> Option<String>,
) -> Vec<Place> {
    let asked = |path: PathBuf| {
        vec![Place {
            path,
            asked_for: true,
        }]
    };
    if let Some(path) = flag {
        return asked(path.to_owned());
    }
    if let Some(path) = var("KIROSU_CONFIG").filter(|path| !path.is_empty()) {
        return asked(PathBuf::from(path));
    }
    let user = xdg(&var, "XDG_CONFIG_HOME", ".config").map(|(dir, _)| dir);
    [
        Some(here.to_owned()),
        user.map(|dir| dir.join("kirosu")),
        Some(PathBuf::from("/etc/kirosu")),
    ]
    .into_iter()
    .flatten()
    .map(|dir| Place {
        path: dir.join("kirosu.toml"),
        asked_for: false,
    })
    .collect()
}

/// A base directory by the XDG rules (a relative one counts as not set), and the variable that decided.
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
