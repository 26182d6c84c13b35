//! `kirosu discard`: a task's worktree and branch go.

use super::connect::Context;
use super::diff::local;
use super::failure::Failure;
use crate::worktrees::{self, Removed};
use kirosu_protocol::TaskId;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kirosu discard 42
  kirosu discard 42 --force                 with changes that are not on its branch
Folders that were kept of earlier attempts go, too. It prints the last commit of each branch and reference that it removes:
`git branch NAME COMMIT` brings it back, until git forgets it.";

/// Removes the worktree and the branch of a task
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK")]
    task_id: TaskId,
    /// Also where something is only in its folder: changes, ignored files, repositories, submodule commits
    #[arg(long)]
    force: bool,
}

/// Discards.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_folders()?;
    let git = worktrees::git();
    let record = worktrees::of_task(&loaded.settings, &git, args.task_id).await;
    let record = record.map_err(Failure::Local)?;
    let removed = worktrees::discard(&git, &record, args.force).await;
    let removed = removed.map_err(local)?;
    let (id, branch) = (args.task_id, &record.branch);
    let tip = removed.first().map(|it| it.tip.as_str());
    let screen = &context.screen;
    if screen.json {
        let references = removed.iter().flat_map(references);
        let references: Vec<Value> = references.collect();
        screen.json(
            &json!({ "task_id": id, "branch": branch, "tip": tip, "removed_refs": references }),
        )?;
        return Ok(0);
    }
    let tip = tip.unwrap_or_default();
    screen.foreign(&format!(
        "discarded task {id}: branch {branch} was at {tip}"
    ))?;
    let branch = format!("refs/heads/{branch}");
    for line in removed.iter().flat_map(lines) {
        // It is named above.
        if !line.starts_with(&format!("{branch} ")) {
            screen.foreign(&format!("  {line}"))?;
        }
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
