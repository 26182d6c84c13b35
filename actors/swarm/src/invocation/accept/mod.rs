//! `accept`: what decides whether a run that says it is done is believed. Checked here, by the session, after the
//! provider has ended and before the hooks after a run.
//!
//! All clauses are checked in their order, whatever the others said, so that the next attempt hears all at once. Nothing
//! here is decided by what the agent says of itself: files and changes are looked at, the command is run, regex and
//! schema are held against the answer. What is not accepted fails with its class, and the hub's retry policy goes on
//! from there.

mod changes;
mod command;
mod files;
pub(super) mod note;
mod reason;
pub mod schema;

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use kirosu_protocol::Accept;
use kirosu_providers::{
    Cancel, EventSink, FailureKind, Finished, Job, ProgramEnd, ProgramExit, RunFailure,
};

use super::start_retry::{self, StartRetry};
use crate::options::PoolOptions;
use crate::pool::Pool;
use crate::workspace::RunFolder;
use changes::Snapshot;
use reason::Reason;

type RunResult = Result<Finished, RunFailure>;

/// Whether this pool may check the clause at all.
///
/// # Errors
/// A refusal that names the switch.
pub(super) fn allowed(options: &PoolOptions, accept: &Accept) -> Result<(), String> {
    let runs_code = !accept.command.is_empty();
    if runs_code && !options.accept_commands && !options.trust_all_tools {
        return Err(format!(
            "the task's accept clause runs a command, which pool '{}' does not allow; set accept_commands = true on it (or trust_all_tools = true), or leave the command out",
            options.name
        ));
    }
    Ok(())
}

/// The check of one run.
pub(super) struct Check<'a> {
    pub(super) pool: &'a Pool,
    pub(super) options: &'a PoolOptions,
    pub(super) place: &'a RunFolder,
    /// Variables that programs of this run see.
    pub(super) env: Vec<(String, String)>,
    pub(super) task: (i64, i64),
    pub(super) sink: EventSink,
    pub(super) cancel: Cancel,
    /// The run has ended: its answer is there, and is not thrown away because a program cannot be started now.
    pub(super) has_answer: Cell<bool>,
}

impl<'a> Check<'a> {
    pub(super) fn of(
        pool: &'a Pool,
        options: &'a PoolOptions,
        place: &'a RunFolder,
        job: &Job,
        sink: EventSink,
        cancel: Cancel,
    ) -> Self {
        let mut env = options.env.clone();
        env.push(("KIROSU_TASK_ID".to_owned(), job.task_id.to_string()));
        env.push(("KIROSU_FENCE".to_owned(), job.fence.to_string()));
        Self {
            pool,
            options,
            place,
            env,
            task: (job.task_id, job.fence),
            sink,
            cancel,
            has_answer: Cell::new(false),
        }
    }

    /// Runs a program of the check, which waits until it can be started once there is an answer to check.
    ///
    /// # Errors
    /// The check was cancelled, or the program could not be started.
    async fn run(
        &self,
        what: &str,
        run: impl AsyncFn() -> ProgramEnd,
    ) -> Result<ProgramEnd, RunFailure> {
        let limit = match self.has_answer.get() {
            true => start_retry::CHECK,
            false => Duration::ZERO,
        };
        let start_retry = StartRetry {
            pool: self.pool,
            sink: &self.sink,
            cancel: self.cancel.clone(),
            limit,
        };
        let end = start_retry.until_started(what, run).await;
        match &end.exit {
            ProgramExit::Cancelled => Err(cancelled()),
            ProgramExit::Short(why) if self.has_answer.get() => Err(RunFailure::new(
                FailureKind::Unchecked,
                format!(
                    "the answer was not checked, and is kept with this attempt: {what} could not be started for {} minutes: {why}",
                    limit.as_secs() / 60
                ),
            )),
            ProgramExit::Short(why) => Err(RunFailure::new(
                FailureKind::Shortage,
                format!("{what} could not be started: {why}"),
            )),
            _ => Ok(end),
        }
    }

    /// Runs, and believes it only when all clauses hold. Without clauses a run that its provider doubts is not believed.
    pub(super) async fn around(
        self,
        accept: Option<&Accept>,
        run: impl Future<Output = RunResult>,
    ) -> RunResult {
        let Some(accept) = accept else {
            return run.await.and_then(undoubted);
        };
        let before = match accept.diff {
            true => Some(Snapshot::take(&self).await?),
            false => None,
        };
        let finished = run.await?;
        self.has_answer.set(true);
        let reason = self.check(accept, &finished.text, before).await;
        let failure = match reason.map(Reason::text) {
            Ok(None) => return Ok(finished),
            Ok(Some(text)) => RunFailure::new(FailureKind::NotAccepted, text),
            Err(failure) => failure,
        };
        Err(RunFailure {
            output: finished.text,
            usage: finished.usage,
            conversation: finished.conversation,
            ..failure
        })
    }

    async fn check(
        &self,
        accept: &Accept,
        answer: &str,
        before: Option<Snapshot>,
    ) -> Result<Reason, RunFailure> {
        let mut reason = Reason::default();
        if !accept.file.is_empty() {
            let missing = files::missing(&self.place.dir, &self.place.root, &accept.file);
            reason.note(missing.await, "");
        }
        if let Some(before) = before {
            reason.note(before.unchanged(self).await?, "");
        }
        if let Some(regex) = &accept.regex {
            reason.note(unmatched(regex, answer).await, "");
        }
        if let Some(schema) = &accept.schema {
            reason.note(self.schema(schema, answer).await?, "");
        }
        if !accept.command.is_empty() {
            let (fault, said) = self.command(accept, answer).await?;
            reason.note(fault, &said);
        }
        Ok(reason)
    }
}

/// A run that did nothing, or that was denied what it wanted, is a failure where no clause says otherwise.
fn undoubted(finished: Finished) -> RunResult {
    match finished.doubt {
        None => Ok(finished),
        Some(doubt) => Err(RunFailure {
            output: finished.text,
            usage: finished.usage,
            conversation: finished.conversation,
            ..RunFailure::new(doubt.kind, doubt.reason)
        }),
    }
}

/// Why the answer does not match the regex. Linear in the answer, which may be long: not on this thread.
async fn unmatched(regex: &str, answer: &str) -> Option<String> {
    let (pattern, answer) = (regex.to_owned(), answer.to_owned());
    let matching = move || kirosu_protocol::accept::answer_matches(&pattern, &answer);
    let matches = tokio::task::spawn_blocking(matching).await;
    match matches.unwrap_or_else(|why| Err(why.to_string())) {
        Ok(true) => None,
        Ok(false) => Some(format!("the answer does not match the regex {regex}")),
        Err(why) => Some(format!("the regex {regex} cannot be used: {why}")),
    }
}

/// Somebody does not want the run any more.
fn cancelled() -> RunFailure {
    let why = "cancelled while its accept clause was checked";
    RunFailure::new(FailureKind::Cancelled, why)
}
