//! Kirosu's durable task queue: one SQLite file, one writer.
//!
//! # Theory of operation
//!
//! **One batch, one commit.** The hub's writer takes the waiting commands and passes them on as one batch
//! ([`Store::apply`]). The commands take effect in order, in memory; the rows that they changed are written once, at the
//! end of the batch, within one `BEGIN IMMEDIATE`; every command is answered after the COMMIT. A task that is enqueued
//! and leased in one batch costs one INSERT. A batch that changes nothing (a lease that finds no task, `stats`) opens no
//! transaction. Every refusal is decided before anything changes, so that no command needs a savepoint.
//!
//! **Hot and cold data.** The table `task` has small numbers and short names; a change of a task's state changes this row
//! only. Prompts, results, attempts and output have tables of their own and are written once: a change of state costs the
//! same with a prompt of 100 bytes and of 1 MB. The row of an attempt is written at its end; until then the attempt is in
//! `task`.
//!
//! **Guards.** Each UPDATE of a task names the state and fence on which the change was decided. The fence grows with each
//! lease and is never reused; a client with an older one is refused. The rules are pure functions (`rules/`).
//!
//! **Generations.** Each start begins a generation, whose fences are above those of all earlier ones, also of a past that
//! a restored file does not know: see `generation`.
//!
//! **Lanes.** A *lane* is a pair of queue and type, identified by a small number. The index of ready tasks is ordered by
//! lane, priority (highest first) and id and has ready tasks only, so any filter by queue and type merges the heads of a
//! few lanes. In memory are these heads (`heads`), rows and inputs in use (`tasks`), the counters (`lanes`, `counters`)
//! and the next deadlines. All of it except the parked requests is a cache of the database, and none of it is ahead of the
//! database when an answer leaves.
//!
//! **The seam.** The rules read and write through the trait `Backend` (`backend`) and see neither a connection nor SQL;
//! `SqliteBackend` (`sqlite`, `sql`) implements it (docs/decisions/009). [`StoreReader`]s are connections of their own for
//! queries of many or long rows; they do not use the seam.
//!
//! **Parked leases** wait in the store, not in the hub: at the end of each batch, and before each new lease, they are
//! served in the order of their arrival. An enqueue and the lease that it satisfies are one commit.
//!
//! **Failure.** A failed statement or a panic undoes the whole batch: the connection is dropped, memory is loaded again
//! (small tables and the ends of indexes: milliseconds at any size), and the commands are carried out one by one, so that
//! only the failing one is refused. When the disk is full or broken, all commands of the batch are refused. Before that,
//! frames that a failed COMMIT may have left in the log are overwritten. See `recover`.
//!
//! **Dependencies.** When a task fails or is cancelled, its dependents fail with it, and theirs in turn. Retrying it makes
//! them wait for it again (`blocked`). Retrying a dependent while its dependency has failed fails it again. A task that is
//! enqueued with a failed dependency fails at once.
//!
//! **Work on many tasks** (the dependents of one, all failed ones) runs in steps over several commits, with its progress
//! stored in the database: see `work`.
//!
//! **The log.** The write-ahead log is copied into the file about every 16 MiB: larger steps cause rarer but longer
//! stalls, smaller ones cost throughput. A thread copies most of it while the writer commits (`checkpoint`). If the log
//! still grows beyond `wal_limit_bytes` because a reader held it, the store truncates it, and waits at most 0.2 s for
//! readers. A thin layer under SQLite (`vfs`) writes the log with one call per commit, and no other process may open the
//! file meanwhile (docs/decisions/003).
//!
//! No foreign keys are declared: only the writer writes, every lookup for them would be on the hot path, and pruning names
//! its tables one by one.

mod audit;
mod backend;
mod backup;
mod batch;
mod begin;
mod check;
mod checkpoint;
pub mod command;
#[cfg(test)]
mod conformance;
mod core;
mod counters;
mod credentials;
mod deadlines;
mod error;
mod foreign;
mod generation;
mod heads;
mod human_prompt;
mod idle;
mod import;
mod inspect;
mod jsonl;
mod lanes;
mod ledger;
mod legacy;
mod lock;
mod notify;
mod open;
mod options;
mod outcome;
mod outputs;
mod parked;
mod plans;
mod prefetch;
pub mod query;
mod reader;
mod recover;
mod restore;
mod retention;
mod row;
mod rules;
mod schedules;
mod schema;
mod sql;
mod sqlite;
mod store;
mod task;
mod task_stats;
mod tasks;
mod vfs;
mod wal;
mod web_sessions;
mod work;

pub use audit::{AuditEntry, AuditRecord, Principal};
pub use backend::StoreFault;
pub use backup::{BackupError, backup};
pub use check::{StoreCheck, check};
pub use command::{
    AccessRecords, BatchId, BatchPart, Command, DependencyPart, LIVE_LEASE, LongTask,
    MANY_DEPENDENCIES, NOTICES_PER_TARGET, NewLongText, TakeNotices, TextId, TextPiece,
    leased_bytes, long_ack, long_answer, run_is_over,
};
pub use credentials::Credential;
pub use error::{OpenError, StoreError};
pub use inspect::{Inspection, StoreState, inspect};
pub use jsonl::{JsonlError, JsonlImport, JsonlTarget, export_jsonl, import_jsonl};
pub use legacy::{
    BadRow, LegacyError, LegacyOptions, LegacyProgress, LegacyReport, LegacyState, import_legacy,
};
pub use notify::TargetRow;
pub use options::{StoreOptions, SyncMode};
pub use outcome::{Acked, Applied, EndedLease, EnqueuedTask, Outcome};
pub use parked::ParkId;
pub use plans::{
    CONDUCTOR, CacheEntry, Expansion, NewItem, NewStep, PlanChange, PlanOrder, PlanOutcome,
    PlanRun, ResetItems, RunControl, RunStep, RunWish, StepChange, StepId,
};
pub use query::approvals::ApprovalPage;
pub use query::audit::AuditQuery;
pub use query::group::{GroupQuery, IdPage};
pub use query::oldest::Oldest;
pub use query::plans::{EarlierResult, HeldItems, PlanItem, SourcePiece, StepTotals};
pub use query::rows::{Texts, Visited};
pub use query::waiting::{Dependency, WaitFacts};
pub use query::{Ids, ListQuery, OutputChunk, TaskDetail, TaskPage};
pub use reader::StoreReader;
pub use restore::{RestoreError, RestoreReport, restore};
pub use schedules::{NewSchedule, ScheduleCommand, ScheduleEntry};
pub use store::{LaneDepth, LiveLease, Store};
pub use task_stats::{Histogram, Labels, QueueDepth, QueueStats, TaskStats, UsageStats};
pub use web_sessions::WebSession;
pub use work::WorkId;
