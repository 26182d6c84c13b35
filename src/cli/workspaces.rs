//! `kirosu workspaces`: the worktrees on this machine.

use super::connect::Context;
use super::diff::local;
use super::discard::{lines, references};
use super::failure::Failure;
use super::show::paint::Paint;
use super::show::table::{Cell, Column, Table};
use super::show::text::count;
use super::show::time::{ago, now, stamp};
use crate::worktrees::{self, Git, Pruned, Removed, WorktreeRecord};
use kirosu_config::Settings;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kirosu workspaces
  kirosu workspaces --prune                 removes those that were applied or discarded, and unchanged ones
  kirosu workspaces --prune --ignored       also where files that git ignores (build outputs, .env) are left in them
  kirosu workspaces --repair                after a repository or data_dir was moved
  kirosu workspaces --json | jq -r '.workspaces[] | select(.state == \"kept\") | .task_id'
In a pipe the columns are: task, pool, state, ended, files, bytes, changed, branch, path.
--prune looks again: a branch that no other branch has (any more), that is checked out somewhere, or a folder with anything
that no commit has, stays and is named. Each removed branch is printed with its last commit.";

/// Shows the worktrees of tasks on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Removes what is left of applied and discarded ones, and those whose task is done and changed nothing
    #[arg(long)]
    prune: bool,
    /// With --prune: files that git ignores do not keep a worktree
    #[arg(long, requires = "prune")]
    ignored: bool,
    /// Connects worktrees and their repositories again after one of them, or data_dir, was moved
    #[arg(long, conflicts_with = "prune")]
    repair: bool,
}

/// One worktree, looked at.
struct Row {
    record: WorktreeRecord,
    /// Files that differ from the base; `None`: git could not tell.
    files: Option<usize>,
    bytes: u64,
}

/// Prints them, or prunes.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_folders()?;
    let records = worktrees::find(&loaded.settings.workspaces_dir(), None);
    let git = worktrees::git();
    let settings = &loaded.settings;
    if args.prune {
        return prune(settings, &git, records, args.ignored, context).await;
    }
    if args.repair {
        return repair(settings, &git, records, context).await;
    }
    let mut rows = Vec::new();
    for record in records {
        let record = match worktrees::located(settings, &git, &record).await {
            Ok(found) => found,
            Err(fault) => {
                local(fault).report(context.screen.json);
                record
            }
        };
        rows.push(look(&git, record).await);
    }
    let screen = &context.screen;
    if screen.json {
        let rows: Vec<Value> = rows.iter().map(document).collect();
        screen.json(&json!({ "workspaces": rows }))?;
    } else if rows.is_empty() {
        screen.note("no worktrees")?;
    } else {
        table(&rows).print(screen)?;
    }
    Ok(0)
}

async fn look(git: &Git, record: WorktreeRecord) -> Row {
    let files = async {
        let tip = worktrees::tip(git, &record).await?;
        worktrees::changes(git, &record, &tip).await
    };
    Row {
        files: files.await.ok().map(|files| files.len()),
        bytes: worktrees::size(&record),
        record,
    }
}

fn document(row: &Row) -> Value {
    let record = &row.record;
    json!({
        "task_id": record.task_id,
        "pool": record.pool,
        "state": record.state.as_str(),
        "ended": record.ended,
        "files": row.files,
        "size_bytes": row.bytes,
        "changed_at": record.changed_ms as f64 / 1000.0,
        "branch": record.branch,
        "base": record.base,
        "path": record.path,
        "moved_to": worktrees::moved_to(record),
        "repository": record.repository,
    })
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        Column::number("TASK"),
        Column::text("POOL"),
        Column::text("STATE"),
        Column::text("ENDED"),
        Column::number("FILES"),
        Column::number("SIZE"),
        Column::text("CHANGED"),
        Column::text("BRANCH").yields(1),
        Column::long("PATH").yields(2),
    ]);
    let now = now();
    for Row {
        record,
        files,
        bytes,
    } in rows
    {
        let changed = record.changed_ms as f64 / 1000.0;
        let state = record.state.as_str();
        let paint = match state {
            "running" => Paint::Busy,
            "kept" => Paint::Attention,
            _ => Paint::Dim,
        };
        table.row([
            Cell::new(record.task_id.to_string()),
            Cell::new(&record.pool),
            Cell::new(state).painted(paint),
            Cell::new(record.ended.as_deref().unwrap_or_default()),
            Cell::new(files.map_or("?".to_owned(), |files| files.to_string())),
            Cell::new(format!("{:.1} MiB", *bytes as f64 / f64::from(1 << 20)))
                .exact(bytes.to_string()),
            Cell::new(ago(changed, now)).exact(stamp(changed)),
            Cell::new(&record.branch),
            Cell::new(match worktrees::moved_to(record) {
                Some(place) => format!("moved to {}", place.display()),
                None => record.path.to_string_lossy().into_owned(),
            }),
        ]);
    }
    table
}

/// Removes what it can; the exit code is 1 where something could not be looked at or removed.
async fn prune(
    settings: &Settings,
    git: &Git,
    mut records: Vec<WorktreeRecord>,
    ignored: bool,
    context: &Context,
) -> Result<u8, Failure> {
    // The folder of an earlier attempt may go once the task's own is gone.
    records.sort_by_key(|it| it.attempt_of.is_some());
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    let mut last = None;
    for record in records {
        let pruned = match worktrees::located(settings, git, &record).await {
            Ok(record) => worktrees::prune(git, &record, ignored).await,
            Err(fault) => Err(fault),
        };
        match pruned {
            Ok(Pruned::Removed(it)) => removed.push(it),
            Ok(Pruned::Kept(why)) => kept.push((record, why)),
            Ok(Pruned::Open | Pruned::Gone) => {}
            Err(fault) => {
                if let Some(earlier) = last.replace(local(fault)) {
                    earlier.report(context.screen.json);
                }
            }
        }
    }
    print(&removed, &kept, context)?;
    last.map_or(Ok(0), Err)
}

fn print(
    removed: &[Removed],
    kept: &[(WorktreeRecord, String)],
    context: &Context,
) -> Result<(), Failure> {
    let screen = &context.screen;
    if screen.json {
        let ids: Vec<i64> = removed.iter().map(|it| it.task_id).collect();
        let references: Vec<Value> = removed.iter().flat_map(references).collect();
        let kept = kept.iter().map(|(record, why)| {
            json!({
                "task_id": record.task_id, "branch": record.branch, "path": record.path, "reason": why,
            })
        });
        return screen.json(&json!({
            "removed": ids, "removed_refs": references, "kept": kept.collect::<Vec<_>>(),
        }));
    }
    let worktrees = count(removed.len() as u64, "worktree");
    screen.print(&format!("removed {worktrees}"))?;
    for line in removed.iter().flat_map(lines) {
        screen.foreign(&format!("  {line}"))?;
    }
    for (record, why) in kept {
        screen.foreign(&format!(
            "kept {} (task {}): {why}",
            record.name, record.task_id
        ))?;
    }
    Ok(())
}

/// Repairs what it can, and says what; the exit code is 1 where something could not be repaired.
async fn repair(
    settings: &Settings,
    git: &Git,
    records: Vec<WorktreeRecord>,
    context: &Context,
) -> Result<u8, Failure> {
    let screen = &context.screen;
    let mut rows = Vec::new();
    let mut last = None;
    for record in records {
        let pool_dir = worktrees::pool_dir(settings, &record);
        match worktrees::repair(git, &record, pool_dir).await {
            Ok(repaired) if repaired.is_empty() => {}
            Ok(repaired) => {
                if !screen.json {
                    let id = record.task_id;
                    screen.foreign(&format!("task {id}: {}", repaired.join("; ")))?;
                }
                rows.push(json!({ "task_id": record.task_id, "repaired": repaired }));
            }
            Err(fault) => {
                if let Some(earlier) = last.replace(local(fault)) {
                    earlier.report(screen.json);
                }
            }
        }
    }
    match screen.json {
        true => screen.json(&json!({ "repaired": rows }))?,
        false => screen.print(&format!(
            "repaired {}",
            count(rows.len() as u64, "worktree")
        ))?,
    }
    last.map_or(Ok(0), Err)
}
