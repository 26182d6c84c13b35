//! `kirosu apply`: what a task changed gets into the checkout.

use super::connect::Context;
use super::diff::local;
use super::failure::Failure;
use super::numbers::task_id;
use super::show::text::count;
use crate::worktrees::{self, ApplyMode, ApplyOutcome};
use kirosu_protocol::TaskId;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  kirosu apply 42 --check                   says whether it would go, and changes nothing
  kirosu apply 42
  git revert -m 1 HEAD                      takes it back
It merges the task's branch into the branch that is checked out in the repository of its pool, as one merge commit. Where
both changed the same lines, or you have changes of your own in one of the files or something where a new file comes
(ignored or not), or something of the worktree is not on the branch, nothing is applied. --check gives the same answer.";

/// Merges what a task changed into the branch that you have checked out
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = task_id)]
    task_id: TaskId,
    /// Only says whether it would go
    #[arg(long)]
    check: bool,
    /// Also where something of the worktree is not on its branch: only what is on the branch is applied
    #[arg(long)]
    partial: bool,
}

/// Applies, and tells what came of it.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_folders()?;
    let git = worktrees::git();
    let record = worktrees::of_task(&loaded.settings, &git, args.task_id).await;
    let record = record.map_err(Failure::Local)?;
    let how = ApplyMode {
        check: args.check,
        partial: args.partial,
    };
    let applied = worktrees::apply(&git, &record, how).await;
    let applied = applied.map_err(local)?;
    let screen = &context.screen;
    let id = args.task_id;
    let none = &Vec::new();
    let (word, into, files, commit, note) = match &applied {
        ApplyOutcome::Nothing => ("nothing", None, none, None, None),
        ApplyOutcome::Already => ("already", None, none, None, None),
        ApplyOutcome::Possible { into, files, note } => {
            ("possible", Some(into), files, None, note.as_ref())
        }
        ApplyOutcome::Merged {
            into,
            files,
            commit,
            note,
        } => ("merged", Some(into), files, Some(commit), note.as_ref()),
    };
    if screen.json {
        let repository = &record.repository;
        screen.json(&json!({
            "task_id": id, "applied": word, "branch": record.branch, "repository": repository,
            "into": into, "commit": commit, "files": files, "note": note,
        }))?;
        return Ok(0);
    }
    let changed = count(files.len() as u64, "file");
    let place = record.repository.display();
    let into = into.map_or("", String::as_str);
    screen.foreign(&match word {
        "nothing" => format!("task {id} changed nothing"),
        "already" => format!("{} is already merged", record.branch),
        "possible" => format!("task {id} can be applied: {changed} on {into} in {place}"),
        _ => format!(
            "applied task {id}: {changed} on {into} in {place} (commit {})",
            commit.map_or("", |it| &it[..it.len().min(10)])
        ),
    })?;
    if let Some(note) = note {
        screen.foreign(&format!("note: {note}"))?;
    }
    Ok(0)
}
