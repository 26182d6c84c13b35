//! `kirosu shutdown`: the hub drains and stops.

use super::connect::Context;
use super::failure::Failure;
use super::show::spinner;
use kirosu_protocol::client::ConnectionState;
use kirosu_protocol::verbs::shutdown::ShutdownParams;

const EXAMPLES: &str = "\
Examples:
  kirosu shutdown                           running tasks get shutdown.drain to finish
  kirosu shutdown --wait                    until it serves no more";

/// Stops the hub in good order
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Until it serves no more
    #[arg(long)]
    wait: bool,
}

/// Stops it.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let mut state = hub.client.state();
    let answer = hub.ask(&ShutdownParams {}).await?;
    let screen = &context.screen;
    if args.wait {
        let spinner = spinner::spinner(screen, "the hub is stopping");
        // An error means that the client itself has closed: just as good.
        let _ = state
            .wait_for(|state| !matches!(state, ConnectionState::Connected(_)))
            .await;
        spinner.finish_and_clear();
    }
    match (screen.json, args.wait) {
        (true, _) => screen.json(&answer)?,
        (false, true) => screen.print("the hub has stopped serving")?,
        (false, false) => screen.print("the hub is stopping")?,
    }
    Ok(0)
}
