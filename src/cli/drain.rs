//! `kirosu drain`: the hub starts no more tasks.

use super::{Context, Failure, HubClient, WatchStream, spinner, text};
use kirosu_protocol::{DrainAnswer, DrainParams, WatchParams};

/// How the state of a draining hub is printed.
pub const DRAINS: &str = "the hub drains: it leases nothing until it is restarted";

const EXAMPLES: &str = "\
Examples:
  kirosu drain --wait && kirosu shutdown    stops the hub without interrupting a task

Only a restart of the hub ends the drain; `kirosu pause` can be undone.";

/// Stops starting tasks; running ones may finish
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Waits until no task runs
    #[arg(long)]
    wait: bool,
}

/// Starts the drain.
///
/// # Errors
/// The hub cannot be reached or refuses.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let screen = &context.screen;
    // The watch starts before the first count, so that no end of a task is missed.
    let events = match args.wait {
        true => Some(WatchStream::start(&hub, task_events()).await?),
        false => None,
    };
    let mut answer = hub.request(&DrainParams {}).await?;
    if let Some(events) = events {
        answer = until_idle(answer, events, &hub, context).await?;
    }
    let state = match answer.leased {
        0 => "drained: no task runs, and no task is started".to_owned(),
        leased => {
            let running = text::count(leased, "task");
            format!("draining: no task is started, {running} still running")
        }
    };
    screen.answer(&answer, || screen.print(&state))
}

fn task_events() -> WatchParams {
    WatchParams {
        kinds: vec!["task".into()],
        ..WatchParams::default()
    }
}

async fn until_idle(
    mut answer: DrainAnswer,
    mut events: WatchStream,
    hub: &HubClient,
    context: &Context,
) -> Result<DrainAnswer, Failure> {
    let spinner = spinner::spinner(&context.screen, "");
    while answer.leased > 0 {
        spinner.set_message(format!(
            "{} still running",
            text::count(answer.leased, "task")
        ));
        events.next().await?;
        // A repeated `drain` returns the number of running tasks, and drains again if the hub was restarted.
        answer = hub.request_idempotent(&DrainParams {}).await?;
    }
    spinner.finish_and_clear();
    Ok(answer)
}
