//! `kirosu discard`: removes a task's worktrees and branches.

use super::diff::local;
use super::{Context, Failure, task_id};
use crate::worktrees::{self, Removed};
use kirosu_protocol::TaskId;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kirosu discard 42
  kirosu discard 42 --force                 even with changes that are not on its branch
It removes all worktrees and branches of the task, including those of earlier attempts (task-42.attempt-1, task-42.2), or
none if one of them must be kept. It prints the last commit of each branch and reference that it removes:
`git branch NAME COMMIT` restores it until git collects it.";

/// Removes the worktrees and branches of a task
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = task_id)]
    task_id: TaskId,
    /// Even if the folder has something that exists nowhere else: changes, ignored files, repositories, submodule
    /// commits
    #[arg(long)]
    force: bool,
}

/// Removes them.
///
/// # Errors
/// The task has no worktree here, one of them must be kept, or git fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_folders()?;
    let git = worktrees::git(&loaded.settings);
    let id = args.task_id;
    let found = worktrees::all_of_task(&loaded.settings, &git, id).await;
    let (records, others) = found.map_err(Failure::Local)?;
    let removed = worktrees::discard(&git, records, args.force).await;
    let removed = removed.map_err(local)?;
    let others: Vec<String> = others
        .iter()
        .map(|it| it.path.to_string_lossy().into_owned())
        .collect();
    // The first is the worktree of the last attempt.
    let branch = removed.first().map_or("", |it| it.branch.as_str());
    let tip = removed.first().map_or("", |it| it.tip.as_str());
    let screen = &context.screen;
    if screen.json {
        let references = removed.iter().flat_map(references);
        let worktrees = removed
            .iter()
            .map(|it| json!({ "path": it.path, "branch": it.branch, "tip": it.tip }));
        screen.json(&json!({
            "task_id": id, "branch": branch, "tip": tip,
            "removed_refs": references.collect::<Vec<Value>>(),
            "worktrees": worktrees.collect::<Vec<Value>>(), "others": others,
        }))?;
        return Ok(0);
    }
    screen.print_untrusted(&format!(
        "discarded task {id}: branch {branch} was at {tip}"
    ))?;
    let reference = format!("refs/heads/{branch}");
    for one in &removed {
        if one.branch != branch {
            let path = one.path.display();
            screen.print_untrusted(&format!("  {path} of an earlier attempt was removed too"))?;
        }
        for line in lines(one) {
            // The branch is printed above.
            if !line.starts_with(&format!("{reference} ")) {
                screen.print_untrusted(&format!("  {line}"))?;
            }
        }
    }
    for path in others {
        screen.print_untrusted(&format!(
            "{path} belongs to a task of another hub with this number and was not removed"
        ))?;
    }
    Ok(0)
}

/// The references that were removed with a worktree, as JSON.
pub(super) fn references(removed: &Removed) -> impl Iterator<Item = Value> {
    let id = removed.task_id;
    removed
        .references
        .iter()
        .map(move |it| json!({ "task_id": id, "ref": it.name, "commit": it.commit }))
}

/// The same as text.
pub(super) fn lines(removed: &Removed) -> impl Iterator<Item = String> {
    let references = removed.references.iter();
    references.map(|it| format!("{} was at {}", it.name, it.commit))
}
