//! `kirosu approve`: answers a `human` task, lets a waiting one run, or an agent use a tool.

use super::connect::Context;
use super::each::{actor, each, fence_of, questions, read_subject};
use super::failure::Failure;
use kirosu_protocol::Subject;
use kirosu_protocol::verbs::approve::ApproveParams;

const EXAMPLES: &str = "\
Examples:
  kirosu approvals                          what waits, tool questions of agents included
  kirosu approve 42
  kirosu approve 42 --comment \"go ahead\"
  kirosu approve a17                        lets an agent use a tool, this once
  kirosu approve a18 --option postgres      answers a question that offers several options";

/// Approves tasks, and tool calls of agents, that wait for a person
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tasks, or tool questions as a17
    #[arg(value_name = "ID", required = true, value_parser = read_subject)]
    subjects: Vec<Subject>,
    /// What you want to say with it
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Which option, by its id or name, of a tool question that offers several
    #[arg(long, value_name = "OPTION")]
    option: Option<String>,
    /// Who decides, for the record [default: you]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Approves each.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let fences = questions(&args.subjects, &hub.client).await;
    let ask = |subject| ApproveParams {
        subject,
        fence: fence_of(&fences, subject),
        by: actor(&args.by),
        comment: args.comment.clone(),
        option: args.option.clone(),
    };
    each(&args.subjects, "approved", &hub, context, ask).await
}
