//! `kirosu discard`: a task's worktree and branch go.

use super::connect::Context;
use super::diff::local;
use super::failure::Failure;
use super::numbers::task_id;
use crate::worktrees::{self, Removed};
use kirosu_protocol::TaskId;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kirosu discard 42
  kirosu discard 42 --force                 with changes that are not on its branch
All worktrees and branches of the task go, those of earlier attempts (task-42.attempt-1, task-42.2), too, or none of them
where one may not go. It prints the last commit of each branch and reference that it removes: `git branch NAME COMMIT`
brings it back, until git forgets it.";

/// Removes the worktrees and branches of a task
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = task_id)]
    task_id: TaskId,
    /// Also where something is only in its folder: changes, ignored files, repositories, submodule commits
    #[arg(long)]
    force: bool,
}

/// Discards.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_folders()?;
    let git = worktrees::git();
    let id = args.task_id;
    let found = worktrees::all_of_task(&loaded.settings, &git, id).await;
    let (records, others) = found.map_err(Failure::Local)?;
    let removed = worktrees::discard(&git, records, args.force).await;
    let removed = removed.map_err(local)?;
    let others: Vec<String> = others
        .iter()
        .map(|it| it.path.to_string_lossy().into_owned())
        .collect();
    // That of the last attempt.
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
    screen.foreign(&format!(
        "discarded task {id}: branch {branch} was at {tip}"
    ))?;
    let reference = format!("refs/heads/{branch}");
    for one in &removed {
        if one.branch != branch {
            let path = one.path.display();
            screen.foreign(&format!("  {path} of an earlier attempt went with it"))?;
        }
        for line in lines(one) {
            // It is named above.
            if !line.starts_with(&format!("{reference} ")) {
                screen.foreign(&format!("  {line}"))?;
            }
        }
    }
    for path in others {
        screen.foreign(&format!(
            "{path} is of another task with this number (of another hub): it was left alone"
        ))?;
    }
    Ok(0)
}

/// The references that went with a worktree, for programs.
pub(super) fn references(removed: &Removed) -> impl Iterator<Item = Value> {
    let id = removed.task_id;
    removed
        .references
        .iter()
        .map(move |it| json!({ "task_id": id, "ref": it.name, "commit": it.commit }))
}

/// The same for people.
pub(super) fn lines(removed: &Removed) -> impl Iterator<Item = String> {
    let references = removed.references.iter();
    references.map(|it| format!("{} was at {}", it.name, it.commit))
}
