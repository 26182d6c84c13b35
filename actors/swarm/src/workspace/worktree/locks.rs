//! Lock files of git that a dead git left behind.
//!
//! Git takes a lock by making a file and gives no sign of who holds it. A lock is removed only when no living git process of
//! this machine can be its holder: none that works on this repository is as old as the file. The caller holds the
//! worktree's own lock, so that no run works in it; a person's git may.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::record::Record;

/// Clocks of files and processes differ by about a tick.
const SLACK: Duration = Duration::from_secs(2);

/// Removes the stale locks that would keep git from working in this worktree: those of its own git folder, and that of its
/// own branch.
pub(super) fn clear_locks(record: &Record) {
    let in_git_dir = ["index.lock", "HEAD.lock", "config.worktree.lock"];
    let branch = format!("refs/heads/{}.lock", record.branch);
    let own = in_git_dir.map(|name| record.git_dir.join(name));
    let all = own.into_iter().chain([record.common_dir.join(branch)]);
    for lock in all.filter(|lock| is_stale(lock, record)) {
        match fs::remove_file(&lock) {
            Ok(()) => tracing::info!(file = %lock.display(), "removed a lock that a dead git left"),
            Err(error) => {
                tracing::warn!(file = %lock.display(), %error, "could not remove a lock that a dead git left");
            }
        }
    }
}

fn is_stale(lock: &Path, record: &Record) -> bool {
    let Ok(found) = fs::symlink_metadata(lock) else {
        return false;
    };
    let Ok(made) = found.modified() else {
        return false;
    };
    found.is_file() && !has_holder(made, record)
}

/// Whether a git process that lives may have made a lock at this time.
fn has_holder(made: SystemTime, record: &Record) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return true;
    };
    let places = [&record.path, &record.repository, &record.common_dir];
    entries.flatten().any(|entry| {
        let process = entry.path();
        let is_process = entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        is_process && is_git(&process) && works_in(&process, &places) && {
            // One whose start cannot be read counts.
            started(&process).is_none_or(|since| since <= made + SLACK)
        }
    })
}

fn is_git(process: &Path) -> bool {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let name = name.trim_end();
    name == "git" || name.starts_with("git-")
}

/// By its working directory, which counts where it cannot be read, or by a path among its arguments.
fn works_in(process: &Path, places: &[&PathBuf]) -> bool {
    let here = fs::read_link(process.join("cwd"));
    if here.map_or(true, |here| places.iter().any(|it| here.starts_with(it))) {
        return true;
    }
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    places
        .iter()
        .any(|it| line.contains(&*it.to_string_lossy()))
}

/// The folder of a process in `/proc` has the time at which the process was first looked at, so its own start is used: field
/// 22 of `stat`, in ticks since the machine's start.
fn started(process: &Path) -> Option<SystemTime> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let boot = machine
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let boot: u64 = boot.trim().parse().ok()?;
    // 100 ticks per second on every Linux that Rust supports, see `sysconf(_SC_CLK_TCK)`.
    let since = Duration::from_secs(boot) + Duration::from_millis(ticks.saturating_mul(10));
    Some(UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_this_process_lies_in_the_past() {
        let started = started(Path::new("/proc/self")).unwrap();
        let age = SystemTime::now().duration_since(started).unwrap();
        assert!(age < Duration::from_secs(3600), "{age:?}");
    }
}
