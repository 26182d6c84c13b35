//! The part of a supervised future that touches actix: the actor, its context and its mailbox.
//!
//! Everything that runs unknown code (factory, polls, drops) does so inside `catch_unwind`. The old
//! value of a restarted actor is never asked `stopping` or `stopped` after a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use actix::dev::channel::AddressReceiver;
use actix::dev::{AsyncContextParts as _, ContextFut};
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Supervised};

use crate::exit::ExitReason;
use crate::swap;

/// How many numbers of spawned futures an actor may have used and still be sure of fresh ones after
/// its restart (see [`Nothing`]).
const NUMBERS_SKIPPED: usize = 4096;

/// A restart is tried again this often when dropping a spawned future of the old value panics.
const DROP_PANICS_BORNE: usize = 16;

#[allow(
    clippy::large_enum_variant,
    reason = "nearly always the large one, and a box costs every spawn an allocation"
)]
enum Held<A: Actor<Context = Context<A>>> {
    /// No value was ever made.
    Mailbox(AddressReceiver<A>),
    /// A value sits in the context: running, ended, or fresh and not started.
    Made(ContextFut<A, Context<A>>),
    /// Dropped; the mailbox is closed.
    Empty,
}

pub(crate) struct Body<A: Actor<Context = Context<A>>> {
    held: Held<A>,
    /// The value is fresh: it was made after the last end and has not been started.
    fresh: bool,
    /// How many futures the old value had spawned.
    spawned: usize,
}

impl<A: Supervised + Actor<Context = Context<A>>> Body<A> {
    pub(crate) fn new(receiver: AddressReceiver<A>) -> Self {
        Self {
            held: Held::Mailbox(receiver),
            fresh: false,
            spawned: 0,
        }
    }

    /// Makes sure that a fresh value sits in the context, dropping the old one.
    pub(crate) fn prepare(&mut self, make: impl FnOnce() -> A) -> Result<(), ExitReason> {
        if self.fresh {
            return Ok(());
        }
        let value = catch_unwind(AssertUnwindSafe(make)).map_err(ExitReason::from_panic)?;
        match std::mem::replace(&mut self.held, Held::Empty) {
            Held::Mailbox(receiver) => {
                let context = Context::with_receiver(receiver);
                self.held = Held::Made(context.into_future(value));
            }
            Held::Made(mut future) => {
                let exchanged = exchange(&mut future, value, self.spawned);
                self.held = Held::Made(future);
                exchanged?;
            }
            Held::Empty => return Err(ExitReason::Failed("its mailbox is closed".to_owned())),
        }
        self.fresh = true;
        Ok(())
    }

    /// One step of the actor. A panic is returned as a reason.
    pub(crate) fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
        inject: bool,
    ) -> Poll<Result<(), ExitReason>> {
        self.fresh = false;
        let Held::Made(future) = &mut self.held else {
            return Poll::Ready(Err(ExitReason::Killed));
        };
        let step = catch_unwind(AssertUnwindSafe(|| {
            if inject {
                inject_panic();
            }
            Pin::new(future).poll(cx)
        }));
        match step {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(payload) => Poll::Ready(Err(ExitReason::from_panic(payload))),
        }
    }

    /// Asks the context to stop: `stopping` and `stopped` run at the next poll.
    pub(crate) fn stop(&mut self) {
        if let Held::Made(future) = &mut self.held {
            future.ctx().stop();
        }
    }

    /// Drops what the ended value had spawned (streams, timers) and makes sure that no code of it
    /// runs any more. The value itself stays until a fresh one takes its place.
    pub(crate) fn shed(&mut self) {
        if let Held::Made(future) = &mut self.held {
            self.spawned = future.ctx().spawn(Nothing).into_usize();
            let address = future.address();
            for _ in 0..DROP_PANICS_BORNE {
                if catch_unwind(AssertUnwindSafe(|| future.restart())).is_ok() {
                    break;
                }
            }
            drop(address);
            future.ctx().terminate();
        }
        self.fresh = false;
    }

    /// Drops actor, spawned futures and mailbox. None of the actor's code but its `Drop` runs.
    pub(crate) fn destroy(&mut self) {
        let mut held = std::mem::replace(&mut self.held, Held::Empty);
        if let Held::Made(future) = &mut held {
            // Otherwise actix' own drop polls it once more: `started` of a fresh value,
            // `stopping` and `stopped` of a panicked one.
            future.ctx().parts().terminate();
        }
        contain("an ended child", move || drop(held));
        self.fresh = false;
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Body<A> {
    fn drop(&mut self) {
        if let Held::Made(future) = &mut self.held {
            future.ctx().parts().terminate();
            let held = std::mem::replace(&mut self.held, Held::Empty);
            contain("a child whose thread ends", move || drop(held));
        }
    }
}

/// Restarts the context with `value` in the actor's place and drops the old value.
fn exchange<A>(
    future: &mut ContextFut<A, Context<A>>,
    value: A,
    spawned: usize,
) -> Result<(), ExitReason>
where
    A: Supervised + Actor<Context = Context<A>>,
{
    swap::lay(value);
    // `restart` refuses a context without any address; ours keeps it connected meanwhile.
    let address = future.address();
    for _ in 0..DROP_PANICS_BORNE {
        let restarted = catch_unwind(AssertUnwindSafe(|| future.restart()));
        match restarted {
            Ok(_) => break,
            Err(payload) => {
                let reason = ExitReason::from_panic(payload);
                tracing::warn!(actor = std::any::type_name::<A>(), %reason, "dropping a spawned future panicked");
            }
        }
    }
    drop(address);
    let taken = swap::taken::<A>();
    let rest = swap::clear();
    contain("the old value of a restarted child", move || drop(rest));
    if taken {
        for _ in 0..spawned.min(NUMBERS_SKIPPED) {
            future.ctx().spawn(Nothing);
        }
        Ok(())
    } else {
        future.ctx().terminate();
        Err(ExitReason::Failed(format!(
            "{} does not take its fresh value: use supervised!({0}) or call replace_value in Supervised::restarting",
            std::any::type_name::<A>()
        )))
    }
}

/// A future that is done, spawned to use up its number.
///
/// `ContextFut::restart` numbers spawned futures from the start again, but keeps the cancellations
/// that the old value had asked for in its last moments: they would hit the timers and streams of
/// the new value that happen to get the same numbers.
struct Nothing;

impl<A: Actor> ActorFuture<A> for Nothing {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        _: &mut A,
        _: &mut A::Context,
        _: &mut TaskContext<'_>,
    ) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Runs drops of unknown code; a panic in them is logged and goes no further.
fn contain(what: &'static str, drops: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(drops)) {
        let reason = ExitReason::from_panic(payload);
        tracing::warn!(%reason, "dropping {what} panicked");
    }
}

#[cfg(any(test, feature = "fault-injection"))]
fn inject_panic() {
    panic!("injected fault");
}

#[cfg(not(any(test, feature = "fault-injection")))]
fn inject_panic() {}
