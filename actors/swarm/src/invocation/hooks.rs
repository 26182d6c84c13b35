//! The operator's programs around a run: before it (dependencies, fixtures), and after it, however it ended
//! (formatters, cleanup). They belong to the pool, not to the task, so they need no trust.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use kirosu_protocol::redact::hide_in_command;
use kirosu_protocol::text::tail;
use kirosu_providers::{
    Cancel, CancelHandle, FailureKind, Job, Program, ProgramEnd, ProgramExit, RunFailure, RunHub,
    RunResult, TimeoutKind,
};

use super::start_retry::{self, RunParts};
use crate::headline::headline;
use crate::options::PoolOptions;
use crate::workspace::{self, RunFolder, failed_after, not_accepted};

/// Time limit of the hook after a cancelled run, as a person waits for the end.
const HURRY: Duration = Duration::from_secs(10);
/// Maximum number of bytes of a hook's output that a failure quotes.
const LAST_WORDS: usize = 2000;

/// Variables that describe the run to hooks.
fn variables(options: &PoolOptions, job: &Job, folder: &RunFolder) -> Vec<(String, String)> {
    let mut env = options.env.clone();
    let mut put = |name: &str, value: String| env.push((name.to_owned(), value));
    put("KIROSU_TASK_ID", job.task_id.to_string());
    put("KIROSU_FENCE", job.fence.to_string());
    put("KIROSU_TASK_TYPE", job.task_type.clone());
    put("KIROSU_POOL", options.name.clone());
    for (name, value) in job.hub.iter().flat_map(RunHub::variables) {
        put(name, value);
    }
    if let Some(worktree) = &folder.worktree {
        put("KIROSU_BRANCH", worktree.branch.clone());
        put("KIROSU_BASE", worktree.base.clone());
    }
    env
}

/// The hooks of one run.
pub(super) struct HookRunner<'a> {
    parts: RunParts<'a>,
    env: Vec<(String, String)>,
    warnings: Vec<String>,
}

impl<'a> HookRunner<'a> {
    /// The hooks of one run; `warnings` are sent first, one per line.
    pub(super) fn of(parts: RunParts<'a>, job: &Job, warnings: Vec<String>) -> Self {
        Self {
            env: variables(parts.options, job, parts.folder),
            parts,
            warnings,
        }
    }

    /// Runs the hook before, the run itself if that succeeded, and the hook after in any case; then commits the run's
    /// changes in its worktree.
    pub(super) async fn around(mut self, run: impl Future<Output = RunResult>) -> RunResult {
        for warning in std::mem::take(&mut self.warnings) {
            self.parts.note(&warning).await;
        }
        let outcome = match self.before().await.and_then(|()| self.intact()) {
            Ok(()) => run.await,
            Err(failure) => Err(failure),
        };
        let outcome = self.after(outcome).await;
        for line in workspace::finish(self.parts.folder, ended_as(&outcome)).await {
            self.parts.note(&line).await;
        }
        outcome
    }

    async fn before(&self) -> Result<(), RunFailure> {
        let before = &self.parts.options.hooks.before;
        if before.is_empty() {
            return Ok(());
        }
        self.intact()?;
        let end = self
            .run(before, "before", &[], self.parts.cancel.clone())
            .await;
        match end.is_good() {
            true => Ok(()),
            false => Err(self.failure("before", &end)),
        }
    }

    /// Whether programs can be started in the run's folder. If it was replaced, they would change files that are not
    /// the run's.
    fn intact(&self) -> Result<(), RunFailure> {
        let verified = self.parts.folder.verify();
        verified.map_err(|why| RunFailure::new(FailureKind::NotAccepted, why))
    }

    async fn after(&self, outcome: RunResult) -> RunResult {
        let outcome_variable = [("KIROSU_OUTCOME".to_owned(), ended_as(&outcome).to_owned())];
        let must = self.parts.options.hooks.after_must_succeed && outcome.is_ok();
        let limit = match &outcome {
            Ok(_) if must => start_retry::CHECK,
            Err(failure) if failure.kind == FailureKind::Shortage => Duration::ZERO,
            _ => start_retry::HOOK,
        };
        let after = &self.parts.options.hooks.after;
        if after.is_empty() {
            return outcome;
        }
        if let Err(why) = self.parts.folder.verify() {
            let why = format!("the hook after the run was not run: {why}");
            self.parts.note(&why).await;
            return outcome.and_then(|finished| Err(not_accepted(finished, why)));
        }
        let run = async || {
            self.run(after, "after", &outcome_variable, Cancel::never())
                .await
        };
        let what = "the hook after the run";
        let end = self.parts.until_started(what, limit, run).await;
        if end.is_good() {
            return outcome;
        }
        let mut failure = self.failure("after", &end);
        let outcome = match outcome {
            Ok(finished) if must => {
                if failure.kind == FailureKind::Shortage {
                    failure.kind = FailureKind::Unchecked;
                }
                return Err(failed_after(finished, failure));
            }
            outcome => outcome,
        };
        let why = headline(&failure.message);
        tracing::warn!("{why}");
        self.parts.note(&why).await;
        outcome
    }

    async fn run(
        &self,
        argv: &[String],
        which: &str,
        more: &[(String, String)],
        cancel: Cancel,
    ) -> ProgramEnd {
        let Some(containment) = self.parts.options.bounded() else {
            return ProgramEnd {
                exit: ProgramExit::Failed(
                    "this process runs no programs other than its providers".into(),
                ),
                stdout: String::new(),
                stderr: String::new(),
            };
        };
        let mut env = self.env.clone();
        env.extend(more.iter().cloned());
        let program = Program {
            env,
            limit: self.parts.options.hooks.timeout,
            keep: LAST_WORDS,
            ..Program::new(argv.to_vec(), &self.parts.folder.dir)
        };
        if which != "after" {
            return program.run(&containment, &self.parts.sink, cancel).await;
        }
        let (handle, hurried) = Cancel::pair();
        let run = program.run(&containment, &self.parts.sink, hurried);
        self.hurried(run, &handle).await
    }

    /// Awaits a hook that goes on after a cancel: when the cancel comes, its time limit becomes [`HURRY`].
    async fn hurried(
        &self,
        run: impl Future<Output = ProgramEnd>,
        handle: &CancelHandle,
    ) -> ProgramEnd {
        let mut run = pin!(run);
        let mut cancelled = self.parts.cancel.clone();
        let over = async {
            cancelled.cancelled().await;
            tokio::time::sleep(HURRY).await;
        };
        tokio::select! {
            end = &mut run => return end,
            () = over => handle.cancel(),
        }
        run.await
    }

    /// The failure of a hook. It is not the task's fault, so the task is retried.
    fn failure(&self, which: &str, end: &ProgramEnd) -> RunFailure {
        let argv = match which {
            "before" => &self.parts.options.hooks.before,
            _ => &self.parts.options.hooks.after,
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
        let pool = &self.parts.options.name;
        // The message is stored with the task, and logged.
        let (program, exit) = (hide_in_command(argv, &[]).join(" "), &end.exit);
        let mut message = format!("the hook {which} runs of pool '{pool}', {program:?}, {exit}");
        let output = [end.stderr.as_str(), end.stdout.as_str()];
        if let Some(output) = output.into_iter().find(|output| !output.trim().is_empty()) {
            message.push_str("; it ended with:\n");
            message.push_str(tail(output, LAST_WORDS).trim());
        }
        RunFailure::new(class, message)
    }
}

/// Returns `done`, or the name of the failure's class.
fn ended_as(outcome: &RunResult) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(failure) => failure.kind.as_str(),
    }
}
