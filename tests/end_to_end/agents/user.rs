//! Another user for hubs and agents of tests that root runs, and files and programs that it can use.

use crate::agents::path_with_programs;
use crate::agents::world::installed;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user without rights: of the runs, or of the hub and its runs.
pub const NOBODY: u32 = 65_534;
pub const NAME_OF_NOBODY: &str = "nobody";

/// Whether the test can be another user, which the levels with `user` need, and which makes a hub's user one without rights.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Gives a folder and all that is in it to the user without rights.
pub fn own(folder: &Path) {
    chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path().is_dir() {
            true => own(&entry.path()),
            false => chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap(),
        }
    }
}

/// The start of a command line that runs as the user without rights.
pub fn as_nobody() -> Vec<String> {
    let id = NOBODY.to_string();
    let words = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
    words.map(str::to_owned).to_vec()
}

/// A program where the user without rights can start it: its own place, or a copy.
pub fn reachable(program: &Path, lab: &Path) -> PathBuf {
    let words = as_nobody();
    let reached = Command::new(&words[0])
        .args(&words[1..])
        .arg("test")
        .arg("-x")
        .arg(program)
        .status();
    if !is_root() || reached.is_ok_and(|it| it.success()) {
        return program.to_owned();
    }
    let copy = lab.join("bin").join(program.file_name().unwrap());
    fs::create_dir_all(lab.join("bin")).unwrap();
    if !copy.exists() {
        fs::copy(program, &copy).unwrap();
    }
    copy
}

/// The search path with the agent programs where their user can start them.
pub fn reachable_path(lab: &Path) -> String {
    let programs = ["codex", "goose"].map(|name| installed().join("bin").join(name));
    let copies = programs.map(|program| reachable(&program, lab));
    let folder = copies[0].parent().unwrap();
    format!("{}:{}", folder.display(), path_with_programs())
}
