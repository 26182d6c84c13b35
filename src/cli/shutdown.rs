//! `kirosu shutdown`: drains and stops the hub.

use super::{Context, Failure, spinner};
use kirosu_protocol::ShutdownParams;
use kirosu_protocol::client::ConnectionState;

const EXAMPLES: &str = "\
Examples:
  kirosu shutdown                           running tasks have the time shutdown.drain to finish
  kirosu shutdown --wait                    waits until the hub has stopped";

/// Drains and stops the hub
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Waits until the hub has stopped serving
    #[arg(long)]
    wait: bool,
}

/// Requests the shutdown, and waits for it if asked to.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let mut state = hub.client.state();
    let answer = hub.request(&ShutdownParams {}).await?;
    let screen = &context.screen;
    if args.wait {
        let spinner = spinner::spinner(screen, "the hub is stopping");
        // An error means that the client is closed, which happens after the hub has stopped.
        let _ = state
            .wait_for(|state| !matches!(state, ConnectionState::Connected(_)))
            .await;
        spinner.finish_and_clear();
    }
    let state = match args.wait {
        true => "the hub has stopped serving",
        false => "the hub is stopping",
    };
    screen.answer(&answer, || screen.print(state))
}
