//! The hub: a durable task queue behind a socket.
//!
//! A request's way: the [`listener`] accepts a connection and gives it an actor ([`connection`]); that reads lines, keeps
//! the order of requests and answers, and sends changes to the [`writer`], which applies all that waits as one commit and
//! answers afterwards. Questions go to the [`readers`]. What a commit changed is told to the [`leases`] (one actor a live
//! lease) and to the event [`bus`] (watchers). The [`reaper`] sleeps until something is due; [`sessions`] knows who is
//! connected and whose leases are lost.
//!
//! All of them live on one thread unless told otherwise, since waking another thread costs more than a message; only the
//! readers have their own. Every one is a supervised actor whose address survives its restarts, so the crash of one
//! interrupts the requests it was working on, and nothing else.
//!
//! [`HubParts::build`] wires them up; `src/boot/` puts them under the root supervisor, in start order.

mod answers;
pub mod bus;
pub mod connection;
mod hub;
pub mod leases;
pub mod listener;
mod measure;
mod options;
mod parts;
pub mod readers;
pub mod reaper;
mod registry;
pub mod sessions;
mod tuning;
mod waiting;
pub mod writer;

pub use hub::{Hub, Pools, Reload};
pub use listener::bind::{self, BindError};
pub use listener::{LocalSocket, Sockets};
pub use options::HubOptions;
pub use parts::{HubParts, HubThreads};
pub use tuning::Rules;
