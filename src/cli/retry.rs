//! `kirosu retry`: failed and cancelled tasks go back into the queue.

use super::connect::{Context, Hub};
use super::failure::Failure;
use super::select::{Choice, Select, counted};
use super::show::text;
use kirosu_protocol::client::CallError;
use kirosu_protocol::verbs::retry::RetryParams;
use kirosu_protocol::verbs::retry_failed::RetryFailedParams;
use kirosu_protocol::{Target, TaskId};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kirosu retry 42
  kirosu retry 42 --with-dependencies       and what it depends on, as far as that failed or was cancelled
  kirosu retry --failed                     every failed task
  kirosu retry --failed --queue docs
  kirosu retry --label night                those that failed or were cancelled
  kirosu retry --label night --failed       only those that failed
  kirosu retry --label night --with-dependencies
  kirosu retry 12-40";

/// Puts failed or cancelled tasks back into the queue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: Select,
    /// The failed and cancelled tasks that they depend on too
    #[arg(long)]
    with_dependencies: bool,
    /// Only failed tasks (every one, or those of the group), but for those whose dependencies were cancelled or are gone
    #[arg(long)]
    failed: bool,
}

/// Queues them again.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let along = args.with_dependencies;
    if args.failed && !along && args.select.is_only_a_queue() {
        return every_failed(args.select.queue(), context).await;
    }
    let choice = args.select.choice()?;
    let hub = context.connect().await?;
    match choice {
        Choice::Tasks(_) if args.failed => Err(Failure::Usage(
            "--failed is for every task or a group (--label, --queue, --parent, 12-40); leave it out for single tasks"
                .into(),
        )),
        Choice::Tasks(task_ids) => each_task(&task_ids, along, &hub, context).await,
        Choice::Group(group) => {
            let ask = RetryParams {
                target: Target::Group(group),
                failed: args.failed,
                with_dependencies: along,
            };
            let answer = hub.insist(&ask).await?;
            let done = match answer.dependencies {
                Some(count) => format!("queued again, and {count} that they depend on"),
                None => "queued again".to_owned(),
            };
            counted(&answer, answer.retried.unwrap_or(0), &done, context)
        }
    }
}

/// Every failed task of the hub, or of one queue.
async fn every_failed(queue: Option<String>, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let answer = hub.ask(&RetryFailedParams { queue }).await?;
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
async fn each_task(
    task_ids: &[TaskId],
    with_dependencies: bool,
    hub: &Hub,
    context: &Context,
) -> Result<u8, Failure> {
    let screen = &context.screen;
    let (mut went, mut refused): (Vec<TaskId>, Vec<Value>) = (Vec::new(), Vec::new());
    for task_id in task_ids.iter().copied() {
        let ask = RetryParams {
            with_dependencies,
            ..RetryParams::task(task_id)
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
