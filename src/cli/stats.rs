//! `kirosu stats`: shows the task counters.

use super::{Context, Failure, Sheet, text, time};
use kirosu_protocol::StatsParams;

const EXAMPLES: &str = "\
Examples:
  kirosu stats
  kirosu stats --json | jq .stats.queued";

/// Shows the task counters
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Prints the counters.
pub async fn run(_args: &Args, context: &Context) -> Result<u8, Failure> {
    let answer = context
        .connect()
        .await?
        .request_idempotent(&StatsParams {})
        .await?;
    let (screen, stats) = (&context.screen, &answer.stats);
    let number = |n: i64| match screen.width {
        Some(_) => text::grouped(n.max(0) as u64),
        None => n.to_string(),
    };
    let mut sheet = Sheet::default();
    sheet
        .fact("queued", number(stats.queued))
        .fact("blocked", number(stats.blocked))
        .fact("scheduled", number(stats.scheduled))
        .fact("awaiting approval", number(stats.awaiting_approval))
        .fact("leased", number(stats.leased))
        .fact("done", number(stats.done))
        .fact("failed", number(stats.failed))
        .fact("cancelled", number(stats.cancelled))
        .fact("total", number(stats.total_tasks))
        .fact("done within the hour", number(stats.completed_last_hour))
        .fact(
            "mean time to done",
            time::span(stats.avg_completion_time_sec),
        )
        .maybe("draining", stats.draining.then_some("yes"))
        .maybe(
            "paused",
            (!stats.paused.is_empty()).then(|| super::pause::names(&stats.paused)),
        )
        .fact("failed share", format!("{} %", stats.error_rate_percent));
    screen.answer(&answer, || sheet.print(screen))
}
