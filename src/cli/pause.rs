//! `kirosu pause`: stops starting tasks of a queue.

use super::{Context, Failure};
use crate::terminal::text::one_line;
use kirosu_protocol::{ALL_QUEUES, PauseAnswer, PauseParams, Verb};

const EXAMPLES: &str = "\
Examples:
  kirosu pause                              all queues
  kirosu pause docs
  kirosu resume docs";

/// Starts no more tasks from a queue, or from all; running tasks continue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The queue [default: all, including future ones]
    #[arg(value_name = "QUEUE")]
    queue: Option<String>,
}

/// Pauses.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let params = PauseParams {
        queue: args.queue.clone(),
    };
    send(&params, context).await
}

/// Sends a request that changes the paused queues, and prints them.
///
/// # Errors
/// The hub cannot be reached or refuses, or standard output fails.
pub async fn send<V>(params: &V, context: &Context) -> Result<u8, Failure>
where
    V: Verb<Answer = PauseAnswer>,
{
    let answer = context.connect().await?.request(params).await?;
    let screen = &context.screen;
    screen.answer(&answer, || screen.print(&paused(&answer.paused)))
}

/// The paused queues as one line.
pub fn paused(queues: &[String]) -> String {
    match queues {
        [] => "nothing is paused".to_owned(),
        queues => format!("paused: {}", names(queues)),
    }
}

/// The names of paused queues.
pub fn names(queues: &[String]) -> String {
    match queues {
        [all, ..] if all == ALL_QUEUES => "all queues".to_owned(),
        queues => {
            let names: Vec<String> = queues.iter().map(|queue| one_line(queue)).collect();
            names.join(", ")
        }
    }
}
