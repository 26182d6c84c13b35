//! The extension point: everything that can run a prompt.

use futures_util::future::BoxFuture;

use crate::cancel::Cancel;
use crate::event::EventSink;
use crate::job::Job;
use crate::outcome::{Finished, RunFailure};
use crate::session::{ProviderSession, SessionOptions};

/// What a look at the provider found, for `doctor` and the dashboards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// Whether a run could start now.
    pub found: bool,
    /// The version it states of itself.
    pub version: Option<String>,
    /// What would be run, for a person.
    pub command: String,
    /// What is wrong and what to do, when it was not found.
    pub problem: Option<String>,
}

/// Something that runs one prompt. One value serves any number of runs at once.
///
/// Implementations keep these rules: `run` resolves only when everything it started is dead; it emits
/// through `events` with back-pressure; after `cancel` it fails with [`crate::FailureKind::Cancelled`];
/// dropping its future ends the run just as well, only without waiting for the end.
pub trait Provider: Send + Sync + 'static {
    /// The name it has in the configuration.
    fn name(&self) -> &str;

    /// Whether it executes what the task says (and not a model's choice within limits): hub and pool
    /// must opt in.
    fn dangerous(&self) -> bool {
        false
    }

    /// The providers that a run may end up with, in the order in which they are tried: itself, unless it chooses among
    /// others.
    fn routes(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }

    /// Looks whether a run could start; takes at most a few seconds.
    fn probe(&self) -> BoxFuture<'_, ProbeReport>;

    /// As [`Provider::probe`], for a person who waits: may start the program, and takes some seconds more.
    fn check(&self) -> BoxFuture<'_, ProbeReport> {
        self.probe()
    }

    /// Runs one job to its end.
    fn run(
        &self,
        job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'_, Result<Finished, RunFailure>>;

    /// Opens something that lives from one job to the next (a program that speaks a protocol, a
    /// conversation). `None`, the default, means that every job stands alone; callers use
    /// [`crate::open_session`], which handles both.
    fn live_session(
        &self,
        options: SessionOptions,
    ) -> Option<BoxFuture<'_, Result<Box<dyn ProviderSession>, RunFailure>>> {
        let _ = options;
        None
    }
}
