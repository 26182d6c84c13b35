//! `kirosu retry`: failed and cancelled tasks go back into the queue.

use super::connect::Context;
use super::each::each;
use super::failure::Failure;
use super::select::{Choice, Select, counted};
use super::show::text;
use kirosu_protocol::verbs::retry::{RetryAsk, RetryGroupAsk};
use kirosu_protocol::verbs::retry_failed::RetryFailedAsk;

const EXAMPLES: &str = "\
Examples:
  kirosu retry 42
  kirosu retry --failed                     every failed task
  kirosu retry --failed --queue docs
  kirosu retry --label night                those that failed or were cancelled
  kirosu retry --label night --failed       only those that failed
  kirosu retry 12-40";

/// Puts failed or cancelled tasks back into the queue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: Select,
    /// Only failed tasks: every one, or those of the group
    #[arg(long)]
    failed: bool,
}

/// Queues them again.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    if args.failed && args.select.is_only_a_queue() {
        return every_failed(args.select.queue(), context).await;
    }
    let choice = args.select.choice()?;
    let hub = context.connect().await?;
    match choice {
        Choice::Tasks(_) if args.failed => Err(Failure::Usage(
            "--failed is for every task or a group (--label, --queue, --parent, 12-40); leave it out for single tasks"
                .into(),
        )),
        Choice::Tasks(task_ids) => {
            let ask = |task_id| RetryAsk { task_id };
            each(&task_ids, "queued again", &hub, context, ask).await
        }
        Choice::Group(group) => {
            let failed = args.failed;
            let answer = hub.insist(&RetryGroupAsk { group, failed }).await?;
            counted(&answer, answer.retried, "queued again", context)
        }
    }
}

/// Every failed task of the hub, or of one queue.
async fn every_failed(queue: Option<String>, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let answer = hub.ask(&RetryFailedAsk { queue }).await?;
    match context.screen.json {
        true => context.screen.json(&answer)?,
        false => context.screen.print(&format!(
            "queued {} again",
            text::count(answer.retried, "failed task")
        ))?,
    }
    Ok(0)
}
