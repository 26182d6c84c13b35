//! A worktree while a run works in it, and the look at what the run left.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kirosu_protocol::NotAccepted;
use kirosu_providers::Conversation;

use super::git::{Git, GitFault};
use super::index::{Conflict, conflicts, mend};
use super::inventory::list;
use super::locks::clear_locks;
use super::record::{KeptConversation, WorktreeLock, WorktreeRecord};
use super::references::RefList;
use super::repair::restore;
use super::shared::SharedState;
use super::verify::{Unverified, verify, verify_folder};
use crate::workspace::identity::FolderChange;

/// A worktree that a run works in.
#[derive(Debug)]
pub(crate) struct OpenWorktree {
    pub(super) git: Git,
    record: Mutex<WorktreeRecord>,
    lock: Mutex<Option<WorktreeLock>>,
    dir: PathBuf,
    /// Its branch.
    pub(crate) branch: String,
    /// The commit that it started from.
    pub(crate) base: String,
    /// Its files are the base's: nothing of an earlier attempt is in it.
    pub(crate) from_base: bool,
    /// Lines for the beginning of the run's output.
    pub(crate) notes: Vec<String>,
    /// Conflicts that the attempt before left, for the agent.
    pub(crate) not_accepted: Option<NotAccepted>,
    /// The shared state of the repository as the run began; `None` where it could not be read.
    shared: Option<SharedState>,
}

/// Why a run that said that it is done has not ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished(pub(crate) String);

impl OpenWorktree {
    /// The worktree of a record, which the lock holds.
    pub(super) fn new(git: Git, record: WorktreeRecord, lock: WorktreeLock) -> Self {
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

    /// Notes what all worktrees of the repository share, so that it can be compared after the run. `references`: as they were
    /// listed a moment ago.
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

    /// The shared state as the run began.
    pub(super) const fn shared(&self) -> Option<&SharedState> {
        self.shared.as_ref()
    }

    /// Where the run begins.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Its record as it stands now.
    pub(super) fn record(&self) -> WorktreeRecord {
        self.locked().clone()
    }

    /// The conversation that this attempt goes on with.
    pub(crate) fn conversation(&self, provider: &str, workdir: &Path) -> Option<Conversation> {
        let kept = self.locked().conversation.clone()?;
        let fits = kept.provider == provider && kept.workdir == workdir;
        fits.then_some(Conversation {
            session: kept.session,
            total: kept.total,
        })
    }

    /// Takes note of the conversation of the run under way, so that it is known after a crash of this process. Writes a
    /// small file, without waiting for the disk.
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

    /// Takes note of the conversation that a further attempt goes on with; it is written when the run is settled.
    pub(crate) fn keep_conversation(&self, kept: Option<KeptConversation>) {
        self.locked().conversation = kept;
    }

    /// A person has cancelled the run.
    pub(crate) fn withdraw(&self) {
        self.locked().withdrawn = true;
    }

    /// Whether the folder still is the one that was made.
    ///
    /// # Errors
    /// What is in its place.
    pub(in crate::workspace) fn look(&self) -> Result<(), FolderChange> {
        verify_folder(&self.locked()).map_err(|why| match why {
            Unverified::Gone => FolderChange::Gone,
            why => FolderChange::Replaced(why.to_string()),
        })
    }

    /// Looks at what a run has left, and makes readable what it broke.
    ///
    /// # Errors
    /// It is not whole: the folder was replaced, or conflicts are not resolved.
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
            // The commit that follows says more.
            tracing::debug!(%fault, "a worktree could not be looked at after its run");
            return Ok(());
        }
        let left = unresolved(&record.conflicts);
        *self.locked() = record;
        left.map_or(Ok(()), |why| Err(Unfinished(why)))
    }

    /// Lets others work in it.
    pub(super) fn release(&self) {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.take();
    }

    fn locked(&self) -> MutexGuard<'_, WorktreeRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sentence about conflicts that were left; `None` where there are none.
pub(super) fn unresolved(conflicts: &[Conflict]) -> Option<String> {
    let names: Vec<&str> = conflicts.iter().map(|it| it.path.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "not accepted: the run left conflicts that are not resolved in {}; resolve them there",
            list(&names)
        )
    })
}
