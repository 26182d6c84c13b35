//! `accept`: the conditions that a finished run has to meet. The session checks them after the provider has ended and
//! before the hook after the run.
//!
//! All clauses are checked in order, whatever the results, so that the next attempt learns of all faults. No
//! statement of the agent decides: files and changes are inspected, the command is run, regex and schema are applied
//! to the answer. A run that does not meet them fails as `not_accepted`, and the hub's retry policy applies.

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
    FailureKind, Finished, Job, ProgramEnd, ProgramExit, RunFailure, RunResult,
};

use super::start_retry::{self, RunParts};
use crate::options::PoolOptions;
use crate::workspace::failed_after;
use changes::Snapshot;
use reason::Reason;

/// Whether this pool may check the clause.
///
/// # Errors
/// A refusal that names the setting.
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
    pub(super) parts: RunParts<'a>,
    /// Variables for the programs of the check.
    pub(super) env: Vec<(String, String)>,
    pub(super) task: (i64, i64),
    /// Whether the run has ended. From then on a program that cannot be started is retried, so that the answer is not
    /// lost.
    pub(super) has_answer: Cell<bool>,
}

impl<'a> Check<'a> {
    pub(super) fn of(parts: RunParts<'a>, job: &Job) -> Self {
        let mut env = parts.options.env.clone();
        env.push(("KIROSU_TASK_ID".to_owned(), job.task_id.to_string()));
        env.push(("KIROSU_FENCE".to_owned(), job.fence.to_string()));
        Self {
            parts,
            env,
            task: (job.task_id, job.fence),
            has_answer: Cell::new(false),
        }
    }

    /// Runs a program of the check; once there is an answer, retries until the program can be started.
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
        let end = self.parts.until_started(what, limit, run).await;
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

    /// Awaits a run, and fails it unless all clauses hold. Without clauses a run that its provider doubts fails.
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
        Err(failed_after(finished, failure))
    }

    async fn check(
        &self,
        accept: &Accept,
        answer: &str,
        before: Option<Snapshot>,
    ) -> Result<Reason, RunFailure> {
        let mut reason = Reason::default();
        if !accept.file.is_empty() {
            let missing = files::missing(
                &self.parts.folder.dir,
                &self.parts.folder.root,
                &accept.file,
            );
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
            let (fault, output) = self.command(accept, answer).await?;
            reason.note(fault, &output);
        }
        Ok(reason)
    }
}

/// Fails a run that did nothing or was denied its tools.
fn undoubted(finished: Finished) -> RunResult {
    match &finished.doubt {
        None => Ok(finished),
        Some(doubt) => {
            let failure = RunFailure::new(doubt.kind, doubt.reason.clone());
            Err(failed_after(finished, failure))
        }
    }
}

/// Returns why the answer does not match the regex. Takes linear time in the answer, which may be long, so it runs on
/// another thread.
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

fn cancelled() -> RunFailure {
    let why = "cancelled while its accept clause was checked";
    RunFailure::new(FailureKind::Cancelled, why)
}
