//! `kirosu reject`: a `human` task, or one that waits for approval, fails; an agent may not use a tool.

use super::connect::Context;
use super::each::{actor, each, fence_of, questions, read_subject};
use super::failure::Failure;
use kirosu_protocol::Subject;
use kirosu_protocol::verbs::reject::RejectParams;

const EXAMPLES: &str = "\
Examples:
  kirosu reject 42 --reason \"too risky\"
  kirosu reject a17 --reason \"not on main\"  an agent may not use a tool, and hears why";

/// Rejects tasks that wait for a person (they fail), and tool calls of agents
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tasks, or tool questions as a17
    #[arg(value_name = "ID", required = true, value_parser = read_subject)]
    subjects: Vec<Subject>,
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
    let fences = questions(&args.subjects, &hub.client).await;
    let ask = |subject| RejectParams {
        subject,
        fence: fence_of(&fences, subject),
        by: actor(&args.by),
        reason: args.reason.clone(),
    };
    each(&args.subjects, "rejected", &hub, context, ask).await
}
