//! `kirosu status`: shows the task counters and the newest tasks.

use super::list::{PAGE, preview, read_status};
use super::show::task;
use super::{Context, Failure, Paint, time, whole};
use crate::terminal::text::one_line;
use kirosu_protocol::{ListParams, ListStatus, PoolsParams, Status};

/// State of a pool without budget. It is shown here because its tasks look like any queued task.
const NO_BUDGET: &str = "budget_exhausted";

const EXAMPLES: &str = "\
Examples:
  kirosu status
  kirosu status --status failed --limit 5
  kirosu status --json | jq .stats";

/// Shows the task counters and the newest tasks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Number of tasks to show; 0 shows all
    #[arg(long, default_value_t = PAGE, value_name = "NUMBER", value_parser = whole::<u32>(0..=i64::from(u32::MAX), 100))]
    limit: u32,
    /// Only tasks with this status
    #[arg(long, value_parser = read_status)]
    status: Option<Status>,
}

/// Prints counters, warnings and tasks.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let params = ListParams {
        status: args.status.map_or(ListStatus::Any, ListStatus::Is),
        limit: (args.limit > 0).then_some(args.limit),
        preview_bytes: preview(false, &context.screen),
        ..ListParams::default()
    };
    let hub = context.connect().await?;
    let answer = hub.request_idempotent(&params).await?;
    let screen = &context.screen;
    if screen.json {
        screen.json(&answer)?;
        return Ok(0);
    }
    let pools = hub.request_idempotent(&PoolsParams::default()).await?.pools;
    screen.print(&task::counters(&answer.stats, screen))?;
    if answer.stats.draining {
        screen.print(&screen.paint(Paint::Attention, super::drain::DRAINS))?;
    }
    if !answer.stats.paused.is_empty() {
        let paused = super::pause::paused(&answer.stats.paused);
        screen.print(&screen.paint(Paint::Attention, &paused))?;
    }
    for pool in pools.iter().filter(|pool| pool.state == NO_BUDGET) {
        let why = pool.note.as_deref().unwrap_or_default();
        let line = format!("pool {} takes no tasks: {}", pool.name, one_line(why));
        screen.print(&screen.paint(Paint::Attention, &line))?;
    }
    if !answer.tasks.is_empty() {
        screen.raw("\n")?;
        task::table(&answer.tasks, screen, time::now()).print(screen)?;
    }
    Ok(0)
}
