//! `kirosu resume`: a paused queue goes on.

use super::connect::Context;
use super::failure::Failure;
use super::pause::tell;
use kirosu_protocol::verbs::resume::ResumeParams;

const EXAMPLES: &str = "\
Examples:
  kirosu resume                             all queues
  kirosu resume docs";

/// Lets a paused queue, or all, go on
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The queue [default: all]
    #[arg(value_name = "QUEUE")]
    queue: Option<String>,
}

/// Resumes.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let ask = ResumeParams {
        queue: args.queue.clone(),
    };
    let answer = context.connect().await?.ask(&ask).await?;
    tell(&answer, context)
}
