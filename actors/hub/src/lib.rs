//! The hub: a durable task queue behind a socket.
//!
//! A request's way: the [`listener`] accepts a connection and starts its actor ([`connection`]), which receives lines, starts
//! the requests in order and sends the answers in order. Each verb has a file in [`verbs`]. Verbs that change the store send
//! commands to the [`writer`], which applies all waiting commands as one commit and answers afterwards. Verbs that only read
//! send queries to the [`readers`]. The effects of a commit go to the [`leases`] (one actor per live lease) and to the event
//! [`bus`] (watchers). The [`reaper`] sleeps until the next deadline; [`sessions`] knows the connected workers, and the ones
//! whose leases are lost.
//!
//! By default all actors except the readers share one thread, because to wake another thread costs more than a message. Every
//! one is a supervised actor whose address survives its restarts: the crash of one interrupts only the requests that it was
//! working on.
//!
//! [`HubParts::build`] wires the actors; `src/boot/` adds them to the root supervisor, in start order.

mod access_log;
mod answers;
mod bus;
mod caller;
mod clock;
mod compile_turns;
mod conductor;
mod connection;
mod connection_registry;
mod credentials;
mod hub;
mod identify;
mod identity;
mod key_limits;
mod leases;
mod listener;
mod measure;
mod options;
mod parts;
mod readers;
mod reaper;
mod refusal_log;
mod run_access;
mod runs;
mod sessions;
mod tuning;
mod unknown_clients;
mod verbs;
mod waiting;
mod web;
mod writer;

pub use hub::{Hub, Pools, ReloadSettings};
pub use identity::PeerOwner;
pub use listener::bind::{self, BindError, Protection};
pub use listener::{LocalSocket, Sockets, owner_and_run_of_client};
pub use options::HubOptions;
pub use parts::{HubParts, HubThreads};
pub use tuning::Rules;
