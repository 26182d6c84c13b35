//! `kirosu workspaces`: lists, prunes and repairs the worktrees on this machine.

use super::diff::local;
use super::discard::{lines, references};
use super::{Cell, Column, Context, Failure, Paint, TextTable};
use crate::terminal::text::count;
use crate::terminal::time::{ago, now, stamp};
use crate::worktrees::{self, Git, Pruned, Removed, Worktree};
use kirosu_config::Settings;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kirosu workspaces
  kirosu workspaces --prune                 removes applied, discarded and unchanged worktrees
  kirosu workspaces --prune --ignored       also those with files that git ignores (build outputs, .env)
  kirosu workspaces --repair                after a repository or data_dir was moved
  kirosu workspaces --json | jq -r '.workspaces[] | select(.state == \"kept\") | .task_id'
In a pipe the columns are: task, pool, state, ended, files, bytes, changed, branch, path.
--prune checks again, and keeps and names a branch that is not in another branch or is checked out, and a folder with
anything that is not committed. It prints each removed branch with its last commit.";

/// Lists the worktrees of tasks on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Removes applied and discarded worktrees, and those of done tasks without changes
    #[arg(long)]
    prune: bool,
    /// With --prune: also removes worktrees with files that git ignores
    #[arg(long, requires = "prune")]
    ignored: bool,
    /// Reconnects worktrees and repositories after one of them, or data_dir, was moved
    #[arg(long, conflicts_with = "prune")]
    repair: bool,
}

/// A worktree with its size.
struct WorktreeRow {
    record: Worktree,
    /// Number of files that differ from the base; `None` if git failed.
    files: Option<usize>,
    bytes: u64,
}

/// Lists, prunes or repairs.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_folders()?;
    let records = worktrees::find(&loaded.settings.workspaces_dir(), None);
    let git = worktrees::git(&loaded.settings);
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
        rows.push(measure(&git, record).await);
    }
    let screen = &context.screen;
    let documents: Vec<Value> = rows.iter().map(document).collect();
    screen.answer(&json!({ "workspaces": documents }), || {
        match rows.is_empty() {
            true => screen.note("no worktrees"),
            false => table(&rows).print(screen),
        }
    })
}

async fn measure(git: &Git, record: Worktree) -> WorktreeRow {
    let files = async {
        let tip = worktrees::tip(git, &record).await?;
        worktrees::changes(git, &record, &tip).await
    };
    WorktreeRow {
        files: files.await.ok().map(|files| files.len()),
        bytes: worktrees::size(&record),
        record,
    }
}

fn document(row: &WorktreeRow) -> Value {
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

fn table(rows: &[WorktreeRow]) -> TextTable {
    let mut table = TextTable::new([
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
    for WorktreeRow {
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

/// Removes what can be removed. The exit code is 1 if a worktree could not be examined or removed.
async fn prune(
    settings: &Settings,
    git: &Git,
    mut records: Vec<Worktree>,
    ignored: bool,
    context: &Context,
) -> Result<u8, Failure> {
    // The folder of an earlier attempt can be removed only after the task's own.
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
    kept: &[(Worktree, String)],
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
        screen.print_untrusted(&format!("  {line}"))?;
    }
    for (record, why) in kept {
        screen.print_untrusted(&format!(
            "kept {} (task {}): {why}",
            record.name, record.task_id
        ))?;
    }
    Ok(())
}

/// Repairs what can be repaired and prints the repairs. The exit code is 1 if one failed.
async fn repair(
    settings: &Settings,
    git: &Git,
    records: Vec<Worktree>,
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
                    screen.print_untrusted(&format!("task {id}: {}", repaired.join("; ")))?;
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
