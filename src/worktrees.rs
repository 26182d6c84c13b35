//! The worktrees of this machine's agents, for the verbs that show, apply and discard them: a window into the swarm's
//! room, which the verbs do not know.

use std::path::Path;

use kirosu_config::Settings;
use kirosu_providers::{Containment, RunnerCommand, runner};

pub use kirosu_swarm::worktree::{
    ApplyMode, ApplyOutcome, FileChange, Git, GitFault, Pruned, Removed, WorktreeRecord, apply,
    base, changes, concerns, diff_command, discard, find, locate, moved_to, prune, repair, size,
    tip,
};

/// Git, for as long as this process lives.
pub fn git() -> Git {
    let instance = format!("cli {}", std::process::id());
    Git::new(Containment::new(
        RunnerCommand::this_executable(runner::VERB),
        instance,
    ))
}

/// The newest worktree of a task on this machine, with its repository where it is now.
///
/// # Errors
/// There is none, or its repository is gone: where it was looked for, and what may be meant.
pub async fn of_task(
    settings: &Settings,
    git: &Git,
    task_id: i64,
) -> Result<WorktreeRecord, String> {
    let workspaces = settings.workspaces_dir();
    let mut found = find(&workspaces, Some(task_id));
    // Folders of earlier attempts go with the task's own.
    if found.iter().any(|it| it.attempt_of.is_none()) {
        found.retain(|it| it.attempt_of.is_none());
    }
    let record = found.pop().ok_or_else(|| {
        format!(
            "task {task_id} has no worktree under {}: only pools with workspace = \"worktree\" make one, on the machine of their agents; run this there, with the settings of the agents (--config). Where data_dir was moved, set it to its new place",
            workspaces.display()
        )
    })?;
    located(settings, git, &record)
        .await
        .map_err(|fault| fault.to_string())
}

/// All worktrees of a task on this machine, with their repositories where they are now: those of earlier attempts first, the
/// newest last. And those of other tasks with the same number, as another hub has them.
///
/// # Errors
/// There is none; one of their repositories is gone.
pub async fn all_of_task(
    settings: &Settings,
    git: &Git,
    task_id: i64,
) -> Result<(Vec<WorktreeRecord>, Vec<WorktreeRecord>), String> {
    let newest = of_task(settings, git, task_id).await?;
    let found = find(&settings.workspaces_dir(), Some(task_id));
    let is_same = |it: &WorktreeRecord| (it.created_at - newest.created_at).abs() < 1e-3;
    let (mut own, others): (Vec<WorktreeRecord>, Vec<WorktreeRecord>) =
        found.into_iter().partition(is_same);
    own.retain(|it| it.path != newest.path);
    own.sort_by_key(|it| it.attempt_of.is_none());
    let mut all = Vec::new();
    for record in own {
        let found = located(settings, git, &record).await;
        all.push(found.map_err(|fault| fault.to_string())?);
    }
    all.push(newest);
    Ok((all, others))
}

/// A record with its repository where it is now.
///
/// # Errors
/// It is not where it was, and not where its pool works.
pub async fn located(
    settings: &Settings,
    git: &Git,
    record: &WorktreeRecord,
) -> Result<WorktreeRecord, GitFault> {
    locate(git, record, pool_dir(settings, record)).await
}

/// The folder that the pool of a worktree works in, by the present settings.
pub fn pool_dir<'a>(settings: &'a Settings, record: &WorktreeRecord) -> Option<&'a Path> {
    let pool = settings.pools.iter().find(|it| it.name == record.pool)?;
    pool.workdir.as_deref()
}
