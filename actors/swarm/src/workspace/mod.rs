//! The folder of a run. Only folders made here are removed here.
//!
//! # Theory of operation
//!
//! `shared` is an existing folder; `isolated` and `ephemeral` are private folders, made on demand (`folder.rs`); a
//! `worktree` is a checkout of the pool's repository on a branch of the task's own (`worktree/`). In every mode a run
//! gets a [`RunFolder`]: the folder, its root, which a task's own `workdir` cannot leave, and its fate after the run.

mod context;
mod earlier;
mod folder;
mod identity;
mod known;
mod mcp;
mod other_user;
mod results;
pub mod worktree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kirosu_protocol::NotAccepted;
use kirosu_protocol::task::Task;
use kirosu_providers::{
    Conversation, EventSink, FailureKind, Finished, RunEvent, RunFailure, RunResult, RunUsage,
};

use crate::options::{PoolOptions, WorkspaceMode};
use crate::resume::is_cut_short;
pub(crate) use context::context;
pub(crate) use earlier::{EarlierFolder, FolderClaim, WorktreeName};
use identity::{FolderChange, FolderHandle, real_folder};
pub(crate) use mcp::servers as mcp_servers;
pub(crate) use results::ResultFolder;
use worktree::{KeptConversation, OpenWorktree};

/// The folder of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder {
    /// An existing folder.
    pub(crate) dir: PathBuf,
    /// The workspace that contains `dir`; equal to it unless the task named a folder inside.
    pub(crate) root: PathBuf,
    /// The identity of `root`, if it is a folder of the pool's own.
    held: Option<FolderHandle>,
    /// `root` was made for this task alone: it is removed once the task's result is confirmed.
    pub(crate) made: bool,
    /// It is the folder of an earlier run, with that one's work.
    reopened: bool,
    /// Lines for the beginning of the run's output.
    notes: Vec<String>,
    /// The task's worktree: its changes are committed when the run has ended.
    pub(crate) worktree: Option<Arc<OpenWorktree>>,
    /// Whether it has results of steps, which are not to stay in a worktree.
    has_results: bool,
    /// Set while a run works in a folder of a session or an attempt.
    #[allow(dead_code, reason = "held, not read")]
    claim: Option<Arc<FolderClaim>>,
}

impl RunFolder {
    fn of(dir: PathBuf) -> Self {
        Self {
            root: dir.clone(),
            dir,
            held: None,
            made: false,
            reopened: false,
            notes: Vec::new(),
            worktree: None,
            has_results: false,
            claim: None,
        }
    }

    fn of_worktree(opened: OpenWorktree) -> Self {
        let dir = opened.dir();
        Self {
            notes: opened.notes.clone(),
            worktree: Some(Arc::new(opened)),
            ..Self::of(dir)
        }
    }

    /// The folder after its run: other runs may work in it.
    pub(crate) fn released(&self) -> Self {
        Self {
            claim: None,
            ..self.clone()
        }
    }

    /// Identifies the worktree for a task that continues this one.
    pub(crate) fn worktree_name(&self) -> Option<WorktreeName> {
        Some(self.worktree.as_ref()?.name())
    }

    /// Whether its files are the base's, without work of an earlier attempt.
    pub(crate) fn begins_anew(&self) -> bool {
        self.worktree.as_ref().is_some_and(|it| it.from_base)
    }

    /// Checks that programs can be started in it: the pool's own folders are the ones that were made, and no link
    /// leads outside. Blocks briefly on the file system.
    ///
    /// # Errors
    /// A sentence about the thing in place of a folder.
    pub(crate) fn verify(&self) -> Result<(), String> {
        self.find_change().map_err(|(dir, changed)| {
            format!(
                "nothing more was started in {}, which the run removed or replaced: {changed}",
                dir.display()
            )
        })
    }

    fn find_change(&self) -> Result<(), (&Path, FolderChange)> {
        if let Some(worktree) = &self.worktree {
            worktree
                .verify_folder()
                .map_err(|changed| (&*self.root, changed))?;
        }
        if let Some(held) = &self.held {
            held.verify().map_err(|changed| (&*self.root, changed))?;
        }
        real_folder(&self.dir)
            .map(drop)
            .map_err(|changed| (&*self.dir, changed))
    }

    /// The conversation that this attempt resumes, if the worktree's record has one.
    pub(crate) fn conversation(&self, provider: &str) -> Option<Conversation> {
        let worktree = self.worktree.as_ref()?;
        worktree.conversation(provider, &self.dir)
    }

    /// Returns the sink for a provider's run, which stores the conversation next to the files that belong to it.
    pub(crate) fn listening(&self, sink: &EventSink, provider: &str) -> EventSink {
        let Some(worktree) = self.worktree.clone() else {
            return sink.clone();
        };
        let (provider, workdir) = (provider.to_owned(), self.dir.clone());
        sink.through(move |event| {
            let session = match &event {
                RunEvent::Started { session, .. } => session.clone(),
                RunEvent::Session { session } => Some(session.clone()),
                _ => None,
            };
            if let Some(session) = session {
                worktree.converses(KeptConversation {
                    provider: provider.clone(),
                    workdir: workdir.clone(),
                    session,
                    total: RunUsage::default(),
                });
            }
            event
        })
    }

    /// Records how a run ended: whether a person cancelled it, and the conversation that a further attempt resumes.
    pub(crate) fn ended(&self, provider: &str, outcome: &RunResult, withdrawn: bool) {
        let Some(worktree) = &self.worktree else {
            return;
        };
        if withdrawn {
            worktree.withdraw();
        }
        let failure = outcome.as_ref().err();
        let cut_short = failure.filter(|it| is_cut_short(it.kind.as_str()));
        let conversation = cut_short.and_then(|it| it.conversation.clone());
        worktree.keep_conversation(conversation.map(|it| KeptConversation {
            provider: provider.to_owned(),
            workdir: self.dir.clone(),
            session: it.session,
            total: it.total,
        }));
    }

    /// Lines for the beginning of the run's output.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A note for the agent about unfinished work of the previous attempt in these files.
    pub(crate) fn not_accepted(&self) -> Option<&NotAccepted> {
        self.worktree.as_ref()?.not_accepted.as_ref()
    }
}

/// Why a run has no folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoFolder {
    /// The task names a folder that it may not use.
    Refused(String),
    /// The task names a folder that does not exist.
    NotThere(String),
    /// The task's own worktree cannot be made or opened: the attempt fails.
    Task(String),
    /// The task's own worktree is in use: the task is released.
    Busy(String),
    /// The pool's own folder cannot be used: a person has to act.
    Pool(String),
    /// The machine lacks a resource that the folder needs (disk space, descriptors, processes).
    Short(String),
}

/// Finds or makes the folder for a task, and in it the one that the task names. `earlier`: that of the task which this one
/// continues.
pub(crate) async fn prepare(
    options: &Arc<PoolOptions>,
    session: u32,
    task: &Task,
    earlier: Option<EarlierFolder>,
) -> Result<RunFolder, NoFolder> {
    let wanted = task.workdir.clone().filter(|it| !it.is_empty());
    let place = match (&earlier, options.workspace) {
        (Some(earlier), _) => earlier.open(options, task).await?,
        (None, WorkspaceMode::Worktree) => {
            // Boxed: the future is large, and part of the whole run's.
            let opened = Box::pin(worktree::open(options, task)).await?;
            RunFolder::of_worktree(opened)
        }
        _ => {
            let (options, id) = (options.clone(), (task.task_id, task.attempt_number()));
            blocking(move || folder_for(&options, session, id)).await?
        }
    };
    let base = place.dir.clone();
    let dir = blocking(move || {
        let dir = match wanted {
            Some(wanted) => folder::inside(&base, Path::new(&wanted))?,
            None => base,
        };
        earlier.map_or(Ok(()), |it| it.check(&dir))?;
        Ok(dir)
    });
    match dir.await {
        Ok(dir) => Ok(RunFolder { dir, ..place }),
        Err(why) => {
            abandon(place).await;
            Err(why)
        }
    }
}

/// Gives up a folder that no run will use. That of an earlier run stays for the next attempt.
pub(crate) async fn abandon(place: RunFolder) {
    if let Some(opened) = &place.worktree {
        results::remove(&place).await;
        Box::pin(worktree::abandon(opened, place.reopened)).await;
    }
    if place.reopened {
        return;
    }
    let discarded = tokio::task::spawn_blocking(move || discard(&place)).await;
    if let Err(error) = discarded {
        tracing::warn!(%error, "a workspace that is not used was not removed");
    }
}

/// Awaits a run and inspects its folder: a run that left conflicts in its worktree, or replaced its folder, is not
/// accepted.
pub(crate) async fn inspected(
    place: &RunFolder,
    run: impl Future<Output = RunResult>,
) -> RunResult {
    let outcome = run.await;
    let inspected = match &place.worktree {
        Some(worktree) => Box::pin(worktree.inspect()).await.map_err(|it| it.0),
        None => Ok(()),
    };
    // A run may remove its folder, but not replace it.
    let replaced = match place.find_change() {
        Err((dir, changed @ FolderChange::Replaced(_))) => Err(format!(
            "not accepted: the run replaced its folder {}: {changed}",
            dir.display()
        )),
        _ => Ok(()),
    };
    match (outcome, inspected.and(replaced)) {
        (Ok(finished), Err(why)) => Err(not_accepted(finished, why)),
        (outcome, _) => outcome,
    }
}

/// Turns a finished run into a `not_accepted` failure.
pub(crate) fn not_accepted(finished: Finished, why: String) -> RunFailure {
    failed_after(finished, RunFailure::new(FailureKind::NotAccepted, why))
}

/// The failure with the answer, usage and conversation of a finished run.
pub(crate) fn failed_after(finished: Finished, failure: RunFailure) -> RunFailure {
    RunFailure {
        output: finished.text,
        usage: finished.usage,
        conversation: finished.conversation,
        ..failure
    }
}

/// Commits the run's changes if it worked in a worktree. Returns lines for its output.
pub(crate) async fn finish(place: &RunFolder, ended: &str) -> Vec<String> {
    match &place.worktree {
        Some(opened) => {
            results::remove(place).await;
            Box::pin(worktree::finish(opened, ended)).await
        }
        None => Vec::new(),
    }
}

/// Runs on another thread: the folder may be on a slow disk, and this thread serves other sessions.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NoFolder> + Send + 'static,
) -> Result<T, NoFolder> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            let why = format!("the workspace could not be prepared: {error}");
            Err(NoFolder::Pool(why))
        })
}

/// Blocks on the file system.
fn folder_for(options: &PoolOptions, session: u32, id: (i64, u32)) -> Result<RunFolder, NoFolder> {
    let (task_id, attempt) = id;
    let place = match options.workspace {
        WorkspaceMode::Shared | WorkspaceMode::Worktree => {
            folder::shared(options.workdir.as_deref())
        }
        WorkspaceMode::Isolated => {
            folder::isolated(&own_folder(options)?, &format!("session-{session}"))
        }
        WorkspaceMode::Ephemeral => {
            folder::ephemeral(&own_folder(options)?, &format!("task-{task_id}-{attempt}"))
        }
    }?;
    if place.held.is_some() {
        other_user::give(options, &place.root)?;
    }
    let claim = match options.workspace {
        WorkspaceMode::Isolated => Some(earlier::claim(&place.root)?),
        _ => None,
    };
    Ok(RunFolder { claim, ..place })
}

/// The folder that contains the folders of an isolated or ephemeral pool.
fn own_folder(options: &PoolOptions) -> Result<PathBuf, NoFolder> {
    let parent = options.workdir.as_ref().unwrap_or(&options.workspaces_dir);
    let folder = folder::pool_folder(parent, &options.name)?;
    other_user::open_way(options, &folder)?;
    Ok(folder)
}

/// Checks whether the pool's own folder can be used. `thorough`: checks as much as a task needs, at any cost; for a
/// pool that takes no tasks because of its folder.
///
/// # Errors
/// Advice for a person.
pub(crate) async fn check(options: &Arc<PoolOptions>, thorough: bool) -> Result<(), String> {
    let found = match options.workspace {
        WorkspaceMode::Isolated | WorkspaceMode::Ephemeral => {
            let options = options.clone();
            blocking(move || own_folder(&options).map(Some)).await
        }
        WorkspaceMode::Worktree => Box::pin(worktree::check(options, thorough))
            .await
            .map(|()| None),
        WorkspaceMode::Shared => {
            let workdir = options.workdir.clone();
            blocking(move || folder::shared(workdir.as_deref()).map(|it| Some(it.dir))).await
        }
    };
    match found {
        Ok(Some(folder)) => other_user::check(options, &folder).await,
        Ok(None) => Ok(()),
        // The pool's first run finds out.
        Err(NoFolder::Short(_)) => Ok(()),
        Err(
            NoFolder::Refused(why)
            | NoFolder::NotThere(why)
            | NoFolder::Task(why)
            | NoFolder::Busy(why)
            | NoFolder::Pool(why),
        ) => Err(why),
    }
}

/// Removes the folder that was made for a task, if any. Blocks on the file system.
pub(crate) fn discard(place: &RunFolder) {
    let made = place.held.as_ref().filter(|_| place.made);
    if let Some(Err(error)) = made.map(FolderHandle::remove) {
        let folder = place.root.display();
        tracing::warn!(%folder, %error, "could not remove a task's workspace, and left everything there as it is; remove it by hand");
    }
}
