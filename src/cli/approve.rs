//! `kirosu approve`: answers a `human` task, or lets a waiting one run.

use super::connect::Context;
use super::each::{actor, each};
use super::failure::Failure;
use kirosu_protocol::{Subject, TaskId};
use kirosu_protocol::verbs::approve::ApproveAsk;

const EXAMPLES: &str = "\
Examples:
  kirosu list --status awaiting_approval
  kirosu approve 42
  kirosu approve 42 --comment \"go ahead\"";

/// Approves tasks that wait for a person
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tasks
    #[arg(value_name = "ID", required = true)]
    task_ids: Vec<TaskId>,
    /// What you want to say with it
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Who decides, for the record [default: you]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Approves each.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let ask = |task_id| ApproveAsk {
        subject: Subject::Task(task_id),
        by: actor(&args.by),
        comment: args.comment.clone(),
    };
    each(&args.task_ids, "approved", &hub, context, ask).await
}
