//! `acp`: agents that speak the Agent Client Protocol, version 1: one process for many jobs, with questions on the way.
//!
//! # Theory of operation
//!
//! The agent is a contained process (see the crate's page) whose stdin and stdout carry JSON-RPC, a message a line.
//! [`machine`] is the protocol, pure: it opens a session, sets mode and model, prompts, and turns what the agent says
//! into events, questions and one verdict. [`driver`] is the thin loop between it and [`process`]. [`live`] keeps the
//! process from job to job; each job is a session of its own in it, a fresh conversation, unless the job brings one to
//! go on with.
//!
//! We offer no file system and no terminal: agents use their own, and ask. Answers are chosen by the option's kind. What
//! is particular to one agent stands in its definition under `[acp]`; none is known by name here.
//!
//! The process is replaced when it died or broke the rules, when a job was cancelled or ran out of time (so nothing of
//! that job can still be at work), and when the call, its environment or the folder differs.

mod check;
mod driver;
mod live;
mod machine;
mod notices;
mod offers;
mod options;
mod process;
mod quiet;
mod refusal;
mod rpc;
mod servers;
mod shared;
#[cfg(test)]
mod tests;
mod tools;
mod turn;
mod usage;
mod verdict;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::adapters::Command;
use crate::adapters::defaults_file::Defaults;
use crate::cancel::Cancel;
use crate::containment::Containment;
use crate::event::EventSink;
use crate::job::Job;
use crate::outcome::{Finished, RunFailure};
use crate::provider::{Probe, Provider};
use crate::registry::{BuildError, ProviderOptions};
use crate::session::{ProviderSession, SessionOptions};
use live::Live;
use shared::Shared;

/// See the module.
pub(crate) struct Acp {
    name: String,
    /// The same program, to be looked for and asked for its version.
    command: Command,
    shared: Arc<Shared>,
}

impl Acp {
    pub(crate) fn new(
        options: &ProviderOptions,
        containment: &Containment,
    ) -> Result<Self, BuildError> {
        let definition = options
            .definition()
            .map_err(|faults| BuildError::Definition {
                name: options.name.clone(),
                faults,
            })?;
        let mut env: Vec<_> = definition.env.clone().into_iter().collect();
        env.extend(options.env.iter().cloned());
        Ok(Self {
            name: options.name.clone(),
            command: Command::of(options, definition.clone(), containment),
            shared: Arc::new(Shared {
                output: Arc::new(definition.output.clone()),
                definition: Arc::new(definition),
                env,
                pass_env: options.pass_env.clone(),
                defaults: Defaults::default(),
                containment: containment.clone(),
            }),
        })
    }
}

impl Provider for Acp {
    fn name(&self) -> &str {
        &self.name
    }

    fn probe(&self) -> BoxFuture<'_, Probe> {
        self.command.probe()
    }

    fn check(&self) -> BoxFuture<'_, Probe> {
        Box::pin(async move {
            let probe = self.command.probe().await;
            if !probe.found {
                return probe;
            }
            match check::handshake(&self.shared).await {
                Ok(version) => Probe {
                    version: probe.version.or(version),
                    ..probe
                },
                Err(problem) => Probe {
                    found: false,
                    problem: Some(problem),
                    ..probe
                },
            }
        })
    }

    fn run(
        &self,
        job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'_, Result<Finished, RunFailure>> {
        let mut live = Box::new(Live::new(self.shared.clone()));
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
        // The process starts with the first job: only that says where and with what trust.
        let live: Box<dyn ProviderSession> = Box::new(Live::new(self.shared.clone()));
        Some(Box::pin(std::future::ready(Ok(live))))
    }
}
