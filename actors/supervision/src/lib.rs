//! A supervision kernel for actix actors: child specs, restarts, backoff, the tree.

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
mod recipe;
mod root;
mod runner;
mod seat;
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
pub use root::Root;
pub use runner::live_on_this_thread;
pub use seat::{Seat, seat};
pub use spec::{ChildSpec, Stop};
pub use supervisor::Supervisor;
pub use swap::reseat;
pub use threads::{Pulse, Threads, label_this_thread};
pub use tree::{Change, Node, Past, Tree, TreeEvent};
