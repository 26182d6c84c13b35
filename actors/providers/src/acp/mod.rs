//! `acp`: agents that speak the Agent Client Protocol, version 1: one process for many jobs, with permission requests.
//!
//! # Theory of operation
//!
//! The agent is a contained process (see the crate's documentation) whose stdin and stdout carry JSON-RPC, one message per
//! line. [`machine`] is the protocol, without I/O: it opens a session, sets mode and model, prompts, and turns messages
//! into events, permission requests and one verdict. [`driver`] is the loop between it and [`process`]. [`live_agent`]
//! keeps the process from job to job. Each job is a session of its own, with a new conversation unless the job names an
//! earlier one.
//!
//! The client offers neither a file system nor a terminal: agents use their own, and ask for permission. Responses are
//! chosen by the kind of the option. Peculiarities of one agent are in its definition under `[acp]`; this module knows no
//! agent by name.
//!
//! The process is replaced when it died or violated the protocol, when a job was cancelled or timed out (so that nothing
//! of that job keeps working), and when the call, its environment or the folder differs.

mod check;
mod context;
mod driver;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod live_agent;
mod machine;
mod notices;
mod permission_options;
mod process;
pub mod rpc;
mod rpc_failure;
mod servers;
mod session_settings;
mod stderr_filter;
#[cfg(test)]
mod tests;
mod tools;
mod turn;
mod usage;
mod verdict;

#[cfg(any(test, fuzzing))]
pub use fuzzing::fuzz_lines;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::adapters::{AgentCli, CommandProvider};
use crate::cancel::Cancel;
use crate::containment::Containment;
use crate::event::EventSink;
use crate::job::Job;
use crate::options::{BuildError, ProviderOptions};
use crate::outcome::{RunFailure, RunResult};
use crate::provider::{ProbeReport, Provider};
use crate::session::{ProviderSession, SessionOptions};
use live_agent::LiveAgent;

/// An `acp` provider.
pub(crate) struct AcpProvider {
    /// The same program, for the probe and its version.
    command: CommandProvider,
    cli: Arc<AgentCli>,
}

impl AcpProvider {
    pub(crate) fn new(
        options: &ProviderOptions,
        containment: &Containment,
    ) -> Result<Self, BuildError> {
        let cli = AgentCli::new(options, options.valid_definition()?, containment);
        Ok(Self {
            command: CommandProvider::of(options.name.clone(), cli.clone()),
            cli,
        })
    }
}

impl Provider for AcpProvider {
    fn name(&self) -> &str {
        self.command.name()
    }

    /// An agent states only when it is started whether it can.
    fn continues(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        self.command.probe()
    }

    fn check(&self) -> BoxFuture<'_, ProbeReport> {
        Box::pin(async move {
            let probe = self.command.probe().await;
            if !probe.found {
                return probe;
            }
            match check::handshake(&self.cli).await {
                Ok(version) => ProbeReport {
                    version: probe.version.or(version),
                    ..probe
                },
                Err(problem) => ProbeReport {
                    found: false,
                    problem: Some(problem),
                    ..probe
                },
            }
        })
    }

    fn run(&self, job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult> {
        let mut live = Box::new(LiveAgent::new(self.cli.clone()));
        Box::pin(async move {
            let outcome = live.run(job, events, cancel).await;
            live.close().await;
            outcome
        })
    }

    fn live_session(
        &self,
        _: SessionOptions,
    ) -> Option<BoxFuture<'_, Result<Box<dyn ProviderSession>, RunFailure>>> {
        // The process starts with the first job, which names the folder and the trust.
        let live: Box<dyn ProviderSession> = Box::new(LiveAgent::new(self.cli.clone()));
        Some(Box::pin(std::future::ready(Ok(live))))
    }
}
