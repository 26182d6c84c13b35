//! An agent process kept from job to job.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::driver::{self, Cause, Ended, Surroundings};
use super::machine::{Machine, lost};
use super::process::{Process, Settings};
use super::shared::Shared;
use super::turn::Turn;
use super::verdict::Verdict;
use crate::cancel::Cancel;
use crate::event::EventSink;
use crate::invocation::{Clock, complaint, tail};
use crate::job::Job;
use crate::outcome::{Failure, FailureClass, Finished};
use crate::session::ProviderSession;

/// See the module.
pub(super) struct Live {
    shared: Arc<Shared>,
    process: Option<Process>,
}

impl Live {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            process: None,
        }
    }

    /// The process that can take this job: the one that is there, or a new one in its place.
    async fn process(&mut self, settings: &Settings) -> Result<Process, Failure> {
        if let Some(kept) = self.process.take() {
            if kept.settings == *settings {
                return Ok(kept);
            }
            kept.close(&self.shared.containment).await;
        }
        let machine = Machine::new(self.shared.program(), &self.shared.definition);
        Process::start(settings.clone(), machine, &self.shared.containment)
            .map_err(|error| self.shared.launch_failure(&error))
    }

    async fn job(
        &mut self,
        job: Job,
        events: EventSink,
        mut cancel: Cancel,
    ) -> Result<Finished, Failure> {
        if !job.workdir.is_dir() {
            let message = format!(
                "cannot work in {}: it is not a directory; create it or name another workdir",
                job.workdir.display()
            );
            return Err(Failure::new(FailureClass::ProviderError, message));
        }
        let settings = self.shared.settings(&job)?;
        let mut start = self.shared.start(&job, &settings);
        let clock = Clock::start(job.timeouts);
        let mut around = Surroundings {
            events: &events,
            permissions: &job.permissions,
            clock: &clock,
            cancel: &mut cancel,
            grace: self.shared.containment.grace,
            announced: false,
        };
        loop {
            let was_kept = self.process.is_some();
            let mut process = self.process(&settings).await?;
            drop(process.take_stderr());
            let ended = driver::turn(&mut process, start.clone(), &mut around).await;
            let was_resuming = process.machine.is_resuming();
            let was_prompting = process.machine.is_prompting();
            if ended == Ended::Gone && was_resuming && !was_kept {
                // Some agents do not refuse what they cannot load: they die of it.
                process.end(&self.shared.containment).await;
                events
                    .send(lost("the agent ended while it loaded it"))
                    .await;
                start.resume = None;
                continue;
            }
            if ended == Ended::Gone && was_kept && !was_prompting {
                // It died while nobody looked, and has seen nothing of this job.
                process.end(&self.shared.containment).await;
                continue;
            }
            return self.conclude(process, ended, was_prompting).await;
        }
    }

    async fn conclude(
        &mut self,
        mut process: Process,
        ended: Ended,
        was_prompting: bool,
    ) -> Result<Finished, Failure> {
        let conversation = process.machine.conversation();
        let turn = process.machine.take_turn();
        let stderr = process.take_stderr();
        let program = self.shared.program();
        let (class, message) = match ended {
            Ended::Said(Verdict::Good) => {
                self.process = Some(process);
                let usage = turn.usage();
                let (text, truncated) = turn.into_answer();
                return Ok(Finished {
                    text,
                    usage,
                    truncated,
                    conversation,
                    doubt: None,
                });
            }
            Ended::Said(Verdict::Bad(class, message)) if is_unharmed(class) => {
                self.process = Some(process);
                return Err(failure(class, message, turn, conversation));
            }
            Ended::Said(Verdict::Bad(class, message)) => (class, message),
            Ended::Stopped(Cause::Cancelled) => (
                FailureClass::Cancelled,
                format!("'{program}' was cancelled"),
            ),
            Ended::Stopped(Cause::Timeout(which)) => (
                FailureClass::Timeout { which },
                format!("'{program}' {}, and was ended", complaint(which)),
            ),
            Ended::Gone => self
                .shared
                .gone(process.gone.as_ref(), was_prompting, &stderr),
            Ended::Misbehaved(how) => (
                FailureClass::ProviderError,
                format!("'{program}' does not keep to the protocol: it {how}"),
            ),
        };
        let alive = process.end(&self.shared.containment).await;
        let mut message = message;
        if alive > 0 {
            message.push_str(&format!(
                "; {alive} of its processes could not be ended and may still work: look for them"
            ));
        }
        if !stderr.is_empty() {
            message.push_str("; stderr ended with:\n");
            message.push_str(tail(&stderr));
        }
        Err(failure(class, message, turn, conversation))
    }
}

/// Whether the process is as good as before after a turn that it ended badly itself.
const fn is_unharmed(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::RefusedByPolicy | FailureClass::BadInput | FailureClass::RateLimited { .. }
    )
}

fn failure(
    class: FailureClass,
    message: String,
    turn: Turn,
    conversation: Option<crate::outcome::Conversation>,
) -> Failure {
    let usage = turn.usage();
    Failure {
        output: turn.into_answer().0,
        usage,
        conversation,
        ..Failure::new(class, message)
    }
}

impl ProviderSession for Live {
    fn run(
        &mut self,
        job: Job,
        events: EventSink,
        cancel: Cancel,
    ) -> BoxFuture<'_, Result<Finished, Failure>> {
        Box::pin(self.job(job, events, cancel))
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(process) = self.process.take() {
                process.close(&self.shared.containment).await;
            }
        })
    }
}
