//! `kirosu retry`: failed and cancelled tasks go back into the queue.

use super::connect::{Context, Hub};
use super::failure::Failure;
use super::show::text;
use kirosu_protocol::TaskId;
use kirosu_protocol::client::CallError;
use kirosu_protocol::verbs::retry::RetryAsk;
use kirosu_protocol::verbs::retry_failed::RetryFailedAsk;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kirosu retry 42
  kirosu retry 42 --with-dependencies       and what it depends on, as far as that failed or was cancelled
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
    /// The failed and cancelled tasks that they depend on too
    #[arg(long, conflicts_with = "failed")]
    with_dependencies: bool,
    /// Every failed task, but for those whose dependencies were cancelled or are gone
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
        return each_task(args, &hub, context).await;
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

/// One after the other. One that fails again at once, for a dependency that has ended without a result, counts as refused.
async fn each_task(args: &Args, hub: &Hub, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    let (mut went, mut refused): (Vec<TaskId>, Vec<Value>) = (Vec::new(), Vec::new());
    for task_id in args.task_ids.iter().copied() {
        let ask = RetryAsk {
            task_id,
            with_dependencies: args.with_dependencies,
        };
        let failure = match hub.client.request(&ask).await {
            Ok(answer) if answer.status.is_none() => {
                went.push(task_id);
                if !screen.json {
                    screen.print(&format!("task {task_id} queued again"))?;
                }
                continue;
            }
            Ok(answer) => {
                let why = answer.error.unwrap_or_default();
                Failure::Local(format!(
                    "task {task_id} failed again at once: {why}; `kirosu retry {task_id} --with-dependencies` brings back what it depends on"
                ))
            }
            Err(error @ CallError::Refused(_)) => Failure::Call(error),
            Err(error) => return Err(error.into()),
        };
        failure.report(screen.json);
        let mut entry = failure.to_json();
        entry["task_id"] = json!(task_id);
        refused.push(entry);
    }
    if screen.json {
        screen.json(&json!({ "ok": went, "refused": refused }))?;
    }
    Ok(u8::from(!refused.is_empty()))
}
