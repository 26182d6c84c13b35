//! `kirosu retry`: failed and cancelled tasks go back into the queue.

use super::connect::Context;
use super::each::each;
use super::failure::Failure;
use super::show::text;
use kirosu_protocol::TaskId;
use kirosu_protocol::verbs::retry::RetryAsk;
use kirosu_protocol::verbs::retry_failed::RetryFailedAsk;

const EXAMPLES: &str = "\
Examples:
  kirosu retry 42
  kirosu retry --failed                     every failed task
  kirosu retry --failed --queue docs";

/// Puts failed or cancelled tasks back into the queue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tasks
    #[arg(
        value_name = "ID",
        required_unless_present = "failed",
        conflicts_with = "failed"
    )]
    task_ids: Vec<TaskId>,
    /// Every failed task
    #[arg(long)]
    failed: bool,
    /// With --failed: only those of this queue
    #[arg(long, requires = "failed")]
    queue: Option<String>,
}

/// Queues them again.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    if !args.failed {
        let ask = |task_id| RetryAsk { task_id };
        return each(&args.task_ids, "queued again", &hub, context, ask).await;
    }
    let answer = hub
        .ask(&RetryFailedAsk {
            queue: args.queue.clone(),
        })
        .await?;
    match context.screen.json {
        true => context.screen.json(&answer)?,
        false => context.screen.print(&format!(
            "queued {} again",
            text::count(answer.retried, "failed task")
        ))?,
    }
    Ok(0)
}
