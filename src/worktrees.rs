//! The worktrees of this machine's agents, for the verbs that show, apply and discard them: a window into the swarm's
//! room, which the verbs do not know.

use kirosu_config::Settings;
use kirosu_providers::{Containment, Runner};

use crate::cli::RUNNER_VERB;

pub use kirosu_swarm::worktree::{
    Applied, Change, Git, GitFault, Record, apply, changes, diff_command, discard, find, prune,
    size, tip,
};

/// Git, for as long as this process lives.
pub fn git() -> Git {
    let instance = format!("cli {}", std::process::id());
    Git::new(Containment::new(
        Runner::this_executable(RUNNER_VERB),
        instance,
    ))
}

/// The newest worktree of a task on this machine.
///
/// # Errors
/// There is none: where it was looked for, and what may be meant.
pub fn of_task(settings: &Settings, task_id: i64) -> Result<Record, String> {
    let workspaces = settings.workspaces_dir();
    find(&workspaces, Some(task_id)).pop().ok_or_else(|| {
        format!(
            "task {task_id} has no worktree under {}: only pools with workspace = \"worktree\" make one, on the machine of their agents; run this there, with the settings of the agents (--config)",
            workspaces.display()
        )
    })
}
