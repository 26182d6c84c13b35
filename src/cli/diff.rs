//! `kirosu diff`: what a task changed in its worktree.

use super::connect::Context;
use super::failure::Failure;
use super::numbers::task_id;
use super::show::Screen;
use super::show::foreign::Foreign;
use super::show::paint::Paint;
use crate::worktrees::{self, FileChange, WorktreeRecord};
use kirosu_protocol::TaskId;
use serde_json::{Value, json};
use std::process::Command;

const EXAMPLES: &str = "\
Examples:
  kirosu diff 42
  kirosu diff 42 --stat
  kirosu diff 42 | git apply                elsewhere
  kirosu diff 42 --json | jq -r '.files[].path'
While the task runs it shows what is there now. Only pools with workspace = \"worktree\" have it.";

/// Shows what a task changed in its worktree
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = task_id)]
    task_id: TaskId,
    /// Only the files, with the number of lines
    #[arg(long)]
    stat: bool,
}

/// Prints it.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_folders()?;
    let git = worktrees::git();
    let record = worktrees::of_task(&loaded.settings, &git, args.task_id).await;
    let record = record.map_err(Failure::Local)?;
    let tip = worktrees::tip(&git, &record).await.map_err(local)?;
    let screen = &context.screen;
    if screen.json {
        let files = worktrees::changes(&git, &record, &tip).await;
        screen.json(&document(&record, &tip, &files.map_err(local)?))?;
        return Ok(0);
    }
    let more: &[&str] = if args.stat { &["--stat"] } else { &[] };
    print(worktrees::diff_command(&record, &tip, more), screen)?;
    Ok(0)
}

/// A fault of git is one of this machine.
pub(super) fn local(fault: worktrees::GitFault) -> Failure {
    Failure::Local(fault.to_string())
}

fn document(record: &WorktreeRecord, tip: &str, files: &[FileChange]) -> Value {
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

/// In a pipe byte by byte, on a terminal without what could steer it.
fn print(mut command: Command, screen: &Screen) -> Result<(), Failure> {
    let failed = |why| Failure::local("cannot run git", why);
    if screen.width.is_none() {
        let status = command.status().map_err(failed)?;
        return match status.success() {
            true => Ok(()),
            // Whoever read it has gone.
            false if status.code().is_none() => Err(Failure::PipeClosed),
            false => Err(Failure::Local(format!("git diff failed: {status}"))),
        };
    }
    let output = command.output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::local("git diff failed", said.trim()));
    }
    let text = Foreign::whole(&String::from_utf8_lossy(&output.stdout));
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
