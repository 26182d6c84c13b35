//! The watchdog: probes every thread of the process, logs the threads that do not respond, and notifies systemd's
//! watchdog only while all threads respond.
//!
//! An actor cannot supervise its own thread, so the watchdog has a thread of its own. It is the first child of the root,
//! started first and stopped last, so it also covers a drain that takes longer than `WatchdogSec=`. Without systemd it
//! still logs a thread that hangs. In the tree, its `handled` counts responses, and its `mailbox` missing responses.

mod heartbeat;

#[cfg(feature = "fault-injection")]
pub mod fault;

use crate::systemd::Manager;
use actix::prelude::*;
use heartbeat::{Heartbeats, ThreadFinding};
use kirosu_supervision::{ChildContext, ChildSpec, ThreadRegistry, supervised};
use std::io;
use std::time::Duration;

/// Default interval between two rounds. A thread that does not respond within it is logged.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// Minimum number of rounds within one `WatchdogSec=`, so that a late response or a busy scheduler does not end the
/// process.
const ROUNDS: u32 = 4;

/// Runs the rounds.
struct Watchdog {
    threads: ThreadRegistry,
    manager: Option<Manager>,
    child: ChildContext,
}

supervised!(Watchdog);

impl Actor for Watchdog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (threads, manager) = (self.threads.clone(), self.manager.clone());
        ctx.spawn(watch(threads, manager, self.child.clone()).into_actor(self));
    }
}

/// Spec of the watchdog of all threads in `threads`, on a thread that this function starts.
///
/// # Errors
/// The system refuses the thread.
pub fn spec(threads: &ThreadRegistry, manager: Option<&Manager>) -> io::Result<ChildSpec> {
    let thread = threads.start("watchdog")?;
    let (threads, manager) = (threads.clone(), manager.cloned());
    let factory = move |child: &ChildContext| Watchdog {
        threads: threads.clone(),
        manager: manager.clone(),
        child: child.clone(),
    };
    Ok(ChildSpec::simple("watchdog", factory).on(&thread))
}

async fn watch(threads: ThreadRegistry, manager: Option<Manager>, child: ChildContext) {
    let timeout = manager.as_ref().and_then(Manager::watchdog_timeout);
    let interval = round_interval(timeout);
    let mut heartbeats = Heartbeats::default();
    loop {
        let probed = child.clock().now();
        let pulses = threads.pulse(interval).await;
        let round = heartbeats.round(&pulses, probed, child.clock().now());
        child.handled_many((pulses.len() - round.missing) as u64);
        child.set_mailbox_len(round.missing as u64);
        round.findings.iter().for_each(log);
        if round.is_complete()
            && let Some(manager) = manager.as_ref().filter(|_| timeout.is_some())
        {
            manager.heartbeat();
        }
        tokio::time::sleep_until(probed + interval).await;
    }
}

/// Interval between two rounds for this timeout of systemd's watchdog.
fn round_interval(timeout: Option<Duration>) -> Duration {
    timeout.map_or(DEFAULT_INTERVAL, |timeout| {
        (timeout / ROUNDS).min(DEFAULT_INTERVAL)
    })
}

fn log(finding: &ThreadFinding) {
    match finding {
        ThreadFinding::Silent { thread, lasting } => {
            let seconds = lasting.as_secs_f64();
            tracing::warn!(%thread, seconds, "the thread does not respond, and its actors wait");
        }
        ThreadFinding::Responds { thread, lasting } => {
            let seconds = lasting.as_secs_f64();
            tracing::info!(%thread, seconds, "the thread responds again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_rounds_fit_into_the_timeout_of_systemd() {
        let seconds = Duration::from_secs;
        assert_eq!(round_interval(None), DEFAULT_INTERVAL);
        assert_eq!(round_interval(Some(seconds(60))), DEFAULT_INTERVAL);
        assert_eq!(round_interval(Some(seconds(2))), Duration::from_millis(500));
    }
}
