//! `kirosu resume`: starts tasks of a paused queue again.

use super::pause::send;
use super::{Context, Failure};
use kirosu_protocol::ResumeParams;

const EXAMPLES: &str = "\
Examples:
  kirosu resume                             all queues
  kirosu resume docs";

/// Resumes a paused queue, or all
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The queue [default: all]
    #[arg(value_name = "QUEUE")]
    queue: Option<String>,
}

/// Resumes.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let params = ResumeParams {
        queue: args.queue.clone(),
    };
    send(&params, context).await
}
