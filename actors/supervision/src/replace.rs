//! Replacement of the actor inside an actix context.
//!
//! `ContextFut` owns actor and mailbox and returns neither. Before `started`, actix passes `&mut`
//! of the actor out only in `Supervised::restarting`, inside `ContextFut::restart`. The kernel puts
//! the new actor into a thread-local slot and calls `restart`; [`replace_value`] exchanges the two.
//! The kernel then takes the old actor from the slot and drops it where a panic can be caught.

use std::any::Any;
use std::cell::RefCell;

use actix::Actor;

thread_local! {
    static SLOT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

struct Replacement<A> {
    value: A,
    done: bool,
}

/// Replaces an actor by the new one that its supervisor offers. Called by the code that
/// [`supervised!`](crate::supervised) generates; without effect at any other time.
pub fn replace_value<A: Actor>(actor: &mut A) {
    SLOT.with_borrow_mut(|slot| {
        if let Some(swap) = slot
            .as_mut()
            .and_then(|any| any.downcast_mut::<Replacement<A>>())
            && !swap.done
        {
            std::mem::swap(actor, &mut swap.value);
            swap.done = true;
        }
    });
}

/// Offers `fresh` to the next [`replace_value`] on this thread.
pub(crate) fn offer<A: Actor>(fresh: A) {
    let swap = Replacement {
        value: fresh,
        done: false,
    };
    SLOT.with_borrow_mut(|slot| *slot = Some(Box::new(swap)));
}

/// Whether [`replace_value`] has used the offered actor.
pub(crate) fn was_taken<A: Actor>() -> bool {
    SLOT.with_borrow(|slot| {
        slot.as_ref()
            .and_then(|any| any.downcast_ref::<Replacement<A>>())
            .is_some_and(|swap| swap.done)
    })
}

/// Empties the slot and returns the old actor, or the offered one if it was not used. The caller
/// drops it outside of the slot's borrow, because its `Drop` may use the slot.
pub(crate) fn take() -> Option<Box<dyn Any>> {
    SLOT.with_borrow_mut(Option::take)
}

/// Implements `actix::Supervised` so that a restart replaces the whole actor by a new one from
/// its factory, before `started` runs.
///
/// ```
/// struct Greeter;
/// impl actix::Actor for Greeter {
///     type Context = actix::Context<Self>;
/// }
/// kirosu_supervision::supervised!(Greeter);
/// ```
///
/// A generic actor implements the trait itself and calls [`replace_value`](crate::replace_value).
#[macro_export]
macro_rules! supervised {
    ($actor:ty) => {
        impl ::actix::Supervised for $actor {
            fn restarting(&mut self, _: &mut <Self as ::actix::Actor>::Context) {
                $crate::replace_value(self);
            }
        }
    };
}
