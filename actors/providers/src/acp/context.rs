//! The settings of a job for an agent that speaks ACP, and the explanation of its failures.

use std::path::PathBuf;
use std::sync::Arc;

use super::process::ProcessEnd;
use super::turn::TurnStart;
use crate::adapters::find::{advice, find_program};
use crate::adapters::{AgentCli, arguments};
use crate::containment::{Exit, LaunchSpec, StartError};
use crate::invocation::runner_lost;
use crate::job::Job;
use crate::limits::{ReferenceTime, ReportedError};
use crate::outcome::{FailureKind, RunFailure};
use crate::output::class_of;
use crate::shortage::reports_shortage;

impl AgentCli {
    /// The call for a job.
    pub(super) fn settings(&self, job: &Job) -> Result<LaunchSpec, RunFailure> {
        let mut env = self.environment(job);
        let wanted = self.definition.defaults_file.as_ref();
        env.extend(self.defaults.variable(wanted, &env, &self.containment)?);
        let argv = arguments::argv(&self.definition, job)?;
        Ok(self.launch(argv, env, &job.workdir))
    }

    pub(super) fn start(&self, job: &Job, settings: &LaunchSpec) -> TurnStart {
        let (env, workdir) = (settings.env.clone(), job.workdir.clone());
        let find = move |program: &str| {
            let path: PathBuf = find_program(program, &env)?;
            Some(workdir.join(path).to_string_lossy().into_owned())
        };
        TurnStart {
            cwd: job.workdir.clone(),
            prompt: job.prompt.clone(),
            system: job.system_prompt.clone(),
            model: job.model.clone(),
            mode: self.definition.acp.mode.of(job.trust).to_vec(),
            mcp: job.servers(),
            resume: job.conversation.clone(),
            must_resume: job.must_continue,
            limit: job.max_output_bytes,
            find: Arc::new(find),
        }
    }

    /// The failure kind of a run that was stopped for its silence, where the last line of stderr explains it.
    pub(super) fn explained(&self, stderr: &str) -> Option<FailureKind> {
        let last = stderr.lines().rev().find(|it| !it.trim().is_empty())?;
        let class = class_of(
            &self.output,
            &ReportedError::of_text(last),
            &ReferenceTime::now(),
        );
        let explains = matches!(
            class,
            FailureKind::RateLimited { .. } | FailureKind::AuthRequired | FailureKind::Network
        );
        explains.then_some(class)
    }

    /// The failure of a run whose process is gone.
    pub(super) fn gone(
        &self,
        gone: Option<&ProcessEnd>,
        was_prompting: bool,
        stderr: &str,
    ) -> (FailureKind, String) {
        let program = self.program();
        let when = match was_prompting {
            true => "in the middle of its turn",
            false => "before it took the prompt",
        };
        match gone {
            Some(ProcessEnd::Exit(Exit::Code(code))) => {
                let by_words = class_of(
                    &self.definition.output,
                    &ReportedError::of_text(stderr),
                    &ReferenceTime::now(),
                );
                let class = match by_words {
                    FailureKind::ProviderError if was_prompting => FailureKind::Crashed,
                    FailureKind::ProviderError if reports_shortage(stderr) => FailureKind::Shortage,
                    class => class,
                };
                (class, format!("'{program}' exited with code {code} {when}"))
            }
            Some(ProcessEnd::Exit(Exit::Signal(signal))) => (
                FailureKind::Crashed,
                format!("'{program}' was ended by signal {signal} {when}"),
            ),
            Some(ProcessEnd::NotStarted(StartError::Missing, reason)) => {
                let message = match find_program(program, &self.env) {
                    None => advice(program, &self.definition, &self.env),
                    Some(_) => format!("cannot run '{program}': {reason}"),
                };
                (FailureKind::Missing, message)
            }
            Some(ProcessEnd::NotStarted(error, reason)) => {
                (error.class(), format!("cannot run '{program}': {reason}"))
            }
            Some(ProcessEnd::RunnerLost) | None => {
                (FailureKind::Crashed, runner_lost(program, false))
            }
        }
    }
}
