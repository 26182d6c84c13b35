//! Programs of the operator around a run: before it in its folder (dependencies, fixtures), and after it, however it
//! ended (formatters, clean up). They are the pool's, not the task's: no trust is needed.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use kirosu_providers::{
    Cancel, CancelHandle, EventSink, FailureKind, Finished, Job, Program, ProgramEnd, ProgramExit,
    RunEvent, RunFailure, TimeoutKind, ceil_boundary,
};

use super::start_retry::{self, StartRetry};
use crate::headline::headline;
use crate::options::PoolOptions;
use crate::pool::Pool;
use crate::workspace::{self, RunFolder, not_accepted};

/// How long the hook after a cancelled run may take: somebody waits for the end.
const HURRY: Duration = Duration::from_secs(10);
/// Bytes of a hook's last words in a failure.
const LAST_WORDS: usize = 2000;

type RunResult = Result<Finished, RunFailure>;

/// What hooks are told of the run, as variables.
fn variables(options: &PoolOptions, job: &Job, place: &RunFolder) -> Vec<(String, String)> {
    let mut env = options.env.clone();
    let mut put = |name: &str, value: String| env.push((name.to_owned(), value));
    put("KIROSU_TASK_ID", job.task_id.to_string());
    put("KIROSU_FENCE", job.fence.to_string());
    put("KIROSU_TASK_TYPE", job.task_type.clone());
    put("KIROSU_POOL", options.name.clone());
    if let Some(worktree) = &place.worktree {
        put("KIROSU_BRANCH", worktree.branch.clone());
        put("KIROSU_BASE", worktree.base.clone());
    }
    env
}

/// The hooks of one run.
pub(super) struct HookRunner<'a> {
    pool: &'a Pool,
    options: &'a PoolOptions,
    place: &'a RunFolder,
    env: Vec<(String, String)>,
    sink: EventSink,
    cancel: Cancel,
    warnings: Vec<String>,
}

impl<'a> HookRunner<'a> {
    pub(super) fn of(
        pool: &'a Pool,
        options: &'a PoolOptions,
        place: &'a RunFolder,
        job: &Job,
        sink: EventSink,
        cancel: Cancel,
    ) -> Self {
        Self {
            pool,
            env: variables(options, job, place),
            options,
            place,
            sink,
            cancel,
            warnings: Vec::new(),
        }
    }

    /// The same; these are told first, a line each.
    pub(super) fn after_telling(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }

    /// Runs the hook before, the run itself where that went well, and the hook after in any case; then what the run has
    /// changed in its worktree is committed.
    pub(super) async fn around(mut self, run: impl Future<Output = RunResult>) -> RunResult {
        for warning in std::mem::take(&mut self.warnings) {
            self.tell(warning).await;
        }
        let outcome = match self.before().await.and_then(|()| self.intact()) {
            Ok(()) => run.await,
            Err(failure) => Err(failure),
        };
        let outcome = self.after(outcome).await;
        for line in workspace::settle(self.place, ended_as(&outcome)).await {
            self.tell(line).await;
        }
        outcome
    }

    async fn before(&self) -> Result<(), RunFailure> {
        let before = &self.options.hooks.before;
        if before.is_empty() {
            return Ok(());
        }
        self.intact()?;
        let end = self.run(before, "before", &[], self.cancel.clone()).await;
        match end.is_good() {
            true => Ok(()),
            false => Err(self.failure("before", &end)),
        }
    }

    /// Programs can be started in the run's folder. In another one they would change what is not the run's.
    fn intact(&self) -> Result<(), RunFailure> {
        let verified = self.place.verify();
        verified.map_err(|why| RunFailure::new(FailureKind::NotAccepted, why))
    }

    async fn after(&self, outcome: RunResult) -> RunResult {
        let told = [("KIROSU_OUTCOME".to_owned(), ended_as(&outcome).to_owned())];
        let must = self.options.hooks.after_must_succeed && outcome.is_ok();
        let start_retry = StartRetry {
            pool: self.pool,
            sink: &self.sink,
            cancel: self.cancel.clone(),
            limit: match &outcome {
                Ok(_) if must => start_retry::CHECK,
                Err(failure) if failure.kind == FailureKind::Shortage => Duration::ZERO,
                _ => start_retry::HOOK,
            },
        };
        let after = &self.options.hooks.after;
        if after.is_empty() {
            return outcome;
        }
        if let Err(why) = self.place.verify() {
            let why = format!("the hook after the run was not run: {why}");
            self.tell(why.clone()).await;
            return outcome.and_then(|finished| Err(not_accepted(finished, why)));
        }
        let run = async || self.run(after, "after", &told, Cancel::never()).await;
        let end = start_retry
            .until_started("the hook after the run", run)
            .await;
        if end.is_good() {
            return outcome;
        }
        let mut failure = self.failure("after", &end);
        let outcome = match outcome {
            Ok(finished) if must => {
                if failure.kind == FailureKind::Shortage {
                    failure.kind = FailureKind::Unchecked;
                }
                return Err(RunFailure {
                    output: finished.text,
                    usage: finished.usage,
                    conversation: finished.conversation,
                    ..failure
                });
            }
            outcome => outcome,
        };
        let why = headline(&failure.message);
        tracing::warn!("{why}");
        self.tell(why.into_owned()).await;
        outcome
    }

    async fn run(
        &self,
        argv: &[String],
        which: &str,
        more: &[(String, String)],
        cancel: Cancel,
    ) -> ProgramEnd {
        let Some(containment) = &self.options.containment else {
            return ProgramEnd {
                exit: ProgramExit::Failed(
                    "this process runs no programs beside its providers".into(),
                ),
                stdout: String::new(),
                stderr: String::new(),
            };
        };
        let mut env = self.env.clone();
        env.extend(more.iter().cloned());
        let program = Program {
            env,
            limit: self.options.hooks.timeout,
            keep: LAST_WORDS,
            ..Program::new(argv.to_vec(), &self.place.dir)
        };
        if which != "after" {
            return program.run(containment, &self.sink, cancel).await;
        }
        let (handle, hurried) = Cancel::pair();
        let run = program.run(containment, &self.sink, hurried);
        self.hurried(run, &handle).await
    }

    /// The end of a hook that goes on after a cancel, but not for long: its time is cut when the cancel comes meanwhile.
    async fn hurried(
        &self,
        run: impl Future<Output = ProgramEnd>,
        handle: &CancelHandle,
    ) -> ProgramEnd {
        let mut run = pin!(run);
        let mut asked = self.cancel.clone();
        let over = async {
            asked.cancelled().await;
            tokio::time::sleep(HURRY).await;
        };
        tokio::select! {
            end = &mut run => return end,
            () = over => handle.cancel(),
        }
        run.await
    }

    async fn tell(&self, word: String) {
        let message = format!("[kirosu: {word}]\n");
        self.sink.send(RunEvent::Warning { message }).await;
    }

    /// Not the task's fault: it is tried again, as after any trouble of a provider.
    fn failure(&self, which: &str, end: &ProgramEnd) -> RunFailure {
        let argv = match which {
            "before" => &self.options.hooks.before,
            _ => &self.options.hooks.after,
        };
        let class = match &end.exit {
            ProgramExit::Cancelled => FailureKind::Cancelled,
            ProgramExit::Missing(_) => FailureKind::Missing,
            ProgramExit::Short(_) => FailureKind::Shortage,
            ProgramExit::TimedOut => FailureKind::Timeout {
                which: TimeoutKind::Total,
            },
            _ => FailureKind::ProviderError,
        };
        let pool = &self.options.name;
        let (program, exit) = (argv.join(" "), &end.exit);
        let mut message = format!("the hook {which} runs of pool '{pool}', {program:?}, {exit}");
        let said = [end.stderr.as_str(), end.stdout.as_str()];
        if let Some(said) = said.into_iter().find(|said| !said.trim().is_empty()) {
            let from = ceil_boundary(said, said.len().saturating_sub(LAST_WORDS));
            message.push_str("; it ended with:\n");
            message.push_str(said[from..].trim());
        }
        RunFailure::new(class, message)
    }
}

/// The word for an outcome: `done`, or the failure's class.
fn ended_as(outcome: &RunResult) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(failure) => failure.kind.as_str(),
    }
}
