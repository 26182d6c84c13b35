//! After a failure: what of a batch can still be done, and what its commands are told.
//!
//! A failed statement or a panic undoes the whole batch. The connection is dropped, everything in memory is read anew,
//! and the commands are carried out one by one, so that only the guilty one is refused. When the disk is full or broken,
//! nothing is tried again: every command of the batch is told. Where the disk takes so little that the file cannot even
//! be opened again, the store stands without it: each batch first tries to open it, and is refused until that works.

use crate::OpenError;
use crate::core::Core;
use crate::parked::Parked;
use kirosu_protocol::{Error, ErrorCode};
use std::any::Any;

/// Why a batch was undone.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A statement failed.
    Fault(diesel::result::Error),
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

    /// Whether the disk failed, so that trying again cannot help. diesel does not pass SQLite's code on, only its words.
    pub fn is_of_the_disk(&self) -> bool {
        const WORDS: [&str; 5] = [
            "full",
            "disk i/o",
            "readonly",
            "malformed",
            "unable to open",
        ];
        match self {
            Failure::Panic(_) => false,
            Failure::Fault(fault) => {
                let words = fault.to_string().to_lowercase();
                WORDS.iter().any(|word| words.contains(word))
            }
        }
    }

    /// What a command of the batch is told.
    pub fn answer(&self) -> Error {
        let message = match self {
            Failure::Fault(fault) if self.is_of_the_disk() => format!(
                "cannot write the store: {fault}; nothing of this request was kept; see to the disk and send it again"
            ),
            Failure::Fault(fault) => {
                format!("cannot write the store: {fault}; nothing of this request was kept")
            }
            Failure::Panic(text) => {
                format!(
                    "the store failed on this request ({text}); nothing of it was kept; please report it"
                )
            }
        };
        Error::new(ErrorCode::Internal, message)
    }
}

/// What a command is told while the file cannot be opened again.
pub(crate) fn cannot_open(error: &OpenError) -> Error {
    let message = format!(
        "cannot write the store: {error}; nothing of this request was kept; see to the disk and send it again"
    );
    Error::new(ErrorCode::Internal, message)
}

/// The parked requests as they were before the batch.
pub(crate) fn parked_before(core: &mut Core) -> Parked {
    let mut parked = std::mem::take(&mut core.parked);
    for (waiter, _) in core.woken.drain(..) {
        parked.put_back(waiter, &core.lanes);
    }
    for park in core.parked_now.drain(..) {
        parked.remove(park);
    }
    parked.forget_lanes();
    parked
}
