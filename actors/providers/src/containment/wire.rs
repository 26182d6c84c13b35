//! What hub and runner say to each other over the control socket.
//!
//! The hub's first message is one byte that carries the program's stdin as a file descriptor. After
//! that it sends single-byte orders; the runner sends [`RunnerReport`]s, one JSON object a line. The end of
//! the hub's side means that the hub is dead.

use serde::{Deserialize, Serialize};

use crate::outcome::FailureKind;

/// An order to the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunnerOrder {
    /// The first message: here is stdin, start.
    Start,
    /// SIGTERM, grace, SIGKILL.
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

/// How the program itself ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Why a program could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StartError {
    /// There is no such program, or it cannot be executed.
    Missing,
    /// The machine is short of something for now (processes, memory, descriptors; the program's file is being written).
    Short,
    /// The system does not take arguments and environment of this size.
    TooLong,
}

impl StartError {
    /// The class of a run that was not started for this.
    pub(crate) const fn class(self) -> FailureKind {
        match self {
            Self::Missing => FailureKind::Missing,
            Self::Short => FailureKind::Shortage,
            Self::TooLong => FailureKind::BadInput,
        }
    }
}

/// What the runner reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunnerReport {
    /// The program runs.
    Started { pid: u32 },
    /// It could not be started; nothing runs. Nothing follows.
    Failed { error: StartError, message: String },
    /// All is over. Nothing follows.
    Ended {
        exit: Exit,
        /// Processes that were still there after the program itself and had to be ended.
        stragglers: u32,
        /// Processes that could not be ended (another user's, or stuck in the kernel). 0 but for such.
        alive: u32,
    },
}
