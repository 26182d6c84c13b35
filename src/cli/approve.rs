//! `kirosu approve`: approves a `human` task, a task that waits for approval, or a permission request.

use super::each::DecisionArgs;
use super::{Context, Failure};
use kirosu_protocol::ApproveParams;

const EXAMPLES: &str = "\
Examples:
  kirosu approvals                          everything that waits, including permission requests
  kirosu approve 42
  kirosu approve 42 --comment \"go ahead\"
  kirosu approve a17                        the agent may use the tool once
  kirosu approve a18 --option postgres      answers a permission request with several options

A task of type human that asks for words takes them from `kirosu answer`; a comment is not its result.";

/// Approves tasks and permission requests that wait for a person
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    decision: DecisionArgs,
    /// A comment for the record
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// The option to choose, by its id or name, if the permission request has several
    #[arg(long, value_name = "OPTION")]
    option: Option<String>,
}

/// Approves each.
///
/// # Errors
/// The hub cannot be reached. A refusal sets the exit code to 1 instead.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let params = |subject, fence, by| ApproveParams {
        subject,
        fence,
        by,
        comment: args.comment.clone(),
        raise: None,
        option: args.option.clone(),
    };
    args.decision.send("approved", context, params).await
}
