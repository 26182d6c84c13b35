//! The worktrees of this machine's agents, for the verbs that show, apply and discard them. It is the only use that the
//! command line makes of the swarm's crate.

use std::path::Path;

use kirosu_config::Settings;
use kirosu_providers::{Containment, RunnerCommand};

use kirosu_providers::runner;

pub use kirosu_swarm::worktree::{
    ApplyMode, ApplyOutcome, FileChange, Git, GitFault, Pruned, Removed, Worktree, apply, base,
    changes, concerns, diff_command, discard, find, locate, moved_to, prune, repair, size, tip,
};

/// A handle to run git.
pub fn git(settings: &Settings) -> Git {
    let instance = format!("cli {}", std::process::id());
    let containment = Containment::new(RunnerCommand::this_executable(runner::VERB), instance);
    Git::new(containment).knowing(&settings.workspaces_dir())
}

/// The newest worktree of a task on this machine, with the current path of its repository.
///
/// # Errors
/// There is no worktree, or its repository is gone. The message names the searched folder and possible causes.
pub async fn of_task(settings: &Settings, git: &Git, task_id: i64) -> Result<Worktree, String> {
    let workspaces = settings.workspaces_dir();
    let mut found = find(&workspaces, Some(task_id));
    // Worktrees of earlier attempts only count if the task has no other.
    if found.iter().any(|it| it.attempt_of.is_none()) {
        found.retain(|it| it.attempt_of.is_none());
    }
    let record = found.pop().ok_or_else(|| {
        format!(
            "task {task_id} has no worktree under {}: only pools with workspace = \"worktree\" create them, on the machine of their agents; run this command there, with the settings of the agents (--config). If data_dir was moved, set it to its new path",
            workspaces.display()
        )
    })?;
    located(settings, git, &record)
        .await
        .map_err(|fault| fault.to_string())
}

/// All worktrees of a task on this machine, with the current paths of their repositories: earlier attempts first, the
/// newest last. Also returns worktrees of tasks of other hubs with the same number.
///
/// # Errors
/// There is no worktree, or a repository is gone.
pub async fn all_of_task(
    settings: &Settings,
    git: &Git,
    task_id: i64,
) -> Result<(Vec<Worktree>, Vec<Worktree>), String> {
    let newest = of_task(settings, git, task_id).await?;
    let found = find(&settings.workspaces_dir(), Some(task_id));
    let is_same = |it: &Worktree| (it.created_at - newest.created_at).abs() < 1e-3;
    let (mut own, others): (Vec<Worktree>, Vec<Worktree>) = found.into_iter().partition(is_same);
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

/// A record with the current path of its repository.
///
/// # Errors
/// The repository is neither at its recorded path nor at the pool's folder.
pub async fn located(
    settings: &Settings,
    git: &Git,
    record: &Worktree,
) -> Result<Worktree, GitFault> {
    locate(git, record, pool_dir(settings, record)).await
}

/// The folder of the worktree's pool, by the current settings; `None` if the pool has none.
pub fn pool_dir<'a>(settings: &'a Settings, record: &Worktree) -> Option<&'a Path> {
    let pool = settings.pools.iter().find(|it| it.name == record.pool)?;
    pool.workdir.as_deref()
}
