//! Failures of a batch: their classification, and the error that the commands get.
//!
//! A failed statement or a panic undoes the whole batch. The database is opened again, memory is loaded again, and the
//! commands are carried out one by one, so that only the failing one is refused. When the disk is full or broken,
//! nothing is tried again: every command of the batch is refused. If the file cannot even be opened again, each further
//! batch first tries to open it, and is refused until that works.
//!
//! **A failed COMMIT** (a failed sync, a torn write) may leave the whole batch in the log, its last frame included.
//! This process does not see it: SQLite keeps the end of the log in memory, and the next commit overwrites it. But the
//! recovery after a `kill -9` or a power cut would make it durable. So before the commands get the answer that they had
//! no effect, a small commit overwrites those frames ([`void_failed_commit`](crate::backend::Backend::void_failed_commit)). If that fails too, the answer
//! is that the effect is unknown.

use crate::OpenError;
use crate::backend::StoreFault;
use kirosu_protocol::{Effect, Error};
use std::any::Any;

/// The reason why a batch was undone.
#[derive(Debug)]
pub(crate) enum BatchFailure {
    /// A statement failed.
    StoreFault(StoreFault),
    /// A bug: the code panicked.
    Panic(String),
}

impl BatchFailure {
    /// The failure of a panic, from its payload.
    pub fn from_panic(payload: Box<dyn Any + Send>) -> BatchFailure {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        BatchFailure::Panic(text.unwrap_or_else(|| "no message".to_owned()))
    }

    /// Whether the disk failed, so that a second try cannot help.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, BatchFailure::StoreFault(fault) if fault.is_of_the_disk())
    }

    /// The error for each command of the batch.
    pub fn answer(&self, effect: Effect) -> Error {
        let outcome = match effect {
            Effect::None => "the request had no effect",
            Effect::Unknown => "whether the request took effect is unknown",
        };
        let message = match self {
            BatchFailure::StoreFault(fault) if self.is_of_the_disk() => format!(
                "cannot write the store: {fault}; {outcome}; check the disk, then send it again"
            ),
            BatchFailure::StoreFault(fault) => {
                format!("cannot write the store: {fault}; {outcome}")
            }
            BatchFailure::Panic(text) => {
                format!("the store failed on the request ({text}); {outcome}; please report it")
            }
        };
        Error::internal(effect, message)
    }
}

/// The error for a command while the file cannot be opened.
pub(crate) fn cannot_open(error: &OpenError) -> Error {
    let message = format!(
        "cannot write the store: {error}; the request had no effect; check the disk, then send it again"
    );
    Error::internal(Effect::None, message)
}
