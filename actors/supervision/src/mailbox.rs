//! Mailboxes that exist before their actors and outlive all their incarnations.

use actix::dev::channel::{AddressReceiver, channel};
use actix::{Actor, Addr, Context};

/// Queue length from which `Addr::try_send` returns `Full` to a sender that keeps its address.
/// `do_send` and `send` on a fresh clone are never refused; see the crate's notes on back-pressure.
pub(crate) const CAPACITY: usize = 1024;

/// The receiving end of a mailbox without an actor yet. A [`ChildSpec`](crate::ChildSpec) consumes it.
pub struct Mailbox<A: Actor<Context = Context<A>>> {
    pub(crate) receiver: AddressReceiver<A>,
    pub(crate) addr: Addr<A>,
}

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    /// The address of the actor that will read this mailbox.
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

/// Creates a mailbox and its address before the actor exists.
///
/// Addresses can therefore be passed around in any order. A message that is sent before the first
/// start, or while the actor waits for its restart, is queued and handled afterwards.
pub fn mailbox<A: Actor<Context = Context<A>>>() -> (Mailbox<A>, Addr<A>) {
    let (sender, receiver) = channel(CAPACITY);
    let addr = Addr::new(sender);
    let mailbox = Mailbox {
        receiver,
        addr: addr.clone(),
    };
    (mailbox, addr)
}
