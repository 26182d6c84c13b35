//! `kirosu answer`: a person's answer to a `human` task.

use super::connect::Context;
use super::each::{actor, each};
use super::enqueue::piped;
use super::failure::Failure;
use super::numbers::task_id;
use kirosu_protocol::TaskId;
use kirosu_protocol::verbs::answer::AnswerParams;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  kirosu answer 44 \"the second\"
  kirosu answer 44 - < review.md            the answer from standard input
  kirosu approvals                          the questions that wait";

/// Answers a task of type human: the text is its result
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The task
    #[arg(value_name = "ID", value_parser = task_id)]
    task_id: TaskId,
    /// The answer; `-` or none reads it from standard input
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Who answers, for the record [default: you]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Answers it.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let text = match &args.text {
        Some(text) if text != "-" => text.clone(),
        given => piped(Path::new("-"), given.is_some(), "answer").await?,
    };
    if text.trim().is_empty() {
        return Err(Failure::Usage(
            "the answer is empty; to say no more than yes, use `kirosu approve`".into(),
        ));
    }
    let hub = context.connect().await?;
    let ask = |task_id| AnswerParams {
        task_id,
        text: text.clone(),
        by: actor(&args.by),
    };
    each(&[args.task_id], "answered", &hub, context, ask).await
}
