//! A mailbox that exists before its actor, and outlives every incarnation of it.

use actix::dev::channel::{AddressReceiver, channel};
use actix::{Actor, Addr, Context};

/// Queue length from which `Addr::try_send` reports `Full` to a sender that kept its address.
/// (`do_send` and `send` on a fresh clone are never refused; see the crate's notes on back-pressure.)
pub(crate) const CAPACITY: usize = 1024;

/// The receiving end of a mailbox, waiting for its actor. Consumed by a [`ChildSpec`](crate::ChildSpec).
pub struct Mailbox<A: Actor<Context = Context<A>>> {
    pub(crate) receiver: AddressReceiver<A>,
    pub(crate) addr: Addr<A>,
}

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    /// The address of whoever will sit here.
    pub fn addr(&self) -> Addr<A> {
        self.addr.clone()
    }
}

impl<A: Actor<Context = Context<A>>> std::fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox")
            .field("actor", &std::any::type_name::<A>())
            .finish()
    }
}

/// Makes a mailbox and its address before the actor exists.
///
/// Addresses can so be wired in any order; what is sent before the first start, or while the actor
/// waits for its restart, is queued and handled afterwards.
pub fn mailbox<A: Actor<Context = Context<A>>>() -> (Mailbox<A>, Addr<A>) {
    let (sender, receiver) = channel(CAPACITY);
    let addr = Addr::new(sender);
    let mailbox = Mailbox {
        receiver,
        addr: addr.clone(),
    };
    (mailbox, addr)
}
