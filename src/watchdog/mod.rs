//! The watchdog: asks every thread of the house for a sign of life, says which one is silent, and feeds systemd only
//! while none is.
//!
//! An actor cannot watch over the thread it runs on, so this one has a thread of its own. It is the first child of the
//! root, started first and stopped last: a stop that drains for longer than `WatchdogSec=` is watched over as well.
//! Without systemd it still logs which thread hangs, and the tree shows it: `handled` counts signs of life, `mailbox`
//! those that are owed.

mod vigil;

#[cfg(feature = "fault-injection")]
pub mod fault;

use crate::notify::Manager;
use actix::prelude::*;
use kirosu_supervision::{ChildContext, ChildSpec, ThreadRegistry, supervised};
use std::io;
use std::time::Duration;
use vigil::{Finding, Vigil};

/// Time between two rounds where systemd asks for none shorter, and how long a thread may be silent without a word in
/// the log.
const USUAL: Duration = Duration::from_secs(5);
/// Rounds within one `WatchdogSec=`: the answer may be late, and the scheduler busy.
const ROUNDS: u32 = 4;

/// The actor.
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

/// The watchdog over all threads that `threads` knows, on a thread that it starts.
///
/// # Errors
/// When the machine refuses the thread.
pub fn spec(threads: &ThreadRegistry, manager: Option<&Manager>) -> io::Result<ChildSpec> {
    let place = threads.start("watchdog")?;
    let (threads, manager) = (threads.clone(), manager.cloned());
    let make = move |child: &ChildContext| Watchdog {
        threads: threads.clone(),
        manager: manager.clone(),
        child: child.clone(),
    };
    Ok(ChildSpec::simple("watchdog", make).on(&place))
}

async fn watch(threads: ThreadRegistry, manager: Option<Manager>, child: ChildContext) {
    let patience = manager.as_ref().and_then(Manager::watchdog);
    let every = interval(patience);
    let mut vigil = Vigil::default();
    loop {
        let asked = child.clock().now();
        let pulses = threads.pulse(every).await;
        let round = vigil.round(&pulses, asked, child.clock().now());
        child.handled_many((pulses.len() - round.owed) as u64);
        child.set_mailbox_len(round.owed as u64);
        round.findings.iter().for_each(tell);
        if round.is_well()
            && let Some(manager) = manager.as_ref().filter(|_| patience.is_some())
        {
            manager.feed();
        }
        tokio::time::sleep_until(asked + every).await;
    }
}

/// Time between two rounds when systemd waits this long for a sign of life.
fn interval(patience: Option<Duration>) -> Duration {
    patience.map_or(USUAL, |patience| (patience / ROUNDS).min(USUAL))
}

fn tell(finding: &Finding) {
    match finding {
        Finding::Silent { thread, lasting } => {
            let seconds = lasting.as_secs_f64();
            tracing::warn!(%thread, seconds, "a thread gives no sign of life; what runs on it waits");
        }
        Finding::Back { thread, lasting } => {
            let seconds = lasting.as_secs_f64();
            tracing::info!(%thread, seconds, "the thread gives signs of life again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_rounds_fit_into_the_patience_of_systemd() {
        assert_eq!(interval(None), USUAL);
        assert_eq!(interval(Some(Duration::from_secs(60))), USUAL);
        assert_eq!(
            interval(Some(Duration::from_secs(2))),
            Duration::from_millis(500)
        );
    }
}
