//! How a fresh value gets into a context that actix keeps closed.
//!
//! `ContextFut` owns actor and mailbox and gives neither back; the one moment at which actix hands
//! out `&mut` to the actor before `started` is `Supervised::restarting`, inside
//! `ContextFut::restart`. The kernel lays the fresh value into a thread-local slot, calls
//! `restart`, and [`replace_value`] exchanges the two; the old value then lies in the slot and is dropped
//! by the kernel, where a panic of its `Drop` can be caught.

use std::any::Any;
use std::cell::RefCell;

use actix::Actor;

thread_local! {
    static SLOT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

struct Swap<A> {
    value: A,
    done: bool,
}

/// Exchanges an actor for the fresh value its supervisor has laid ready; called by what
/// [`supervised!`](crate::supervised) generates. Does nothing at any other time.
pub fn replace_value<A: Actor>(actor: &mut A) {
    SLOT.with_borrow_mut(|slot| {
        if let Some(swap) = slot.as_mut().and_then(|any| any.downcast_mut::<Swap<A>>())
            && !swap.done
        {
            std::mem::swap(actor, &mut swap.value);
            swap.done = true;
        }
    });
}

/// Lays `fresh` ready for the next [`replace_value`] on this thread.
pub(crate) fn lay<A: Actor>(fresh: A) {
    let swap = Swap {
        value: fresh,
        done: false,
    };
    SLOT.with_borrow_mut(|slot| *slot = Some(Box::new(swap)));
}

/// Whether the laid value has been taken.
pub(crate) fn taken<A: Actor>() -> bool {
    SLOT.with_borrow(|slot| {
        slot.as_ref()
            .and_then(|any| any.downcast_ref::<Swap<A>>())
            .is_some_and(|swap| swap.done)
    })
}

/// Empties the slot. What is returned (the old value, or the fresh one if nobody took it) is to be
/// dropped by the caller, outside of the slot's borrow.
pub(crate) fn clear() -> Option<Box<dyn Any>> {
    SLOT.with_borrow_mut(Option::take)
}

/// Makes an actor supervisable: implements `actix::Supervised` so that a restart replaces the
/// whole value by a fresh one from its factory, before `started` runs.
///
/// ```
/// struct Greeter;
/// impl actix::Actor for Greeter {
///     type Context = actix::Context<Self>;
/// }
/// kirosu_supervision::supervised!(Greeter);
/// ```
///
/// For a generic actor write the two lines yourself and call [`replace_value`](crate::replace_value).
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
