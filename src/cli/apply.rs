//! `kirosu apply`: merges a task's changes into the checkout.

use super::diff::{local, worktree};
use super::{Context, Failure, task_id};
use crate::terminal::text::count;
use crate::worktrees::{self, ApplyMode, ApplyOutcome};
use kirosu_protocol::TaskId;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  kirosu apply 42 --check                   shows whether it can be applied; changes nothing
  kirosu apply 42
  git revert -m 1 HEAD                      reverts it
It merges the task's branch into the branch that is checked out in the repository of its pool, as one merge commit.
Nothing is applied if both changed the same lines, if you have changes of your own in one of the files, if a file exists
(ignored or not) where a new one is to be written, or if the worktree has something that is not on the branch.
--check gives the same answer.";

/// Merges the changes of a task into the branch that you have checked out
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = task_id)]
    task_id: TaskId,
    /// Only shows whether the changes can be applied
    #[arg(long)]
    check: bool,
    /// Applies what is on the branch, even if the worktree has something that is not on it
    #[arg(long)]
    partial: bool,
}

/// Applies the changes and prints the result.
///
/// # Errors
/// The task has no worktree here, git fails, or the changes cannot be merged.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let (git, record) = worktree(args.task_id, context).await?;
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
    let answer = json!({
        "task_id": id, "applied": word, "branch": record.branch, "repository": record.repository,
        "into": into, "commit": commit, "files": files, "note": note,
    });
    let changed = count(files.len() as u64, "file");
    let place = record.repository.display();
    let into = into.map_or("", String::as_str);
    let mut text = match word {
        "nothing" => format!("task {id} changed nothing"),
        "already" => format!("{} is already merged", record.branch),
        "possible" => format!("task {id} can be applied: {changed} on {into} in {place}"),
        _ => format!(
            "applied task {id}: {changed} on {into} in {place} (commit {})",
            commit.map_or("", |it| &it[..it.len().min(10)])
        ),
    };
    text.extend(note.map(|note| format!("\nnote: {note}")));
    screen.answer(&answer, || screen.print_untrusted(&text))
}
