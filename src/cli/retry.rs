//! `kirosu retry`: enqueues failed and cancelled tasks again.

use super::connect::{Context, HubClient};
use super::failure::Failure;
use super::select::{SelectArgs, Selection, counted};
use crate::terminal::text;
use kirosu_protocol::client::CallError;
use kirosu_protocol::verbs::retry::RetryParams;
use kirosu_protocol::verbs::retry_failed::RetryFailedParams;
use kirosu_protocol::{Target, TaskId};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kirosu retry 42
  kirosu retry 42 --with-dependencies       and the failed or cancelled tasks that it depends on
  kirosu retry --failed                     every failed task
  kirosu retry --failed --queue docs
  kirosu retry --label night                tasks of the label that failed or were cancelled
  kirosu retry --label night --failed       only those that failed
  kirosu retry --label night --with-dependencies
  kirosu retry 12-40";

/// Enqueues failed or cancelled tasks again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    select: SelectArgs,
    /// Also retries the failed and cancelled tasks that they depend on
    #[arg(long)]
    with_dependencies: bool,
    /// Only failed tasks (all, or those of the group), except those whose dependencies were cancelled or deleted
    #[arg(long)]
    failed: bool,
}

/// Retries the tasks.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let with_dependencies = args.with_dependencies;
    if args.failed && !with_dependencies && args.select.is_only_a_queue() {
        return every_failed(args.select.queue(), context).await;
    }
    let choice = args.select.choice()?;
    let hub = context.connect().await?;
    match choice {
        Selection::Tasks(_) if args.failed => Err(Failure::Usage(
            "--failed selects from all tasks or from a group (--label, --queue, --parent, 12-40); omit it for single tasks"
                .into(),
        )),
        Selection::Tasks(task_ids) => each_task(&task_ids, with_dependencies, &hub, context).await,
        Selection::Group(group) => {
            let params = RetryParams {
                target: Target::Group(group),
                failed: args.failed,
                with_dependencies,
            };
            let answer = hub.request_idempotent(&params).await?;
            let done = match answer.dependencies {
                Some(count) => format!("queued again, and {count} that they depend on"),
                None => "queued again".to_owned(),
            };
            counted(&answer, answer.retried.unwrap_or(0), &done, context)
        }
    }
}

/// Retries every failed task of the hub, or of one queue.
async fn every_failed(queue: Option<String>, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let answer = hub.request(&RetryFailedParams { queue }).await?;
    match context.screen.json {
        true => context.screen.json(&answer)?,
        false => context.screen.print(&format!(
            "queued {} again",
            text::count(answer.retried, "failed task")
        ))?,
    }
    Ok(0)
}

/// Retries the tasks one after the other. A task that fails again at once, because a dependency has no result, counts
/// as refused.
async fn each_task(
    task_ids: &[TaskId],
    with_dependencies: bool,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    let screen = &context.screen;
    let (mut done_ids, mut refused): (Vec<TaskId>, Vec<Value>) = (Vec::new(), Vec::new());
    for task_id in task_ids.iter().copied() {
        let params = RetryParams {
            with_dependencies,
            ..RetryParams::task(task_id)
        };
        let failure = match hub.client.request(&params).await {
            Ok(answer) if answer.status.is_none() => {
                done_ids.push(task_id);
                if !screen.json {
                    screen.print(&format!("task {task_id} queued again"))?;
                }
                continue;
            }
            Ok(answer) => {
                let why = answer.error.unwrap_or_default();
                Failure::Local(format!(
                    "task {task_id} failed again at once: {why}; `kirosu retry {task_id} --with-dependencies` also retries its dependencies"
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
        screen.json(&json!({ "ok": done_ids, "refused": refused }))?;
    }
    Ok(u8::from(!refused.is_empty()))
}
