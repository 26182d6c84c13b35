//! Removes lock files of git that a dead git left behind.
//!
//! Git takes a lock by making a file without a trace of its holder. A lock is removed only when no living git process
//! of this machine can hold it: none that works on this repository is as old as the file. The caller holds the
//! worktree's own lock, so that no run works in it; a person's git may.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::record::Worktree;

/// Precision of the ages of files and processes.
const SLACK: Duration = Duration::from_millis(100);
/// Ticks per second in `/proc`: 100 on every Linux that Rust supports, see `sysconf(_SC_CLK_TCK)`.
const TICKS: u64 = 100;
/// Git holds the locks of shared files only briefly.
const SHARED_AGE: Duration = Duration::from_secs(60);

/// Removes the stale locks that would block git in this worktree: those of its own git folder, and that of its own
/// branch.
pub(super) fn clear_locks(record: &Worktree) {
    let own = ["index.lock", "HEAD.lock", "config.worktree.lock"];
    let here = [&record.path, &record.git_dir];
    for lock in own.map(|name| record.git_dir.join(name)) {
        clear_lock(&lock, &here);
    }
    let branch = format!("refs/heads/{}.lock", record.branch);
    let anywhere = [&record.path, &record.repository, &record.common_dir];
    clear_lock(&record.common_dir.join(branch), &anywhere);
    clear_shared_locks(&record.common_dir);
}

/// Removes the stale locks of files that all worktrees of a repository share: settings, packed references, the
/// checkout's `HEAD`. Programs of people take them too, on other machines or in containers, and some are not git: a
/// lock younger than [`SHARED_AGE`] stays, as does one that a process has open.
pub(super) fn clear_shared_locks(common: &Path) {
    for name in ["packed-refs.lock", "config.lock", "HEAD.lock"] {
        clear_shared_lock(&common.join(name), common);
    }
}

/// Removes one lock in the git folder of a repository as [`clear_shared_locks`] does.
pub(super) fn clear_shared_lock(lock: &Path, common: &Path) {
    if age_of_file(lock).is_none_or(|age| age < SHARED_AGE) || is_open(lock) {
        return;
    }
    let checkout = common.parent().unwrap_or(common).to_owned();
    clear_lock(lock, &[&common.to_owned(), &checkout]);
}

/// How long ago a file was changed; `None` if it does not exist or its time is in the future.
fn age_of_file(file: &Path) -> Option<Duration> {
    let found = fs::symlink_metadata(file).ok()?;
    let made = found.modified().unwrap_or_else(|_| SystemTime::now());
    Some(SystemTime::now().duration_since(made).unwrap_or_default())
}

/// Whether a process that can be inspected has the file open.
fn is_open(file: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(file) else {
        return false;
    };
    let same = |it: &fs::Metadata| (it.dev(), it.ino()) == (found.dev(), found.ino());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut open = processes
        .filter_map(|process| fs::read_dir(process.path().join("fd")).ok())
        .flat_map(|files| files.flatten());
    open.any(|file| fs::metadata(file.path()).is_ok_and(|it| same(&it)))
}

/// Removes a lock that no living git process at these places can hold.
pub(super) fn clear_lock(lock: &Path, places: &[&PathBuf]) {
    let Ok(found) = fs::symlink_metadata(lock) else {
        return;
    };
    // A file from the future has no age; any process may hold it then.
    let age = age_of_file(lock).unwrap_or_default();
    if !found.is_file() || has_holder(age, places) {
        return;
    }
    match fs::remove_file(lock) {
        Ok(()) => tracing::info!(file = %lock.display(), "removed a lock that a dead git left"),
        Err(error) => {
            tracing::warn!(file = %lock.display(), %error, "could not remove a lock that a dead git left");
        }
    }
}

/// Whether a git process that works at one of these places is at least that old.
fn has_holder(age: Duration, places: &[&PathBuf]) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return true;
    };
    entries.flatten().any(|entry| {
        let process = entry.path();
        let is_process = entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        is_process
            && is_git(&process)
            && works_in(&process, places)
            && age_of(&process).is_some_and(|it| it + SLACK >= age)
    })
}

fn is_git(process: &Path) -> bool {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let name = name.trim_end();
    name == "git" || name.starts_with("git-")
}

/// Judged by its working directory, which counts if it may not be read, or by a path among its arguments.
fn works_in(process: &Path, places: &[&PathBuf]) -> bool {
    match fs::read_link(process.join("cwd")) {
        Ok(here) if places.iter().any(|it| here.starts_with(it)) => return true,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return true,
        // Otherwise it is ending: the kernel takes the working directory from a process after its files, while its
        // state is still that of a living one.
        Ok(_) | Err(_) => {}
    }
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    places
        .iter()
        .any(|it| line.contains(&*it.to_string_lossy()))
}

/// How long ago a process started; `None` if it has ended, also as a zombie, which holds nothing.
fn age_of(process: &Path) -> Option<Duration> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let started: u64 = fields.nth(18)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let started = Duration::from_millis(started.saturating_mul(1000 / TICKS));
    Some(
        Duration::try_from_secs_f64(uptime)
            .ok()?
            .saturating_sub(started),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_an_age_and_is_no_git() {
        let age = age_of(Path::new("/proc/self")).unwrap();
        assert!(age < Duration::from_secs(3600), "{age:?}");
        assert!(!is_git(Path::new("/proc/self")));
        assert_eq!(age_of(Path::new("/proc/none")), None);
    }

    #[test]
    fn a_process_that_has_lost_its_working_directory_works_nowhere() {
        let here = std::env::current_dir().unwrap();
        assert!(works_in(Path::new("/proc/self"), &[&here]));
        assert!(!works_in(Path::new("/proc/none"), &[&here]));
    }
}
