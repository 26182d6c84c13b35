//! A supervision kernel for actix actors: child specs, restarts, backoff, the tree.
//!
//! actix runs actors but does not supervise them: a panic in a handler ends the actor silently, its
//! queue is lost, its address is dead, and actix' own `Supervisor` is not even told (it restarts
//! only what stopped by itself). This crate puts OTP's supervision on top, with OTP's words in
//! their meaning, and knows nothing of what the actors do.
//!
//! # Theory of operation
//!
//! **A place outlives its actor.** Each child of the tree has one task that lives as long as the
//! child's place in the tree: the *supervised future*. It owns the mailbox, the factory and the
//! actix context, and runs one *incarnation* of the actor after the other in it. That is why an
//! [`Addr`](actix::Addr) survives every restart, why what is sent during a backoff is handled
//! after it, and why addresses can be wired before anything runs ([`mailbox`]). Only the message in
//! whose handling the actor panicked is lost, and its sender learns that.
//!
//! **A panic stops at the future.** Factory, polls and drops run inside `catch_unwind`. After an
//! end, however it came about, the future makes a fresh value at once and exchanges it for the old
//! one, which is dropped: what it held (sockets, child processes) is released before the backoff,
//! not after it. `stopping` and `stopped` run when an actor stops, never after a panic or a kill.
//! actix gives away `&mut` to an actor it owns at one point only, `Supervised::restarting`; that is
//! what [`supervised!`] is for.
//!
//! **The future carries out, the supervisor decides.** It reports an end to its [`Supervisor`],
//! itself an actor with a place like any other, which asks a pure machine ([`RestartMachine`]) for
//! the verdict: leave it, restart it after its backoff (with its siblings, as the [`Strategy`]
//! says), or give up because the [`Intensity`] is used up. Then it stops its children and ends with
//! [`ExitReason::GaveUp`], and its own supervisor decides in turn. Since supervisors keep no child,
//! only recipes and orders, a panic in one is a restart like any other: its children are killed,
//! and started again from their recipes in the same places.
//!
//! **Orders do not queue.** Start, stop and kill are bits in a cell shared with the future, plus a
//! wake-up of its task. A full mailbox delays none of them. Only a handler that does not return
//! does; if that is on another thread, the supervisor goes on without it a second after the kill.
//!
//! **Start in order, stop in reverse.** A child is started when `started` of the one before it has
//! returned (or failed: then it is restarted as ever while the others start). A stop gives each
//! child its grace, then drops it, then turns to the next; children of a dynamic supervisor stop
//! side by side. An actor that wants its grace says so with [`ChildContext::on_stop`] or
//! [`ChildContext::stop_token`]; all others stop at once, whatever their queue holds.
//!
//! **The tree is read, not asked.** Every future keeps its state in its cell, and
//! [`Tree::snapshot`] copies the cells, from any thread, even while children hang.
//!
//! **The many.** [`DynamicHandle::spawn`] starts a child by a plain call: a lock, a task, no
//! message. The child's own future passes the verdict on its end. One life of such a child,
//! message included, costs about 0.4 us more than that of a bare actor (`examples/spawn_cost.rs`).
//!
//! # What an actor must know
//!
//! - Say `supervised!(MyActor)`, and `type Context = actix::Context<Self>`.
//! - A factory builds a value and does nothing else; open things in `started`. The fresh value is
//!   made before the old one is dropped and before the backoff has passed.
//! - End with [`ChildContext::fail`] or [`ChildContext::finish`]; a bare `ctx.stop()` counts as
//!   [`ExitReason::Normal`].
//! - A child with a spec ends when it is told to. A dynamic child also ends when nobody holds its
//!   address and it has nothing spawned, as any actix actor does.
//! - Nothing bounds an actix mailbox (`send` on a fresh clone of an address is always taken), and
//!   nothing tells its length. Flows belong into bounded channels; report their length with
//!   [`ChildContext::set_mailbox_len`], and count with [`ChildContext::handled`].
//! - A panic in a `Drop` that runs while another panic unwinds aborts the process. The kernel never
//!   drops an actor while unwinding; the locals of a handler are the actor's own business.
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
//!     let (place, greeter) = mailbox();
//!     let spec = SupervisorSpec::new("root").child(ChildSpec::new("greeter", place, |child| {
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

mod backoff;
mod body;
mod cell;
mod clock;
mod context;
mod deadline;
mod dynamic;
mod exit;
mod handle;
mod id;
mod keeper;
mod machine;
mod mailbox;
mod recipe;
mod restarts;
mod root;
mod runner;
mod spec;
mod supervisor;
mod swap;
mod threads;
mod tree;

#[cfg(test)]
mod tests;

pub use backoff::{BackoffPolicy, Delays};
pub use cell::State;
pub use clock::Clock;
pub use context::{ChildContext, StopToken};
pub use dynamic::{DynamicHandle, DynamicSpec, DynamicSupervisor, SpawnError};
pub use exit::ExitReason;
pub use handle::{SupervisorError, SupervisorHandle, SupervisorSpec};
pub use id::ChildId;
pub use machine::{Ended, Intensity, Restart, RestartMachine, Strategy, Verdict};
pub use mailbox::{Mailbox, mailbox};
pub use restarts::Restarts;
pub use root::Root;
pub use runner::live_on_this_thread;
pub use spec::{ChildSpec, Stop};
pub use supervisor::Supervisor;
pub use swap::replace_value;
pub use threads::{Pulse, Threads, label_this_thread};
pub use tree::{Change, Node, Past, Tree, TreeEvent};
