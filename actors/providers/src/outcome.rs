//! Outcomes of runs. Retry policy is a table over the failure kinds.

use std::fmt;
use std::time::SystemTime;

use kirosu_protocol::task::FailureClass;

use crate::event::RunUsage;

/// A run that succeeded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finished {
    /// The answer. For programs: stdout without one trailing newline, or with a mark where it was cut.
    pub text: String,
    /// Tokens and cost. `None` where the provider does not report them.
    pub usage: Option<RunUsage>,
    /// Whether the answer was longer than [`crate::Job::max_output_bytes`] and was cut.
    pub truncated: bool,
    /// The conversation that a later job can continue. `None` where the provider has none.
    pub conversation: Option<Conversation>,
    /// The reason for which this success counts only where the task's own check accepts it. `None` for a plain success.
    pub doubt: Option<Doubt>,
}

/// A reason to doubt a success: nothing was done, or a necessary tool was denied. A caller without a check of its own treats
/// the run as a failure of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The failure kind without a check.
    pub kind: FailureKind,
    /// One or two sentences for a person: the fact, and the advice.
    pub reason: String,
}

/// A conversation with a provider, between two jobs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The provider's id of the conversation.
    pub session: String,
    /// Totals so far, for providers that count the whole conversation. Zero for others.
    pub total: RunUsage,
}

/// The limit of [`crate::Timeouts`] that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutKind {
    /// No first sign of life.
    Start,
    /// No further sign of life.
    Silence,
    /// The run did not end in the whole time.
    Total,
}

/// The kind of a failure, as far as the next step depends on it. It is finer than the [`FailureClass`] of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The provider reported a failure (an exit code other than 0, an error response).
    ProviderError,
    /// The provider's service could not be reached, or the connection to it broke.
    Network,
    /// The provider refuses further calls until a time.
    RateLimited {
        /// The time of the next useful attempt. `None` where it is not known.
        until: Option<SystemTime>,
    },
    /// A login or key is missing or no longer valid. A person must act.
    AuthRequired,
    /// A time limit ran out.
    Timeout {
        /// The limit.
        which: TimeoutKind,
    },
    /// The run was cancelled, or its caller is gone.
    Cancelled,
    /// A signal that we did not send ended the program, or its runner was lost.
    Crashed,
    /// The kernel killed a process of the run because of its limit of memory, and the run failed.
    OutOfMemory,
    /// The job cannot succeed, however often it is tried.
    BadInput,
    /// A policy forbids it (a sandbox, a denied permission).
    RefusedByPolicy,
    /// The program does not exist or cannot be executed.
    Missing,
    /// The run was not started because the machine temporarily lacks a resource: descriptors, processes, memory, disk
    /// space, a program file that is being written. Nothing was done, and the same job can run later.
    Shortage,
    /// The program reported success, and the caller's check failed. Providers never return this.
    NotAccepted,
    /// The program reported success, and the caller could not check it because the machine lacks a resource. Providers
    /// never return this.
    Unchecked,
    /// The program reported success, and has asked the hub to wait for the children of its task. Providers never return this.
    Parked,
}

impl FailureKind {
    /// The class that the hub stores for an attempt with this failure.
    #[must_use]
    pub const fn class(self) -> FailureClass {
        match self {
            Self::ProviderError | Self::Network | Self::Shortage => FailureClass::ProviderError,
            Self::RateLimited { .. } => FailureClass::RateLimited,
            Self::AuthRequired => FailureClass::AuthRequired,
            Self::Timeout { .. } => FailureClass::Timeout,
            Self::Cancelled => FailureClass::Cancelled,
            Self::Crashed => FailureClass::Crashed,
            Self::OutOfMemory => FailureClass::OutOfMemory,
            Self::BadInput => FailureClass::BadInput,
            Self::RefusedByPolicy => FailureClass::RefusedByPolicy,
            Self::Missing | Self::Unchecked => FailureClass::Missing,
            Self::NotAccepted => FailureClass::NotAccepted,
            Self::Parked => FailureClass::Parked,
        }
    }

    /// The stable word for logs, settings and stored attempts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The outcome of a run.
pub type RunResult = Result<Finished, RunFailure>;

/// A run that failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RunFailure {
    /// The kind, for the retry policy.
    pub kind: FailureKind,
    /// The action that failed and the reason, with the tail of stderr: for a person.
    pub message: String,
    /// The answer so far, with the same limit as a whole one.
    pub output: String,
    /// Tokens and cost. `None` where the provider does not report them.
    pub usage: Option<RunUsage>,
    /// The conversation that a later job can continue. `None` where the provider stated none.
    pub conversation: Option<Conversation>,
}

impl RunFailure {
    /// A failure without output.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            output: String::new(),
            usage: None,
            conversation: None,
        }
    }
}
