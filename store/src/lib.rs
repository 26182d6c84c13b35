//! Kirosu's durable task queue: one SQLite file, one writer.
//!
//! # Theory of operation
//!
//! **One batch, one commit.** The hub's writer takes what waits and hands it over as one batch ([`Engine::apply`]). The
//! commands take effect in order, in memory; the rows they changed are written once, at the batch's end, within one
//! `BEGIN IMMEDIATE`; after the COMMIT every command is answered. A task enqueued and leased in one batch costs one
//! INSERT. A batch that changes nothing (an idle lease, `stats`) opens no transaction. Every refusal is decided before
//! anything is changed, so that no command needs a savepoint.
//!
//! **Hot and cold apart.** The table `task` holds small numbers and short names and is what a step of a task's life
//! changes. Prompts, results, attempts, output have tables of their own and are written once: a change of state costs the
//! same with a prompt of 100 bytes and of 1 MB. An attempt's row is written at its end; the live attempt is in `task`.
//!
//! **Guards.** Each UPDATE of a task names the state and fence it was decided on. The fence grows with each lease and is
//! never used again; whoever comes with an older one is refused. The rules themselves are pure functions (`rules/`).
//!
//! **Generations.** Each start begins a generation, whose fences are above those of all before, also of a past that a
//! restored file does not know: see `generation`.
//!
//! **Lanes.** A pair of queue and type is a *lane*, a small number. The index of ready tasks is ordered by lane, priority
//! (highest first) and id, holds ready tasks only, and so any filter by queue and type is a merge of a few lanes' heads.
//! The heads are kept in memory (`heads`), as are the hot rows in use (`rows`), the inputs of tasks that wait (bounded),
//! the counters (`lanes`, `counters`) and the next deadlines. All of it but the parked requests is a cache of the file,
//! and none is ahead of it when an answer leaves.
//!
//! **Parked leases** wait here, not in the hub: at the end of each batch, and before each new lease, those that wait are
//! served in the order of their arrival from whatever made tasks ready: an enqueue and the lease it satisfies are one
//! commit.
//!
//! **Failure.** A failing statement or a panic undoes the whole batch: the connection is dropped, memory is read anew
//! (small tables and the ends of indexes: milliseconds at any size), and the commands are carried out one by one, so that
//! only the guilty one is refused. When the disk is full or broken, all of the batch are told. What a failed COMMIT may
//! have left in the log is written over before that. See `recover`.
//!
//! **Finished tasks that others wait for.** When a task fails or is cancelled, those that depend on it fail with it, and
//! theirs in turn. Retrying it brings them back: they wait (`blocked`) for it again. Retrying one of them while its
//! dependency has failed fails it again. An enqueue that depends on a task that has failed makes a task that has failed.
//!
//! **Work on many tasks** (the dependents of one, all failed ones) goes on in steps over several commits, which the file
//! knows of: see `work`.
//!
//! **The log.** SQLite copies the write-ahead log into the file every 16 MiB, within a commit: larger steps make rarer
//! but longer stalls, smaller ones cost throughput. When it grows beyond `wal_limit_bytes` all the same (a reader held
//! it), the store cuts it back itself, waiting no longer than 0.2 s for readers.
//! The log is written with one call a commit by a thin layer under SQLite (`vfs`), and no other process may open the file
//! meanwhile (docs/decisions/003).
//!
//! No foreign keys are declared: the writer is the only one to write, every lookup they would cost is on the hot path,
//! and pruning names its tables one by one.
//!
//! [`Engine`] is the seam for a second engine, and all that the hub's writer needs. [`Reader`]s are connections of their
//! own that answer questions about many or large rows, beside the writer.

mod backend;
mod backup;
mod batch;
mod begin;
mod checkpoint;
pub mod command;
#[cfg(test)]
mod conformance;
mod core;
mod counters;
mod deadlines;
mod error;
mod foreign;
mod generation;
mod heads;
mod human_prompt;
mod idle;
mod inspect;
mod lanes;
mod ledger;
mod lock;
mod open;
mod options;
mod outcome;
mod outputs;
mod parked;
mod prefetch;
pub mod query;
mod reader;
mod recover;
mod restore;
mod retention;
mod row;
mod rules;
mod sql;
mod sqlite;
mod store;
mod task;
mod task_stats;
mod tasks;
mod vfs;
mod wal;
mod work;

pub use backend::Fault;
pub use backup::{BackupError, backup};
pub use command::{Command, LIVE_LEASE};
pub use error::{OpenError, StoreError};
pub use inspect::{Inspection, StoreState, inspect};
pub use options::{Durability, StoreOptions};
pub use outcome::{Acked, Applied, EndedLease, Enqueued, Outcome, PermissionAnswer};
pub use parked::ParkId;
pub use query::approvals::{ApprovalPage, ApprovalQuery};
pub use query::group::{GroupQuery, IdPage};
pub use query::oldest::Oldest;
pub use query::rows::{Texts, Visited};
pub use query::waiting::{Dependency, WaitFacts};
pub use query::{Decision, Ids, ListQuery, OutputChunk, Page, TaskDetail};
pub use reader::Reader;
pub use restore::{RestoreError, Restored, restore};
pub use store::{LaneDepth, LiveLease, Store};
pub use task_stats::{Histogram, Labels, QueueDepth, QueueStats, TaskStats, UsageStats};
pub use work::WorkId;
