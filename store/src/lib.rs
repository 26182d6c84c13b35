//! Kirosu's durable task queue: one SQLite file, one writer.

pub mod command;
mod engine;
mod error;
mod options;
mod outcome;
pub mod query;
mod reader;
mod store;

pub use command::{Command, ParkId};
pub use engine::Engine;
pub use error::{OpenError, StoreError};
pub use options::{Durability, StoreOptions};
pub use outcome::{Acked, Applied, EndedLease, Enqueued, Outcome};
pub use query::{Decision, ListQuery, OutputChunk, Page, TaskDetail};
pub use reader::Reader;
pub use store::{LaneDepth, LiveLease, Store};
