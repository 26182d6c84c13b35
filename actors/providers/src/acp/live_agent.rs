//! An agent process that is reused from job to job.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::driver::{self, TurnContext};
use super::machine::{AcpMachine, lost, not_continued};
use super::process::{Process, ProcessEnd};
use super::stderr_filter::StderrFilter;
use super::turn::AgentTurn;
use super::verdict::{StopCause, TurnEnd, TurnVerdict};
use crate::adapters::AgentCli;
use crate::cancel::Cancel;
use crate::containment::{ContainedEnd, LaunchSpec};
use crate::event::EventSink;
use crate::invocation::{RunClock, complaint, runner_lost, tail, with_limit};
use crate::job::Job;
use crate::outcome::{Doubt, FailureKind, Finished, RunFailure, RunResult, TimeoutKind};
use crate::output::StderrWatch;
use crate::session::ProviderSession;

/// A session of one agent: its process, if one runs.
pub(super) struct LiveAgent {
    cli: Arc<AgentCli>,
    process: Option<Process>,
}

impl LiveAgent {
    pub(super) const fn new(cli: Arc<AgentCli>) -> Self {
        Self { cli, process: None }
    }

    /// The process for this job: the running one where its settings fit, else a new one.
    async fn process(&mut self, settings: &LaunchSpec) -> Result<Process, RunFailure> {
        if let Some(kept) = self.process.take() {
            if kept.settings == *settings && kept.has_more() {
                return Ok(kept);
            }
            kept.close(&self.cli.containment).await;
        }
        let machine = AcpMachine::new(self.cli.program(), &self.cli.definition);
        let watch = StderrWatch::new(&self.cli.output);
        let quiet = StderrFilter::new(&self.cli.definition.acp.quiet);
        Process::start(
            settings.clone(),
            machine,
            watch,
            quiet,
            &self.cli.containment,
        )
        .map_err(|error| self.cli.launch_failure(&error))
    }

    async fn job(&mut self, job: Job, events: EventSink, mut cancel: Cancel) -> RunResult {
        job.check_workdir()?;
        let settings = self.cli.settings(&job)?;
        let mut start = self.cli.start(&job, &settings);
        let clock = RunClock::start(job.timeouts);
        let patience = self.cli.definition.acp.initialize_timeout;
        let mut around = TurnContext {
            events: &events,
            permissions: &job.permissions,
            clock: &clock,
            cancel: &mut cancel,
            grace: self.cli.containment.grace,
            initialize: job.timeouts.start.map_or(patience, |it| it.min(patience)),
            announced: false,
        };
        loop {
            let was_kept = self.process.is_some();
            let mut process = self.process(&settings).await?;
            drop(process.take_stderr());
            let ended = driver::turn(&mut process, start.clone(), &mut around).await;
            let was_resuming = process.machine.is_resuming();
            let was_prompting = process.machine.is_prompting();
            if ended == TurnEnd::Gone && was_resuming && !was_kept {
                // Some agents exit instead of refusing a conversation that they cannot load.
                process.end(&self.cli.containment).await;
                if start.must_resume {
                    let why = not_continued("the agent ended while it loaded it");
                    return Err(RunFailure::new(FailureKind::BadInput, why));
                }
                events
                    .send(lost("the agent ended while it loaded it"))
                    .await;
                start.resume = None;
                continue;
            }
            if ended == TurnEnd::Gone && was_kept && !was_prompting {
                // The process died between two jobs and has seen nothing of this one.
                process.end(&self.cli.containment).await;
                continue;
            }
            return self.conclude(process, ended, was_prompting).await;
        }
    }

    /// Keeps the process for the next job and ends the processes that this job left running. Processes that are still
    /// children of the agent cannot be ended alone: then the agent is ended with them.
    async fn keep(&mut self, mut process: Process) {
        let left = match process.prompted.take() {
            Some(mark) => process.end_leftovers(mark).await,
            None => 0,
        };
        if left == 0 {
            self.process = Some(process);
        } else {
            process.close(&self.cli.containment).await;
        }
    }

    async fn conclude(
        &mut self,
        mut process: Process,
        ended: TurnEnd,
        was_prompting: bool,
    ) -> RunResult {
        let conversation = process.machine.conversation();
        let turn = process.machine.take_turn();
        let stderr = process.take_stderr();
        let program = self.cli.program().to_owned();
        let is_lost =
            ended == TurnEnd::Gone && matches!(process.gone, None | Some(ProcessEnd::RunnerLost));
        let (class, message) = match ended {
            TurnEnd::Reported(TurnVerdict::Good) => {
                self.keep(process).await;
                let usage = turn.usage();
                let doubt = (!turn.has_output()).then(|| Doubt {
                    kind: FailureKind::ProviderError,
                    reason: format!(
                        "'{program}' ended its turn well, but gave no answer and used no tool; if that is intended, give the task an accept clause that holds"
                    ),
                });
                let (text, truncated) = turn.into_answer();
                return Ok(Finished {
                    text,
                    usage,
                    truncated,
                    conversation,
                    doubt,
                });
            }
            TurnEnd::Reported(TurnVerdict::Bad(class, message)) if is_unharmed(class) => {
                self.keep(process).await;
                return Err(failure(class, message, turn, conversation));
            }
            TurnEnd::Reported(TurnVerdict::Bad(class, message)) => (class, message),
            TurnEnd::Stopped(StopCause::Cancelled) => {
                (FailureKind::Cancelled, format!("'{program}' was cancelled"))
            }
            TurnEnd::Stopped(StopCause::Timeout(which)) => (
                self.cli
                    .explained(&stderr)
                    .unwrap_or(FailureKind::Timeout { which }),
                format!("'{program}' {}, and was ended", complaint(which)),
            ),
            TurnEnd::Stopped(StopCause::Waits(wait)) => (
                wait.class,
                format!(
                    "'{program}' waits by itself, and was ended: {}",
                    wait.message
                ),
            ),
            TurnEnd::Gone => self.cli.gone(process.gone.as_ref(), was_prompting, &stderr),
            TurnEnd::Unanswered(how) => {
                let which = TimeoutKind::Start;
                (FailureKind::Timeout { which }, format!("'{program}' {how}"))
            }
            TurnEnd::Misbehaved(how) => (
                FailureKind::ProviderError,
                format!("'{program}' violated the protocol: it {how}"),
            ),
        };
        let ContainedEnd {
            alive,
            limit,
            is_certain,
        } = process.end(&self.cli.containment).await;
        let message = match is_lost {
            true => runner_lost(&program, is_certain),
            false => message,
        };
        let (class, mut message) = with_limit(&program, limit.as_ref(), (class, message));
        if alive > 0 {
            message.push_str(&format!(
                "; {alive} of its processes could not be ended and may still run: find and end them"
            ));
        }
        if !stderr.is_empty() {
            message.push_str("; stderr ended with:\n");
            message.push_str(tail(&stderr));
        }
        Err(failure(class, message, turn, conversation))
    }
}

/// Whether the process is as usable as before after a turn that it ended badly itself.
const fn is_unharmed(class: FailureKind) -> bool {
    matches!(
        class,
        FailureKind::RefusedByPolicy | FailureKind::BadInput | FailureKind::RateLimited { .. }
    )
}

fn failure(
    class: FailureKind,
    message: String,
    turn: AgentTurn,
    conversation: Option<crate::outcome::Conversation>,
) -> RunFailure {
    let usage = turn.usage();
    RunFailure {
        output: turn.into_answer().0,
        usage,
        conversation,
        ..RunFailure::new(class, message)
    }
}

impl ProviderSession for LiveAgent {
    fn run(&mut self, job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult> {
        Box::pin(self.job(job, events, cancel))
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(process) = self.process.take() {
                process.close(&self.cli.containment).await;
            }
        })
    }
}
