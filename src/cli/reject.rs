//! `kirosu reject`: a `human` task, or one that waits for approval, fails.

use super::connect::Context;
use super::each::{actor, each};
use super::failure::Failure;
use kirosu_protocol::{Subject, TaskId};
use kirosu_protocol::verbs::reject::RejectAsk;

const EXAMPLES: &str = "\
Examples:
  kirosu reject 42 --reason \"too risky\"";

/// Rejects tasks that wait for a person: they fail
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tasks
    #[arg(value_name = "ID", required = true)]
    task_ids: Vec<TaskId>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who decides, for the record [default: you]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Rejects each.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let ask = |task_id| RejectAsk {
        subject: Subject::Task(task_id),
        by: actor(&args.by),
        reason: args.reason.clone(),
    };
    each(&args.task_ids, "rejected", &hub, context, ask).await
}
