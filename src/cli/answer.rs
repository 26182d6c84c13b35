//! `kirosu answer`: answers a `human` task.

use super::each::{actor, each};
use super::enqueue::piped;
use super::{Context, Failure, task_id};
use kirosu_protocol::{AnswerParams, TaskId};
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  kirosu answer 44 \"the second\"
  kirosu answer 44 - < review.md            the answer from standard input
  kirosu approvals                          tasks that wait for a person";

/// Answers a task of type human; the text becomes its result
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "ID", value_parser = task_id)]
    task_id: TaskId,
    /// The answer; `-` or no text reads it from standard input
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Name of the person who answers, for the record [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Sends the answer.
///
/// # Errors
/// The answer is empty or cannot be read, or the hub cannot be reached.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let text = match &args.text {
        Some(text) if text != "-" => text.clone(),
        given => piped(Path::new("-"), given.is_some(), "answer").await?,
    };
    if text.trim().is_empty() {
        return Err(Failure::Usage(
            "the answer is empty; to answer without a text, use `kirosu approve`".into(),
        ));
    }
    let hub = context.connect().await?;
    let params = AnswerParams {
        task_id: args.task_id,
        text,
        by: actor(&args.by),
    };
    each([(args.task_id.into(), params)], "answered", &hub, context).await
}
