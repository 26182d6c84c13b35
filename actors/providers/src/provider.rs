//! The extension point: the trait of everything that runs a prompt.

use futures_util::future::BoxFuture;

use crate::cancel::Cancel;
use crate::event::EventSink;
use crate::job::Job;
use crate::outcome::{RunFailure, RunResult};
use crate::session::{ProviderSession, SessionOptions};

/// The result of a probe, for `doctor` and the dashboards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// Whether a run could start now.
    pub found: bool,
    /// The version that it states. `None` where it states none.
    pub version: Option<String>,
    /// The command or request of a run, for a person.
    pub command: String,
    /// The problem and the advice, where `found` is false.
    pub problem: Option<String>,
}

/// Runs prompts. One value serves any number of runs at the same time.
///
/// Implementations follow these rules: `run` resolves only when everything it started is dead; it sends
/// events through `events` with back-pressure; after `cancel` it fails with [`crate::FailureKind::Cancelled`];
/// dropping its future ends the run as well, without waiting for its end.
pub trait Provider: Send + Sync + 'static {
    /// The name in the configuration.
    fn name(&self) -> &str;

    /// Whether a run executes the task's text as code (and not a model's choice within limits). Hub and pool must then opt
    /// in.
    fn dangerous(&self) -> bool {
        false
    }

    /// The providers that can execute a run, in the order in which they are tried: this one, unless it chooses among
    /// others.
    fn routes(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }

    /// Whether later jobs can continue the conversations of its runs.
    fn continues(&self) -> bool {
        false
    }

    /// Checks whether a run could start. Takes a few seconds at most.
    fn probe(&self) -> BoxFuture<'_, ProbeReport>;

    /// As [`Provider::probe`], for an interactive check: it may start the program, and may take some seconds more.
    fn check(&self) -> BoxFuture<'_, ProbeReport> {
        self.probe()
    }

    /// Runs one job to its end.
    fn run(&self, job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult>;

    /// Opens a session that lasts from job to job (a program that speaks a protocol, a conversation). `None`, the default,
    /// means that each job is independent. Callers use [`crate::open_session`], which handles both.
    fn live_session(
        &self,
        options: SessionOptions,
    ) -> Option<BoxFuture<'_, Result<Box<dyn ProviderSession>, RunFailure>>> {
        let _ = options;
        None
    }
}
