//! Finds the name of a task's worktree: its present one, or a free one.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use kirosu_protocol::task::Task;
use kirosu_providers::is_shortage;

use super::copied;
use super::git::{Git, GitFault};
use super::record::{Worktree, WorktreeLock, WorktreeState};
use super::references::RefList;
use super::repair::adopt;
use super::repository::Repository;

/// How long the lock of the task's own worktree is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// Pause between two attempts to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Prefixes of task branches, before the worktree's name. The second is used if a branch `kirosu` prevents the first.
pub(super) const PREFIXES: [&str; 2] = ["kirosu/", "kirosu-"];

/// The state of a name.
pub(super) enum NameState {
    /// The task's own worktree.
    Mine(WorktreeLock, Box<Worktree>),
    /// The name is free.
    Free(WorktreeLock),
    /// Something else has the name and is left alone; the text describes it if it may interest the task's owner.
    Taken(Option<String>),
    /// The task's own worktree, in which another run or a command works.
    Busy,
}

/// The name with this number, from 1.
pub(super) fn name_of(task_id: i64, number: u32) -> String {
    match number {
        1 => format!("task-{task_id}"),
        _ => format!("task-{task_id}.{number}"),
    }
}

/// Checks a name; locks it if it is the task's own or free.
///
/// # Errors
/// The name cannot be checked or locked.
pub(super) async fn claim_name(
    git: &Git,
    (repository, listed): (&Repository, &RefList),
    folder: &Path,
    task: &Task,
    (name, branch): (&str, &str),
) -> Result<NameState, GitFault> {
    let record = match Worktree::read(folder, name) {
        Ok(record) => record,
        Err(error) if is_shortage(&error) => {
            return Err(GitFault(format!("cannot read {name}.json: {error}")));
        }
        Err(error) => {
            let record = folder.join(format!("{name}.json"));
            return Ok(NameState::Taken(Some(format!(
                "{} cannot be read ({error}); it and the worktree beside it are left as they are, and this attempt works in another",
                record.display()
            ))));
        }
    };
    match record {
        Some(mut record) => {
            if !is_of(&record, task) {
                return Ok(NameState::Taken(None));
            }
            let original = copied::original(&record);
            if let Some(original) = original.filter(|_| record.common_dir == repository.common) {
                let why = copied::refusal(&record, &original);
                return Ok(NameState::Taken(Some(format!(
                    "{why}; this attempt works in another"
                ))));
            }
            if !is_in(git, &mut record, repository).await? {
                return Ok(NameState::Taken(None));
            }
            Ok(match wait_for_lock(folder, name).await? {
                Some(lock) => NameState::Mine(lock, Box::new(record)),
                None => NameState::Busy,
            })
        }
        None => {
            let is_there = fs::symlink_metadata(folder.join(name)).is_ok();
            if is_there || has_branch(listed, branch) {
                return Ok(NameState::Taken(None));
            }
            let lock = take_lock(folder, name)?;
            Ok(lock.map_or(NameState::Taken(None), NameState::Free))
        }
    }
}

/// The branch prefix that is possible in this repository.
pub(super) fn prefix(repository: &Repository, listed: &RefList) -> &'static str {
    let reference = "refs/heads/kirosu";
    let broken = fs::symlink_metadata(repository.common.join(reference));
    let broken = broken.is_ok_and(|found| !found.is_dir());
    PREFIXES[usize::from(broken || listed.contains_key(reference))]
}

/// Other hubs count tasks from 1 too: the time of the enqueue distinguishes them.
fn is_of(record: &Worktree, task: &Task) -> bool {
    let open = matches!(record.state, WorktreeState::Running | WorktreeState::Kept);
    let same_time = (record.created_at - task.created_at).abs() < 1e-3;
    open && record.task_id == task.task_id && same_time
}

/// Whether it is a worktree of this repository, which may have been moved since.
pub(super) async fn is_in(
    git: &Git,
    record: &mut Worktree,
    repository: &Repository,
) -> Result<bool, GitFault> {
    if record.common_dir == repository.common {
        return Ok(true);
    }
    adopt(git, record, repository).await
}

/// Whether the branch, or a branch below it, exists, so that it cannot be made.
fn has_branch(listed: &RefList, branch: &str) -> bool {
    let reference = format!("refs/heads/{branch}");
    let below = format!("{reference}/");
    let mut next = listed.range(below.clone()..);
    let is_below = next
        .next()
        .is_some_and(|(name, _)| name.starts_with(&below));
    is_below || listed.contains_key(&reference)
}

fn take_lock(folder: &Path, name: &str) -> Result<Option<WorktreeLock>, GitFault> {
    WorktreeLock::take(folder, name).map_err(|error: io::Error| {
        let file = folder.join(format!("{name}.lock"));
        GitFault(format!("cannot lock {}: {error}", file.display()))
    })
}

/// A person's `diff` or `apply`, or the last steps of the previous attempt, take only moments.
pub(super) async fn wait_for_lock(
    folder: &Path,
    name: &str,
) -> Result<Option<WorktreeLock>, GitFault> {
    let until = tokio::time::Instant::now() + LOCK_WAIT;
    loop {
        let lock = take_lock(folder, name)?;
        if lock.is_some() || tokio::time::Instant::now() >= until {
            return Ok(lock);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}
