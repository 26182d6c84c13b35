//! `kirosu reject`: rejects a task that waits for a person, which then fails, or a permission request.

use super::each::DecisionArgs;
use super::{Context, Failure};
use kirosu_protocol::RejectParams;

const EXAMPLES: &str = "\
Examples:
  kirosu reject 42 --reason \"too risky\"
  kirosu reject a17 --reason \"not on main\"  the agent may not use the tool, and gets the reason";

/// Rejects tasks that wait for a person (they fail) and permission requests
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    decision: DecisionArgs,
    /// The reason, for the record and the agent
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Rejects each.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let params = |subject, fence, by| RejectParams {
        subject,
        fence,
        by,
        reason: args.reason.clone(),
    };
    args.decision.send("rejected", context, params).await
}
