//! Takes the lock of one worktree for commands of people, at once or after a wait.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::git::GitFault;
use super::record::{Worktree, WorktreeLock, WorktreeState};

/// How long pruning waits for another command that works on the same worktree.
const TURN: Duration = Duration::from_secs(60);
const TURN_PAUSE: Duration = Duration::from_millis(50);

/// Takes the lock. While it is held, nothing else works in the worktree.
///
/// # Errors
/// A run or another command holds it, or has removed the worktree.
pub(super) fn lock(record: &Worktree) -> Result<WorktreeLock, GitFault> {
    let (id, path) = (record.task_id, record.path.display());
    match try_lock(record)? {
        Some(lock) if is_recorded(record) => Ok(lock),
        Some(_) => {
            record.forget_lock();
            Err(GitFault(format!(
                "the worktree of task {id} was removed by another kirosu command meanwhile"
            )))
        }
        None if is_running(record) => Err(GitFault(format!(
            "task {id} runs in {path}; wait for its end (kirosu wait {id}), or cancel it first"
        ))),
        None => Err(GitFault(format!(
            "another kirosu command works on task {id} in {path}; wait for its end, and try again"
        ))),
    }
}

/// Takes the lock once another command has ended its work there; `None` if that has removed the worktree.
///
/// # Errors
/// A run holds the lock, or the wait exceeds [`TURN`].
pub(super) async fn turn(record: &Worktree) -> Result<Option<WorktreeLock>, GitFault> {
    let begin = Instant::now();
    loop {
        match try_lock(record)? {
            Some(lock) if is_recorded(record) => return Ok(Some(lock)),
            Some(_) => {
                record.forget_lock();
                return Ok(None);
            }
            None if is_recorded(record) && (is_running(record) || begin.elapsed() > TURN) => {
                return lock(record).map(Some);
            }
            None => sleep(TURN_PAUSE).await,
        }
    }
}

fn try_lock(record: &Worktree) -> Result<Option<WorktreeLock>, GitFault> {
    WorktreeLock::take(record.folder(), &record.name).map_err(|error| {
        let folder = record.folder().display();
        GitFault(format!("cannot lock the worktree in {folder}: {error}"))
    })
}

/// False if its record was removed; an unreadable one exists.
fn is_recorded(record: &Worktree) -> bool {
    !matches!(Worktree::read(record.folder(), &record.name), Ok(None))
}

fn is_running(record: &Worktree) -> bool {
    let now = Worktree::read(record.folder(), &record.name).ok().flatten();
    now.is_none_or(|it| it.state == WorktreeState::Running)
}
