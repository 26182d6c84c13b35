//! The lock of one worktree, for the commands of people: taken at once, or waited for.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::git::GitFault;
use super::record::{WorktreeLock, WorktreeRecord, WorktreeState};

/// How long pruning waits for another command that works on the same worktree.
const TURN: Duration = Duration::from_secs(60);
const TURN_PAUSE: Duration = Duration::from_millis(50);

/// Nothing else works in it while the lock is held.
pub(super) fn lock(record: &WorktreeRecord) -> Result<WorktreeLock, GitFault> {
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

/// The lock of a worktree once another command has ended its work there; `None` where that has removed it.
pub(super) async fn turn(record: &WorktreeRecord) -> Result<Option<WorktreeLock>, GitFault> {
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

fn try_lock(record: &WorktreeRecord) -> Result<Option<WorktreeLock>, GitFault> {
    WorktreeLock::take(record.folder(), &record.name).map_err(|error| {
        let folder = record.folder().display();
        GitFault(format!("cannot lock the worktree in {folder}: {error}"))
    })
}

/// False where its record was removed; one that cannot be read is there.
fn is_recorded(record: &WorktreeRecord) -> bool {
    !matches!(
        WorktreeRecord::read(record.folder(), &record.name),
        Ok(None)
    )
}

fn is_running(record: &WorktreeRecord) -> bool {
    let now = WorktreeRecord::read(record.folder(), &record.name)
        .ok()
        .flatten();
    now.is_none_or(|it| it.state == WorktreeState::Running)
}
