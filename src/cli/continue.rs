//! `kirosu continue`: goes on with the conversation of a finished task, in its folder.

use super::enqueue::context::ContextArgs;
use super::enqueue::{self, AfterEnqueue, fields::Fields};
use super::{Context, Failure, task_id, time};
use kirosu_protocol::TaskId;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kirosu continue 42 \"Now write the tests\" --wait
  kirosu continue 42 \"The build fails on macOS, fix it\" --accept-command 'cargo test'
  cargo test 2>&1 | kirosu continue 42 - --wait

The prompt becomes a task of its own, with a result and costs of its own; `continue` with its number goes on further. It has
the queue (that of the pool), type, provider, model, system prompt, folder, time limit and labels of the earlier task unless a
flag sets another; --workdir cannot be set. The earlier task is done, or has failed, in a pool whose provider can continue
conversations: codex, claude, gemini and others over pipes, and agents of kind acp. A new conversation never begins: the hub
refuses, or the task fails with the reason.

Exit codes: 0 enqueued, 1 refused, 2 wrong usage; with --wait also 3 and 4, like kirosu wait.";

/// Continues the conversation of a finished task with a new prompt
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The finished task
    #[arg(value_name = "TASK", value_parser = task_id)]
    task: TaskId,
    /// The prompt; `-` reads it from standard input
    #[arg(value_name = "PROMPT", conflicts_with = "file")]
    prompt: Option<String>,
    /// Reads the prompt from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    files: ContextArgs,
    #[command(flatten)]
    fields: Fields,
    /// Waits until the task is finished, and prints its result
    #[arg(long, help_heading = "The answer")]
    wait: bool,
    /// With --wait: gives up after this time
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = time::read_span, help_heading = "The answer")]
    wait_timeout: Option<Duration>,
}

/// Enqueues the task that continues the other, and waits if asked to.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let mut fields = args.fields.to_json()?;
    let prompt = enqueue::prompt(args.prompt.as_deref(), args.file.as_deref()).await?;
    let prompt = args.files.before(prompt).await?;
    fields.insert("prompt".into(), Value::String(prompt));
    fields.insert("continues".into(), args.task.into());
    let then = AfterEnqueue {
        at: args.fields.at,
        wait: args.wait,
        wait_timeout: args.wait_timeout,
    };
    enqueue::send(fields, &then, context).await
}
