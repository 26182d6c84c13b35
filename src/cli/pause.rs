//! `kirosu pause`: nothing more is started from a queue.

use super::connect::Context;
use super::failure::Failure;
use super::show::text::one_line;
use kirosu_protocol::verbs::pause::{ALL, PauseAnswer, PauseParams};

const EXAMPLES: &str = "\
Examples:
  kirosu pause                              all queues
  kirosu pause docs
  kirosu resume docs";

/// Starts nothing more from a queue, or from all; what runs goes on
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The queue [default: all, those to come included]
    #[arg(value_name = "QUEUE")]
    queue: Option<String>,
}

/// Pauses.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let ask = PauseParams {
        queue: args.queue.clone(),
    };
    let answer = context.connect().await?.ask(&ask).await?;
    tell(&answer, context)
}

/// Says what is paused now.
pub fn tell(answer: &PauseAnswer, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    if screen.json {
        screen.json(answer)?;
        return Ok(0);
    }
    screen.print(&paused(&answer.paused))?;
    Ok(0)
}

/// Which queues are paused, in one line.
pub fn paused(queues: &[String]) -> String {
    match queues {
        [] => "nothing is paused".to_owned(),
        queues => format!("paused: {}", names(queues)),
    }
}

/// The names of paused queues.
pub fn names(queues: &[String]) -> String {
    match queues {
        [all, ..] if all == ALL => "all queues".to_owned(),
        queues => {
            let names: Vec<String> = queues.iter().map(|queue| one_line(queue)).collect();
            names.join(", ")
        }
    }
}
