//! Kirosu's durable task queue: one SQLite file, one writer.

pub mod command;
mod core;
mod counters;
mod engine;
mod error;
mod flush;
mod heads;
mod lanes;
mod lock;
mod open;
mod options;
mod outcome;
mod parked;
pub mod query;
mod reader;
mod recover;
mod row;
mod rows;
mod rules;
mod sql;
mod store;
mod task;

pub use command::{Command, ParkId};
pub use engine::Engine;
pub use error::{OpenError, StoreError};
pub use options::{Durability, StoreOptions};
pub use outcome::{Acked, Applied, EndedLease, Enqueued, Outcome};
pub use query::{Decision, ListQuery, OutputChunk, Page, TaskDetail};
pub use reader::Reader;
pub use store::{LaneDepth, LiveLease, Store};
