//! `kirosu cancel`: ends unfinished tasks.

use super::connect::Context;
use super::each::{actor, each};
use super::failure::Failure;
use kirosu_protocol::TaskId;
use kirosu_protocol::verbs::cancel::CancelAsk;

const EXAMPLES: &str = "\
Examples:
  kirosu cancel 42 43
  kirosu cancel 42 --reason \"not needed any more\"
  kirosu list --all --status queued | cut -f1 | xargs kirosu cancel";

/// Ends unfinished tasks; a running one is stopped
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tasks
    #[arg(value_name = "ID", required = true)]
    task_ids: Vec<TaskId>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who asks for it, for the record [default: you]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Cancels each.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let ask = |task_id| CancelAsk {
        task_id,
        by: actor(&args.by),
        reason: args.reason.clone(),
    };
    each(&args.task_ids, "cancelled", &hub, context, ask).await
}
