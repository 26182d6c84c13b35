//! `kirosu drain`: nothing new is started.

use super::connect::{Context, Hub};
use super::events::Events;
use super::failure::Failure;
use super::show::{spinner, text};
use kirosu_protocol::verbs::drain::{DrainAnswer, DrainParams};
use kirosu_protocol::verbs::watch::WatchParams;

/// The state of a hub that drains.
pub const DRAINS: &str = "the hub drains: it leases nothing until it is restarted";

const EXAMPLES: &str = "\
Examples:
  kirosu drain --wait && kirosu shutdown    a stop that interrupts nothing

Only a restart of the hub ends the drain; `kirosu pause` is the milder way.";

/// Starts no more tasks; what runs may finish
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Until nothing runs any more
    #[arg(long)]
    wait: bool,
}

/// Drains.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let screen = &context.screen;
    // Listening begins before the first count, so that no end is missed.
    let events = match args.wait {
        true => Some(Events::start(&hub, task_events()).await?),
        false => None,
    };
    let mut answer = hub.ask(&DrainParams {}).await?;
    if let Some(events) = events {
        answer = until_idle(answer, events, &hub, context).await?;
    }
    if screen.json {
        screen.json(&answer)?;
    } else if answer.leased == 0 {
        screen.print("drained: nothing runs, and nothing new is started")?;
    } else {
        let running = text::count(answer.leased, "task");
        screen.print(&format!(
            "draining: nothing new is started, {running} still running"
        ))?;
    }
    Ok(0)
}

fn task_events() -> WatchParams {
    WatchParams {
        kinds: vec!["task".into()],
        ..WatchParams::default()
    }
}

async fn until_idle(
    mut answer: DrainAnswer,
    mut events: Events,
    hub: &Hub,
    context: &Context,
) -> Result<DrainAnswer, Failure> {
    let spinner = spinner::spinner(&context.screen, "");
    while answer.leased > 0 {
        spinner.set_message(format!(
            "{} still running",
            text::count(answer.leased, "task")
        ));
        events.next().await?;
        // Sent again, it tells how many are left, and is as good after a restart of the hub.
        answer = hub.insist(&DrainParams {}).await?;
    }
    spinner.finish_and_clear();
    Ok(answer)
}
