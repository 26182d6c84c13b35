//! A supervision kernel for actix actors: child specs, restarts, backoff, the tree.
//!
//! actix runs actors but does not supervise them: a panic in a handler ends the actor silently, its
//! queue is lost, its address is dead, and even actix' own `Supervisor` does not notice (it restarts
//! only actors that stopped by themselves). This crate adds OTP's supervision, with OTP's terms in
//! their usual meaning. It does not depend on what the actors do.
//!
//! # Theory of operation
//!
//! **A child slot outlives its actor.** Each child of the tree has one task that exists as long as
//! the child's slot in the tree: the *supervised future*. It owns the mailbox, the factory and the
//! actix context, and runs one *incarnation* of the actor after the other. Therefore an
//! [`Addr`](actix::Addr) stays valid through every restart, a message that is sent during the
//! restart delay is handled after it, and addresses can be passed around before anything runs
//! ([`mailbox`]). Only the message during whose handling the actor panicked is lost; its sender
//! receives an error.
//!
//! **A panic stops at the future.** Factory, polls and drops run inside `catch_unwind`. After every
//! end, the future immediately makes a new actor and replaces the old one, which is dropped: its
//! resources (sockets, child processes) are released before the restart delay, not after it.
//! `stopping` and `stopped` run when an actor stops, never after a panic or a kill. actix passes
//! `&mut` of an actor that it owns out in one place only, `Supervised::restarting`; [`supervised!`]
//! uses it.
//!
//! **The future executes, the supervisor decides.** The future reports an end to its [`Supervisor`],
//! itself an actor with a slot like any other. The supervisor passes the end to a pure state machine
//! ([`RestartMachine`]), which decides: leave the child ended, restart it after a delay (with its
//! siblings, if the [`Strategy`] includes them), or give up because the [`Intensity`] is exceeded.
//! A supervisor that gives up stops its children and ends with [`ExitReason::GaveUp`], and its own
//! supervisor decides in turn. Supervisors do not own their children, only factories and orders, so
//! a panic in a supervisor is a restart like any other: its children are killed, and started again
//! from their factories in the same slots.
//!
//! **Orders do not queue.** Start, stop and kill are bits in a cell that the future shares, plus a
//! wake-up of its task, so a full mailbox does not delay them. Only a handler that does not return
//! delays them; if it runs on another thread, the supervisor continues without the child one second
//! after the kill.
//!
//! **Start in order, stop in reverse order.** A child is started when `started` of the one before it
//! has returned (or has failed: that child is then restarted while the others start). A stop gives
//! each child its grace, then drops it, then continues with the next one; children of a dynamic
//! supervisor stop at the same time. An actor that needs its grace opts in with
//! [`ChildContext::on_stop`] or [`ChildContext::stop_token`]; all others stop immediately, whatever
//! is in their queue.
//!
//! **The tree is read without messages.** Every future keeps its state in its cell, and
//! [`Tree::snapshot`] copies the cells, from any thread, even while children hang.
//!
//! **Dynamic children are cheap.** [`DynamicHandle::spawn`] starts a child by a plain call: a lock, a
//! task, no message. The child's own future decides about its restart. Start, one message and end of
//! such a child cost about 0.4 us more than those of a bare actor (`examples/spawn_cost.rs`).
//!
//! # Rules for actors
//!
//! - Write `supervised!(MyActor)`, and `type Context = actix::Context<Self>`.
//! - A factory must have no side effects; open resources in `started`. The new actor is made before
//!   the old one is dropped and before the restart delay.
//! - End with [`ChildContext::fail`] or [`ChildContext::finish`]; a bare `ctx.stop()` counts as
//!   [`ExitReason::Normal`].
//! - A child with a spec runs until it is stopped or ends itself. A dynamic child also ends when no
//!   address of it exists and it has no spawned future, as any actix actor does.
//! - An actix mailbox has no bound (`send` on a fresh clone of an address is always accepted) and
//!   does not expose its length. Use bounded channels for streams of data; report their length with
//!   [`ChildContext::set_mailbox_len`], and count messages with [`ChildContext::handled`].
//! - A panic in a `Drop` that runs while another panic unwinds aborts the process. The kernel never
//!   drops an actor while unwinding, but a handler's local variables are dropped by the unwinding.
//!
//! # A small tree
//!
//! ```
//! use kirosu_supervision::{ChildContext, ChildSpec, Clock, ExitReason, Root, SupervisorSpec, mailbox};
//!
//! struct Greeter {
//!     child: ChildContext,
//! }
//! impl actix::Actor for Greeter {
//!     type Context = actix::Context<Self>;
//! }
//! kirosu_supervision::supervised!(Greeter);
//!
//! struct Name(&'static str);
//! impl actix::Message for Name {
//!     type Result = String;
//! }
//! impl actix::Handler<Name> for Greeter {
//!     type Result = String;
//!     fn handle(&mut self, name: Name, _: &mut actix::Context<Self>) -> String {
//!         self.child.handled();
//!         format!("hello {}", name.0)
//!     }
//! }
//!
//! actix_rt::System::new().block_on(async {
//!     let (mailbox, greeter) = mailbox();
//!     let spec = SupervisorSpec::new("root").child(ChildSpec::new("greeter", mailbox, |child| {
//!         Greeter { child: child.clone() }
//!     }));
//!     let root = Root::start(spec, Clock::system());
//!     assert_eq!(greeter.send(Name("you")).await.as_deref(), Ok("hello you"));
//!     assert_eq!(root.tree().snapshot().children.len(), 1);
//!     assert_eq!(root.shutdown().await, ExitReason::Stopped);
//! });
//! ```

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

mod actor_slot;
mod backoff;
mod cell;
mod clock;
mod context;
mod deadline;
mod dynamic;
mod event;
mod exit;
mod handle;
mod id;
mod machine;
mod mailbox;
mod monitor;
mod replace;
mod restarts;
mod root;
mod runner;
mod slots;
mod spec;
mod supervisor;
mod threads;
mod tree;

#[cfg(test)]
mod tests;

pub use backoff::{BackoffPolicy, RestartDelays};
pub use cell::{ChildStatus, DynamicStats};
pub use clock::Clock;
pub use context::{ChildContext, StopToken};
pub use dynamic::{DynamicHandle, DynamicSpec, DynamicSupervisor, SpawnError};
pub use event::{ChildChange, TreeEvent};
pub use exit::ExitReason;
pub use handle::{SupervisorError, SupervisorHandle, SupervisorSpec};
pub use id::ChildId;
pub use machine::{ChildExit, Intensity, Restart, RestartDecision, RestartMachine, Strategy};
pub use mailbox::{Mailbox, mailbox};
pub use replace::replace_value;
pub use restarts::Restarts;
pub use root::Root;
pub use runner::live_on_this_thread;
pub use spec::{ChildSpec, StopPolicy};
pub use supervisor::Supervisor;
pub use threads::{ThreadPulse, ThreadRegistry, label_this_thread};
pub use tree::{ChildSnapshot, Tree};
