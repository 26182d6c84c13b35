//! The messages between hub and runner on the control socket.
//!
//! The hub's first message is one byte with the program's stdin attached as a file descriptor. After that the hub sends
//! single-byte orders and the runner sends [`RunnerReport`]s, one JSON object per line. The end of the hub's side means
//! that the hub is dead.

use serde::{Deserialize, Serialize};

use crate::outcome::FailureKind;

/// An order to the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunnerOrder {
    /// Start the program. The first message, with stdin attached.
    Start,
    /// End everything: SIGTERM, then SIGKILL after the grace.
    Stop,
}

impl RunnerOrder {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Start => b'+',
            Self::Stop => b's',
        }
    }
}

/// The end of the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// The reason for which a program could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StartError {
    /// There is no such program, or it cannot be executed.
    Missing,
    /// The machine lacks a resource (processes, memory, descriptors), or the program's file is being written; a later start can succeed.
    Short,
    /// The system does not take arguments and environment of this size.
    TooLong,
    /// The bounds of the run could not be applied. The program does not run without them.
    Unbounded,
}

impl StartError {
    /// The failure kind of the run.
    pub(crate) const fn class(self) -> FailureKind {
        match self {
            Self::Missing => FailureKind::Missing,
            Self::Short => FailureKind::Shortage,
            Self::TooLong => FailureKind::BadInput,
            Self::Unbounded => FailureKind::ProviderError,
        }
    }
}

/// A report of the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunnerReport {
    /// The program runs.
    Started { pid: u32 },
    /// The program could not be started, and nothing runs. The last report.
    Failed { error: StartError, message: String },
    /// No process is left, except for `alive`. The last report.
    Ended {
        exit: Exit,
        /// Processes that remained after the program itself and were ended.
        stragglers: u32,
        /// Processes that could not be ended (another user's, or stuck in the kernel).
        alive: u32,
    },
}
