//! A worktree while a run works in it, and its inspection after the run.

use std::path::{Path, PathBuf};

use kirosu_protocol::NotAccepted;
use kirosu_providers::Conversation;
use parking_lot::{Mutex, MutexGuard};

use super::git::{Git, GitFault};
use super::index::{Conflict, conflicts, mend};
use super::inventory::list;
use super::locks::clear_locks;
use super::record::{KeptConversation, Worktree, WorktreeLock};
use super::references::RefList;
use super::repair::restore;
use super::shared::SharedState;
use super::verify::{Unverified, verify, verify_folder};
use crate::workspace::WorktreeName;
use crate::workspace::identity::FolderChange;

/// A worktree that a run works in.
#[derive(Debug)]
pub(crate) struct OpenWorktree {
    pub(super) git: Git,
    record: Mutex<Worktree>,
    lock: Mutex<Option<WorktreeLock>>,
    dir: PathBuf,
    /// Its branch.
    pub(crate) branch: String,
    /// The commit that it started from.
    pub(crate) base: String,
    /// Whether its files are the base's, without work of an earlier attempt.
    pub(crate) from_base: bool,
    /// Lines for the beginning of the run's output.
    pub(crate) notes: Vec<String>,
    /// Conflicts that the previous attempt left, for the agent.
    pub(crate) not_accepted: Option<NotAccepted>,
    /// The shared state of the repository when the run began; `None` if it could not be read.
    shared: Option<SharedState>,
}

/// Why a finished run is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished(pub(crate) String);

impl OpenWorktree {
    /// The worktree of a record, under its lock.
    pub(super) fn new(git: Git, record: Worktree, lock: WorktreeLock) -> Self {
        Self {
            dir: record.start_dir(),
            branch: record.branch.clone(),
            base: record.base.clone(),
            git,
            record: Mutex::new(record),
            lock: Mutex::new(Some(lock)),
            from_base: true,
            notes: Vec::new(),
            not_accepted: None,
            shared: None,
        }
    }

    /// Records the state that all worktrees of the repository share, to compare it after the run. `references`: as
    /// just listed.
    pub(super) async fn watch(&mut self, references: RefList) {
        let record = self.record();
        self.shared = match SharedState::with(&self.git, &record, references).await {
            Ok(shared) => Some(shared),
            Err(fault) => {
                tracing::warn!(%fault, "what worktrees share is not watched during a run");
                None
            }
        };
    }

    /// The shared state when the run began.
    pub(super) const fn shared(&self) -> Option<&SharedState> {
        self.shared.as_ref()
    }

    /// The folder in which the run begins.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Identifies it for a task that continues this one.
    pub(crate) fn name(&self) -> WorktreeName {
        let record = self.locked();
        WorktreeName {
            name: record.name.clone(),
            task_id: record.task_id,
            created_at: record.created_at,
        }
    }

    /// The present record.
    pub(super) fn record(&self) -> Worktree {
        self.locked().clone()
    }

    /// The conversation that this attempt resumes.
    pub(crate) fn conversation(&self, provider: &str, workdir: &Path) -> Option<Conversation> {
        let kept = self.locked().conversation.clone()?;
        let fits = kept.provider == provider && kept.workdir == workdir;
        fits.then_some(Conversation {
            session: kept.session,
            total: kept.total,
        })
    }

    /// Records the conversation of the present run, so that it is known after a crash of this process. Writes a small
    /// file without waiting for the disk.
    pub(crate) fn converses(&self, now: KeptConversation) {
        let mut record = self.locked();
        let same = |it: &KeptConversation| it.session == now.session && it.provider == now.provider;
        if record.conversation.as_ref().is_some_and(same) {
            return;
        }
        record.conversation = Some(now);
        if let Err(error) = record.write_unsynced() {
            tracing::debug!(%error, "the conversation of a run could not be recorded");
        }
    }

    /// Sets the conversation that a further attempt resumes; written when the run is finished.
    pub(crate) fn keep_conversation(&self, kept: Option<KeptConversation>) {
        self.locked().conversation = kept;
    }

    /// Records that a person cancelled the run.
    pub(crate) fn withdraw(&self) {
        self.locked().withdrawn = true;
    }

    /// Checks that the folder is the one that was made.
    ///
    /// # Errors
    /// The thing in its place.
    pub(in crate::workspace) fn verify_folder(&self) -> Result<(), FolderChange> {
        verify_folder(&self.locked()).map_err(|why| match why {
            Unverified::Gone => FolderChange::Gone,
            why => FolderChange::Replaced(why.to_string()),
        })
    }

    /// Inspects the files after a run, and repairs what it broke.
    ///
    /// # Errors
    /// The folder was replaced, or conflicts are unresolved.
    pub(crate) async fn inspect(&self) -> Result<(), Unfinished> {
        let mut record = self.record();
        if let Err(why @ (Unverified::Gone | Unverified::Replaced(_))) = verify_folder(&record) {
            return Err(Unfinished(format!(
                "not accepted: the run removed or replaced its worktree {}: {why}; nothing of it was committed",
                record.path.display()
            )));
        }
        let found = async {
            if verify(&record).is_err() {
                restore(&self.git, &mut record).await?;
            }
            clear_locks(&record);
            let unmerged = mend(&self.git, &record).await?;
            record.conflicts = conflicts(&self.git, &record, unmerged).await?;
            Ok::<_, GitFault>(())
        };
        if let Err(fault) = found.await {
            // The commit that follows reports more.
            tracing::debug!(%fault, "a worktree could not be looked at after its run");
            return Ok(());
        }
        let left = unresolved(&record.conflicts);
        *self.locked() = record;
        left.map_or(Ok(()), |why| Err(Unfinished(why)))
    }

    /// Releases the lock.
    pub(super) fn release(&self) {
        self.lock.lock().take();
    }

    fn locked(&self) -> MutexGuard<'_, Worktree> {
        self.record.lock()
    }
}

/// The sentence about unresolved conflicts; `None` if there are none.
pub(super) fn unresolved(conflicts: &[Conflict]) -> Option<String> {
    let names: Vec<&str> = conflicts.iter().map(|it| it.path.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "not accepted: the run left conflicts that are not resolved in {}; resolve them there",
            list(&names)
        )
    })
}
