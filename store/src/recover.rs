//! After a failure: what of a batch can still be done, and what its commands are told.
//!
//! A failed statement or a panic undoes the whole batch. The connection is dropped, everything in memory is read anew,
//! and the commands are carried out one by one, so that only the guilty one is refused. When the disk is full or broken,
//! nothing is tried again: every command of the batch is told. Where the disk takes so little that the file cannot even
//! be opened again, the store stands without it: each batch first tries to open it, and is refused until that works.
//!
//! **A COMMIT that fails** (a sync, a write torn at some byte) may leave the whole batch in the log, its last frame
//! included. This process does not see it: where the log ends is kept in memory, and the next commit writes over it. But
//! the recovery after a `kill -9` or a power cut would bring it to life. So before anybody is told that nothing was kept, a
//! small commit is written over those frames ([`Core::void`]): each frame's checksum goes on from the one before, so
//! that what lies behind it is void with it. Where that fails too, the answer is that the effect is unknown.

use crate::OpenError;
use crate::backend::Fault;
use kirosu_protocol::{Effect, Error};
use std::any::Any;

/// Why a batch was undone.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A statement failed.
    Fault(Fault),
    /// A bug: the code panicked.
    Panic(String),
}

impl Failure {
    /// From what a panic carries.
    pub fn from_panic(payload: Box<dyn Any + Send>) -> Failure {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Failure::Panic(text.unwrap_or_else(|| "no message".to_owned()))
    }

    /// Whether the disk failed, so that a second try cannot help.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Failure::Fault(fault) if fault.is_of_the_disk())
    }

    /// What a command of the batch is told.
    pub fn answer(&self, effect: Effect) -> Error {
        let outcome = match effect {
            Effect::None => "nothing of this request was kept",
            Effect::Unknown => "whether this request took effect is unknown",
        };
        let message = match self {
            Failure::Fault(fault) if self.is_of_the_disk() => format!(
                "cannot write the store: {fault}; {outcome}; see to the disk and send it again"
            ),
            Failure::Fault(fault) => format!("cannot write the store: {fault}; {outcome}"),
            Failure::Panic(text) => {
                format!("the store failed on this request ({text}); {outcome}; please report it")
            }
        };
        Error::internal(effect, message)
    }
}

/// What a command is told while the file cannot be opened again.
pub(crate) fn cannot_open(error: &OpenError) -> Error {
    let message = format!(
        "cannot write the store: {error}; nothing of this request was kept; see to the disk and send it again"
    );
    Error::internal(Effect::None, message)
}
