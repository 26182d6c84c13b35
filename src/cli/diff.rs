//! `kirosu diff`: shows the changes of a task's worktree.

use super::{Context, Failure, Paint, Screen, task_id};
use crate::terminal::sanitizer::Sanitizer;
use crate::worktrees::{self, FileChange, Git, Worktree};
use kirosu_protocol::TaskId;
use serde_json::{Value, json};
use std::process::Command;

const EXAMPLES: &str = "\
Examples:
  kirosu diff 42
  kirosu diff 42 --stat
  kirosu diff 42 | git apply                in another checkout
  kirosu diff 42 --json | jq -r '.files[].path'
For a running task, it shows the changes so far. Only pools with workspace = \"worktree\" have worktrees.";

/// Shows the changes that a task made in its worktree
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = task_id)]
    task_id: TaskId,
    /// Only the files, with the number of changed lines
    #[arg(long)]
    stat: bool,
}

/// Prints the diff.
///
/// # Errors
/// The task has no worktree here, or git fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let (git, record) = worktree(args.task_id, context).await?;
    let tip = worktrees::tip(&git, &record).await.map_err(local)?;
    let screen = &context.screen;
    if screen.json {
        let files = worktrees::changes(&git, &record, &tip).await;
        screen.json(&document(&record, &tip, &files.map_err(local)?))?;
        return Ok(0);
    }
    let more: &[&str] = if args.stat { &["--stat"] } else { &[] };
    let command = worktrees::diff_command(&git, &record, &tip, more).await;
    print(command.map_err(local)?, screen)?;
    Ok(0)
}

/// The newest worktree of a task on this machine.
///
/// # Errors
/// The settings have a fault, or the task has no worktree here.
pub(super) async fn worktree(
    task_id: TaskId,
    context: &Context,
) -> Result<(Git, Worktree), Failure> {
    let loaded = context.globals.for_folders()?;
    let git = worktrees::git(&loaded.settings);
    let record = worktrees::of_task(&loaded.settings, &git, task_id).await;
    Ok((git, record.map_err(Failure::Local)?))
}

/// Converts a fault of git into a local failure.
pub(super) fn local(fault: worktrees::GitFault) -> Failure {
    Failure::Local(fault.to_string())
}

fn document(record: &Worktree, tip: &str, files: &[FileChange]) -> Value {
    json!({
        "task_id": record.task_id,
        "pool": record.pool,
        "state": record.state.as_str(),
        "ended": record.ended,
        "branch": record.branch,
        "path": record.path,
        "repository": record.repository,
        "base": record.base,
        "tip": tip,
        "files": files.iter().map(file).collect::<Vec<_>>(),
    })
}

fn file(change: &FileChange) -> Value {
    json!({ "path": change.path, "added": change.added, "removed": change.removed })
}

/// In a pipe, git writes its bytes unchanged; on a terminal, the text is sanitized and painted.
fn print(mut command: Command, screen: &Screen) -> Result<(), Failure> {
    let failed = |why| Failure::local("cannot run git", why);
    if screen.width.is_none() {
        let status = command.status().map_err(failed)?;
        return match status.success() {
            true => Ok(()),
            // Killed by SIGPIPE: the reader has closed the pipe.
            false if status.code().is_none() => Err(Failure::PipeClosed),
            false => Err(Failure::Local(format!("git diff failed: {status}"))),
        };
    }
    let output = command.output().map_err(failed)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::local("git diff failed", stderr.trim()));
    }
    let text = Sanitizer::whole(&String::from_utf8_lossy(&output.stdout));
    let lines = text.lines().map(|line| screen.paint(paint(line), line));
    screen.print(&lines.collect::<Vec<_>>().join("\n"))
}

fn paint(line: &str) -> Paint {
    let heads = ["diff ", "index ", "+++", "---", "new file", "deleted file"];
    match line.as_bytes().first() {
        _ if heads.iter().any(|head| line.starts_with(head)) => Paint::Bold,
        Some(b'+') => Paint::Good,
        Some(b'-') => Paint::Bad,
        Some(b'@') => Paint::Busy,
        _ => Paint::Plain,
    }
}
