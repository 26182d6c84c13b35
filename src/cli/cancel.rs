//! `kirosu cancel`: cancels unfinished tasks.

use super::each::{actor, each};
use super::{Context, Failure, SelectArgs, Selection, counted};
use kirosu_protocol::{CancelParams, Target, TaskId};

const EXAMPLES: &str = "\
Examples:
  kirosu cancel 42 43
  kirosu cancel 12-40                       those of them that are unfinished
  kirosu cancel --label night
  kirosu cancel 42 --reason \"not needed any more\"
  kirosu cancel --queue docs --label night  tasks of the queue that have the label";

/// Cancels unfinished tasks; stops those that run
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: SelectArgs,
    /// The reason, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Name of the person who cancels, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Cancels each task, or the group.
///
/// # Errors
/// No task is named, or the hub cannot be reached.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let choice = args.select.choice()?;
    let hub = context.connect().await?;
    let params = |target| CancelParams {
        target,
        by: actor(&args.by),
        reason: args.reason.clone(),
    };
    match choice {
        Selection::Tasks(task_ids) => {
            let request = |task_id: TaskId| (task_id.into(), params(Target::Task(task_id)));
            each(
                task_ids.into_iter().map(request),
                "cancelled",
                &hub,
                context,
            )
            .await
        }
        Selection::Group(group) => {
            let params = params(Target::Group(group));
            let answer = hub.request_idempotent(&params).await?;
            let count = answer.cancelled.unwrap_or(0);
            counted(&answer, count, "cancelled", context)
        }
    }
}
