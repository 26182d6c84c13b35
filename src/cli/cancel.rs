//! `kirosu cancel`: ends unfinished tasks.

use super::connect::Context;
use super::each::{actor, each};
use super::failure::Failure;
use super::select::{Choice, Select, counted};
use kirosu_protocol::Target;
use kirosu_protocol::verbs::cancel::CancelParams;

const EXAMPLES: &str = "\
Examples:
  kirosu cancel 42 43
  kirosu cancel 12-40                       those of them that have not ended
  kirosu cancel --label night
  kirosu cancel 42 --reason \"not needed any more\"
  kirosu cancel --queue docs --label night  what is in the queue and has the label";

/// Ends unfinished tasks; a running one is stopped
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: Select,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who asks for it, for the record [default: you]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Cancels each.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let choice = args.select.choice()?;
    let hub = context.connect().await?;
    let ask = |target| CancelParams {
        target,
        by: actor(&args.by),
        reason: args.reason.clone(),
    };
    match choice {
        Choice::Tasks(task_ids) => {
            let of_task = |task_id| ask(Target::Task(task_id));
            each(&task_ids, "cancelled", &hub, context, of_task).await
        }
        Choice::Group(group) => {
            let answer = hub.insist(&ask(Target::Group(group))).await?;
            let count = answer.cancelled.unwrap_or(0);
            counted(&answer, count, "cancelled", context)
        }
    }
}
