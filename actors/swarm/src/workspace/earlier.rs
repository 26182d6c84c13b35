//! The folder of an earlier task, for a task that continues it.
//!
//! In a `shared` pool it is the pool's folder, in the others one folder in particular. Two runs never work in that at the same
//! time: a worktree has a lock, the folder of a session or an attempt is claimed here, by the runs of the session too.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use kirosu_protocol::task::Task;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::identity::{FolderHandle, real_folder};
use super::{NoFolder, RunFolder, blocking, folder, known, own_folder, worktree};
use crate::options::{PoolOptions, WorkspaceMode};

/// The folder of an earlier task.
#[derive(Debug, Clone)]
pub(crate) struct EarlierFolder {
    /// The earlier task.
    pub(crate) task_id: i64,
    /// Whether it is the task itself, of which an earlier run has waited for children.
    pub(crate) is_own: bool,
    /// The folder in which its run began.
    pub(crate) dir: PathBuf,
    /// The workspace that contains `dir`.
    pub(crate) root: PathBuf,
    /// The worktree, if it is one.
    pub(crate) worktree: Option<WorktreeName>,
}

/// Identifies a worktree in the folder of its pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorktreeName {
    /// Name of its folder and record.
    pub(crate) name: String,
    /// The task for which it was made.
    pub(crate) task_id: i64,
    /// When that task was enqueued, in Unix seconds.
    pub(crate) created_at: f64,
}

impl EarlierFolder {
    fn gone(&self, why: impl std::fmt::Display) -> NoFolder {
        NoFolder::NotThere(format!(
            "task {} cannot be continued: its folder {} cannot be used: {why}",
            self.task_id,
            self.root.display()
        ))
    }

    /// Opens the folder, without the part of it that the task names.
    pub(super) async fn open(
        &self,
        options: &Arc<PoolOptions>,
        task: &Task,
    ) -> Result<RunFolder, NoFolder> {
        if options.workspace == WorkspaceMode::Worktree {
            let Some(name) = &self.worktree else {
                return Err(self.gone("it is no worktree, and the pool has worktrees now"));
            };
            let opened = Box::pin(worktree::reopen(options, task, name)).await;
            let opened = opened.map_err(|why| match why {
                NoFolder::NotThere(why) => self.gone(why),
                other => other,
            })?;
            return Ok(RunFolder {
                reopened: true,
                ..RunFolder::of_worktree(opened)
            });
        }
        let (earlier, options) = (self.clone(), options.clone());
        blocking(move || earlier.open_plain(&options)).await
    }

    /// Blocks on the file system.
    fn open_plain(&self, options: &PoolOptions) -> Result<RunFolder, NoFolder> {
        if options.workspace == WorkspaceMode::Shared {
            return folder::shared(options.workdir.as_deref());
        }
        let root = &self.root;
        if root.parent() != Some(&own_folder(options)?) {
            return Err(self.gone("it is none of this pool's"));
        }
        let found = real_folder(root).and_then(|_| match options.workspace {
            WorkspaceMode::Isolated => known::check(root, false),
            _ => Ok(()),
        });
        found.map_err(|changed| self.gone(changed))?;
        let held = FolderHandle::of(root).map_err(|error| self.gone(error))?;
        Ok(RunFolder {
            held: Some(held),
            reopened: true,
            made: self.is_own && options.workspace == WorkspaceMode::Ephemeral,
            claim: Some(claim(root)?),
            ..RunFolder::of(root.clone())
        })
    }

    /// Checks that a run begins where the earlier one began: agents store conversations by folder.
    pub(super) fn check(&self, dir: &Path) -> Result<(), NoFolder> {
        match dir == self.dir {
            true => Ok(()),
            false => Err(NoFolder::NotThere(format!(
                "task {} cannot be continued: it ran in {}, and a run would begin in {} now",
                self.task_id,
                self.dir.display(),
                dir.display()
            ))),
        }
    }
}

/// The folders in which a run of this process works.
static CLAIMED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// A claimed folder, until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderClaim(PathBuf);

impl Drop for FolderClaim {
    fn drop(&mut self) {
        CLAIMED.lock().remove(&self.0);
    }
}

/// Claims a folder for a run.
///
/// # Errors
/// Another run of this process works in it.
pub(super) fn claim(folder: &Path) -> Result<Arc<FolderClaim>, NoFolder> {
    match CLAIMED.lock().insert(folder.to_owned()) {
        true => Ok(Arc::new(FolderClaim(folder.to_owned()))),
        false => Err(NoFolder::Busy(format!(
            "another run still works in {}; it is tried again",
            folder.display()
        ))),
    }
}
