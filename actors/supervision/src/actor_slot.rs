//! The part of a supervised future that uses actix: the actor, its context and its mailbox.
//!
//! Factory, polls and drops are unknown code and run inside `catch_unwind`. `stopping` and `stopped`
//! of an actor are not called after a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use actix::dev::channel::AddressReceiver;
use actix::dev::{AsyncContextParts as _, ContextFut};
use actix::fut::ActorFuture;
use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Supervised};

use crate::exit::ExitReason;
use crate::replace;

/// Maximum of the numbers of spawned futures that are skipped at a restart (see [`UsedNumber`]).
const MAX_SKIPPED_NUMBERS: usize = 4096;

/// Maximum number of attempts to drop the spawned futures of the old actor. Each attempt may panic.
const MAX_DROP_ATTEMPTS: usize = 16;

#[allow(
    clippy::large_enum_variant,
    reason = "nearly always the large one, and a box costs every spawn an allocation"
)]
enum SlotContent<A: Actor<Context = Context<A>>> {
    /// The factory has not been called yet.
    Mailbox(AddressReceiver<A>),
    /// The context holds an actor: running, ended, or new and not started.
    Actor(ContextFut<A, Context<A>>),
    /// The actor was dropped, and the mailbox is closed.
    Empty,
}

/// Holds the mailbox of a child and, once made, its current actor.
pub(crate) struct ActorSlot<A: Actor<Context = Context<A>>> {
    content: SlotContent<A>,
    /// The actor was made after the last end and has not been polled.
    fresh: bool,
    /// Number of futures that the old actor has spawned.
    spawned: usize,
}

impl<A: Supervised + Actor<Context = Context<A>>> ActorSlot<A> {
    pub(crate) fn new(receiver: AddressReceiver<A>) -> Self {
        Self {
            content: SlotContent::Mailbox(receiver),
            fresh: false,
            spawned: 0,
        }
    }

    /// Makes a new actor and drops the old one, unless a new one is ready. Returns the reason if
    /// the factory panics, or if the actor does not implement `Supervised` as [`supervised!`]
    /// does.
    ///
    /// [`supervised!`]: crate::supervised
    pub(crate) fn prepare(&mut self, make: impl FnOnce() -> A) -> Result<(), ExitReason> {
        if self.fresh {
            return Ok(());
        }
        let value = catch_unwind(AssertUnwindSafe(make)).map_err(ExitReason::from_panic)?;
        match std::mem::replace(&mut self.content, SlotContent::Empty) {
            SlotContent::Mailbox(receiver) => {
                let context = Context::with_receiver(receiver);
                self.content = SlotContent::Actor(context.into_future(value));
            }
            SlotContent::Actor(mut future) => {
                let exchanged = exchange(&mut future, value, self.spawned);
                self.content = SlotContent::Actor(future);
                exchanged?;
            }
            SlotContent::Empty => {
                return Err(ExitReason::Failed("its mailbox is closed".to_owned()));
            }
        }
        self.fresh = true;
        Ok(())
    }

    /// Polls the actor. A panic is returned as a reason.
    pub(crate) fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
        inject: bool,
    ) -> Poll<Result<(), ExitReason>> {
        self.fresh = false;
        let SlotContent::Actor(future) = &mut self.content else {
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

    /// Stops the context: `stopping` and `stopped` run at the next poll.
    pub(crate) fn stop(&mut self) {
        if let SlotContent::Actor(future) = &mut self.content {
            future.ctx().stop();
        }
    }

    /// Drops the streams and timers of the ended actor, so that its code does not run again. The
    /// actor itself is dropped when a new one replaces it.
    pub(crate) fn drop_spawned(&mut self) {
        if let SlotContent::Actor(future) = &mut self.content {
            self.spawned = future.ctx().spawn(UsedNumber).into_usize();
            let address = future.address();
            for _ in 0..MAX_DROP_ATTEMPTS {
                if catch_unwind(AssertUnwindSafe(|| future.restart())).is_ok() {
                    break;
                }
            }
            drop(address);
            future.ctx().terminate();
        }
        self.fresh = false;
    }

    /// Drops actor, spawned futures and mailbox. Of the actor's code only `Drop` runs.
    pub(crate) fn destroy(&mut self) {
        let mut content = std::mem::replace(&mut self.content, SlotContent::Empty);
        if let SlotContent::Actor(future) = &mut content {
            // Without this, actix' own `Drop` polls the context once more, and calls `started` of
            // a new actor, or `stopping` and `stopped` of a panicked one.
            future.ctx().parts().terminate();
        }
        catch_drop("an ended child", move || drop(content));
        self.fresh = false;
    }
}

impl<A: Actor<Context = Context<A>>> Drop for ActorSlot<A> {
    fn drop(&mut self) {
        if let SlotContent::Actor(future) = &mut self.content {
            future.ctx().parts().terminate();
            let content = std::mem::replace(&mut self.content, SlotContent::Empty);
            catch_drop("a child whose thread ends", move || drop(content));
        }
    }
}

/// Restarts the context with `value` as its actor and drops the old actor.
fn exchange<A>(
    future: &mut ContextFut<A, Context<A>>,
    value: A,
    spawned: usize,
) -> Result<(), ExitReason>
where
    A: Supervised + Actor<Context = Context<A>>,
{
    replace::offer(value);
    // `restart` refuses a context without an address: this one keeps it connected.
    let address = future.address();
    for _ in 0..MAX_DROP_ATTEMPTS {
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
    let taken = replace::was_taken::<A>();
    let rest = replace::take();
    // Dropped after the restart and outside of it: a panic of its `Drop` is then only logged.
    catch_drop("the old actor of a restarted child", move || drop(rest));
    if taken {
        for _ in 0..spawned.min(MAX_SKIPPED_NUMBERS) {
            future.ctx().spawn(UsedNumber);
        }
        Ok(())
    } else {
        future.ctx().terminate();
        Err(ExitReason::Failed(format!(
            "{} was not replaced at its restart: use supervised!({0}) or call replace_value in Supervised::restarting",
            std::any::type_name::<A>()
        )))
    }
}

/// A finished future that is spawned to use up a number.
///
/// `ContextFut::restart` starts the numbers of spawned futures again at the first one, but keeps
/// the pending cancellations of the old actor. Without skipped numbers they would cancel timers
/// and streams of the new actor that have the same numbers.
struct UsedNumber;

impl<A: Actor> ActorFuture<A> for UsedNumber {
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

/// Runs drops of unknown code. A panic in them is only logged.
fn catch_drop(what: &'static str, drops: impl FnOnce()) {
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
