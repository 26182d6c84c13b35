//! How a run can end. One class, one meaning: retry policy is a table over these.

use std::fmt;
use std::time::SystemTime;

use kirosu_protocol::task::FailureClass;

use crate::event::RunUsage;

/// A run that ended well.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finished {
    /// The answer. For programs: stdout without one trailing newline, with a mark where it was cut.
    pub text: String,
    /// What it cost, where the provider says so.
    pub usage: Option<RunUsage>,
    /// Whether the answer was longer than [`crate::Job::max_output_bytes`] and was cut.
    pub truncated: bool,
    /// With what a later job can go on from here, where the provider says so.
    pub conversation: Option<Conversation>,
    /// Why this end counts as good only where the task's own check holds; `None` for a plain good end.
    pub doubt: Option<Doubt>,
}

/// A reason to doubt a good end: nothing was done, or something that was wanted was denied. A caller that has no check of
/// its own treats the run as a failure of this class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The class of the failure that it is without a check.
    pub kind: FailureKind,
    /// One or two sentences for a person: what happened, and what to do.
    pub reason: String,
}

/// A conversation with a provider, between two jobs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The provider's own name for it.
    pub session: String,
    /// Totals up to now, for providers that count over the whole conversation; else nothing.
    pub total: RunUsage,
}

/// Which limit of [`crate::Timeouts`] ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutKind {
    /// No first sign of life.
    Start,
    /// No further sign of life.
    Silence,
    /// Not done in the whole time.
    Total,
}

/// Why a run failed, as far as it matters for what is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The provider said that it failed (an exit code other than 0, an error answer).
    ProviderError,
    /// The provider's service could not be reached, or the connection to it broke.
    Network,
    /// The provider refuses until a time (unknown: `None`).
    RateLimited {
        /// When it may be asked again.
        until: Option<SystemTime>,
    },
    /// Login or key is missing or no longer good: a person must act.
    AuthRequired,
    /// A limit of time ran out.
    Timeout {
        /// Which one.
        which: TimeoutKind,
    },
    /// It was asked to end, or its caller is gone.
    Cancelled,
    /// It was ended by a signal that we did not send, or its runner was lost.
    Crashed,
    /// The job itself cannot be run, however often it is tried.
    BadInput,
    /// A policy forbids it (a sandbox, a denied permission).
    RefusedByPolicy,
    /// The program is not there or cannot be executed.
    Missing,
    /// The run was not started, as the machine is short of something for now: descriptors, processes, memory, disk
    /// space, a program file that is being written. Nothing was done, and the same job can run later.
    Shortage,
    /// It said that it was done, and its caller found otherwise. No provider says this itself.
    NotAccepted,
    /// It said that it was done, and its caller could not check that, as the machine is short of something. No provider
    /// says this itself.
    Unchecked,
}

impl FailureKind {
    /// The class that the hub stores for an attempt that failed in this way.
    #[must_use]
    pub const fn class(self) -> FailureClass {
        match self {
            Self::ProviderError | Self::Network | Self::Shortage => FailureClass::ProviderError,
            Self::RateLimited { .. } => FailureClass::RateLimited,
            Self::AuthRequired => FailureClass::AuthRequired,
            Self::Timeout { .. } => FailureClass::Timeout,
            Self::Cancelled => FailureClass::Cancelled,
            Self::Crashed => FailureClass::Crashed,
            Self::BadInput => FailureClass::BadInput,
            Self::RefusedByPolicy => FailureClass::RefusedByPolicy,
            Self::Missing | Self::Unchecked => FailureClass::Missing,
            Self::NotAccepted => FailureClass::NotAccepted,
        }
    }

    /// A stable word for logs and stored attempts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderError => "provider_error",
            Self::Network => "network",
            Self::RateLimited { .. } => "rate_limited",
            Self::AuthRequired => "auth_required",
            Self::Timeout { .. } => "timeout",
            Self::Cancelled => "cancelled",
            Self::Crashed => "crashed",
            Self::BadInput => "bad_input",
            Self::RefusedByPolicy => "refused_by_policy",
            Self::Missing => "missing",
            Self::Shortage => "shortage",
            Self::NotAccepted => "not_accepted",
            Self::Unchecked => "unchecked",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run that did not end well.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RunFailure {
    /// What kind of failure, for policy.
    pub kind: FailureKind,
    /// What was tried and how it failed, with the tail of stderr: for a person.
    pub message: String,
    /// The answer as far as it had been printed, capped like a whole one.
    pub output: String,
    /// What it cost all the same, where the provider says so.
    pub usage: Option<RunUsage>,
    /// With what a later job can go on from here, where the provider told.
    pub conversation: Option<Conversation>,
}

impl RunFailure {
    /// A failure before anything was printed.
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
