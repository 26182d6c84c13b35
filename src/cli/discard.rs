//! `kirosu discard`: a task's worktree and branch go.

use super::connect::Context;
use super::diff::local;
use super::failure::Failure;
use crate::worktrees;
use kirosu_protocol::TaskId;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  kirosu discard 42
  kirosu discard 42 --force                 with changes that are not on its branch
It prints the branch's last commit: `git branch NAME COMMIT` brings it back, until git forgets it.";

/// Removes the worktree and the branch of a task
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK")]
    task_id: TaskId,
    /// Also where files were changed since the last commit on its branch
    #[arg(long)]
    force: bool,
}

/// Discards.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_client()?;
    let git = worktrees::git();
    let record = worktrees::of_task(&loaded.settings, &git, args.task_id).await;
    let record = record.map_err(Failure::Local)?;
    let tip = worktrees::discard(&git, &record, args.force).await;
    let tip = tip.map_err(local)?;
    let (id, branch) = (args.task_id, &record.branch);
    match context.screen.json {
        true => context
            .screen
            .json(&json!({ "task_id": id, "branch": branch, "tip": tip }))?,
        false => context.screen.foreign(&format!(
            "discarded task {id}: branch {branch} was at {tip}"
        ))?,
    }
    Ok(0)
}
