//! The outcome of a run, from the end of its program.

use kirosu_protocol::text;

use super::{InvocationEnd, PatienceEnd, ProgramOutcome};
use crate::containment::{Exit, LimitReached, StartError};
use crate::definition::OutputRules;
use crate::limits::{self, ReferenceTime, ReportedError};
use crate::outcome::{Conversation, FailureKind, Finished, RunFailure, RunResult, TimeoutKind};
use crate::output::{self, ProgramStatus, ReportedEnd};
use crate::shortage::shortage_line;

/// Bytes of stderr in a failure's message, at most.
const MESSAGE_TAIL: usize = 4 * 1024;

/// The outcome of a run. `program` is the name in messages, `output` the rules of its output.
pub(crate) fn conclude(program: &str, output: &OutputRules, ran: InvocationEnd) -> RunResult {
    let moment = ReferenceTime::now();
    let verdict = verdict(program, output, &ran, &moment);
    let doubt = output::doubt(program, output, &ran.reading);
    let reading = ran.reading;
    let total = reading.total;
    let conversation = reading
        .session
        .map(|session| Conversation { session, total });
    let Some((class, mut message)) = verdict else {
        return Ok(Finished {
            text: reading.answer,
            usage: reading.usage,
            truncated: reading.truncated,
            conversation,
            doubt,
        });
    };
    if ran.alive > 0 {
        let survivors = format!(
            "; {} of its processes could not be ended and may still run: find and end them",
            ran.alive
        );
        message.push_str(&survivors);
    }
    if !ran.stderr.is_empty() {
        message.push_str("; stderr ended with:\n");
        message.push_str(tail(&ran.stderr));
    }
    let class = match class {
        FailureKind::RateLimited { until: None } => {
            let stated = |text| limits::until(&ReportedError::of_text(text), &moment);
            let until = stated(&message).or_else(|| stated(tail(&reading.answer)));
            FailureKind::RateLimited { until }
        }
        // The system refused the program a resource for its start, and the run has no output.
        FailureKind::ProviderError | FailureKind::Crashed
            if matches!(ran.ending, ProgramOutcome::Exit(_))
                && reading.answer.trim().is_empty()
                && reading.usage.is_none() =>
        {
            match shortage_line(&ran.stderr) {
                Some(line) => {
                    message = format!("'{program}' could not work: {line}; {message}");
                    FailureKind::Shortage
                }
                None => class,
            }
        }
        class => class,
    };
    let (class, message) = with_limit(program, ran.limit.as_ref(), (class, message));
    Err(RunFailure {
        kind: class,
        message,
        output: reading.answer,
        usage: reading.usage,
        conversation,
    })
}

/// `None` for success.
fn verdict(
    program: &str,
    output: &OutputRules,
    ran: &InvocationEnd,
    moment: &ReferenceTime,
) -> Option<(FailureKind, String)> {
    let verdict_for =
        |ended| output::verdict(program, output, &ran.reading, ended, &ran.stderr, moment);
    // A program that handles the signal of a timeout by reporting an interruption reports nothing about its run.
    let interrupted = matches!(ran.ending, ProgramOutcome::Timeout(_))
        && matches!(
            verdict_for(ProgramStatus::Code(0)),
            Some((FailureKind::Crashed, _))
        );
    Some(match &ran.ending {
        ProgramOutcome::Exit(exit) => {
            let ended = match exit {
                Exit::Code(code) => ProgramStatus::Code(*code),
                Exit::Signal(signal) => ProgramStatus::Signal(*signal),
            };
            return match verdict_for(ended) {
                None if ran.alive > 0 => Some((
                    FailureKind::ProviderError,
                    format!("'{program}' exited with code 0"),
                )),
                verdict => verdict,
            };
        }
        ProgramOutcome::Cancelled => (FailureKind::Cancelled, format!("'{program}' was cancelled")),
        // The program reported its end. That it did not exit changes nothing.
        ProgramOutcome::Impatience(PatienceEnd::Stays) | ProgramOutcome::Timeout(_)
            if ran.reading.terminal != ReportedEnd::Unreported && !interrupted =>
        {
            return verdict_for(ProgramStatus::Code(0));
        }
        ProgramOutcome::Impatience(PatienceEnd::Waits(wait)) => (
            wait.class,
            format!(
                "'{program}' waits by itself, and was ended: {}",
                wait.message
            ),
        ),
        ProgramOutcome::Impatience(PatienceEnd::Stays) => (
            FailureKind::ProviderError,
            format!("'{program}' did not exit, and was ended"),
        ),
        ProgramOutcome::Timeout(which) => {
            let waited = ran.waiting.as_ref().map(|wait| wait.class);
            let explained =
                waited.or_else(|| output::cut_short(output, &ran.reading, &ran.stderr, moment));
            let why = match &ran.waiting {
                Some(wait) => format!(": it waits by itself, {}", wait.message),
                None => String::new(),
            };
            let message = format!("'{program}' {}, and was ended{why}", complaint(*which));
            (
                explained
                    .filter(|class| *class != FailureKind::Crashed)
                    .unwrap_or(FailureKind::Timeout { which: *which }),
                message,
            )
        }
        ProgramOutcome::NotStarted(StartError::Missing, reason) => (
            FailureKind::Missing,
            format!(
                "cannot run '{program}': {reason}; install it, or correct the provider's program"
            ),
        ),
        ProgramOutcome::NotStarted(error, reason) => {
            (error.class(), format!("cannot run '{program}': {reason}"))
        }
        ProgramOutcome::RunnerLost => (FailureKind::Crashed, runner_lost(program, ran.is_certain)),
    })
}

/// The sentence about a runner that died. Without a cgroup it promises nothing: the knowledge of the runner is lost with it.
pub(crate) fn runner_lost(program: &str, is_certain: bool) -> String {
    let rest = match is_certain {
        true => "all processes of the run were ended",
        false => {
            "processes of the run that have its mark or session were ended, others may be left"
        }
    };
    format!("the runner of '{program}' was killed; {rest}")
}

/// The failure of a run that has reached a limit of its pool. The program's own account of it does not matter, unless it names
/// another cause. A refused process is no shortage of the machine: the task would meet the same limit again.
pub(crate) fn with_limit(
    program: &str,
    limit: Option<&LimitReached>,
    (class, message): (FailureKind, String),
) -> (FailureKind, String) {
    use FailureKind::{Crashed, OutOfMemory, ProviderError, Shortage};
    let (Some(limit), ProviderError | Crashed | Shortage) = (limit, class) else {
        return (class, message);
    };
    let class = match limit {
        LimitReached::Memory(_) => OutOfMemory,
        LimitReached::Processes(_) => ProviderError,
    };
    (class, format!("'{program}' failed, {limit}; {message}"))
}

pub(crate) const fn complaint(which: TimeoutKind) -> &'static str {
    match which {
        TimeoutKind::Start => "gave no sign of life within the start timeout",
        TimeoutKind::Silence => "was silent for longer than the silence timeout",
        TimeoutKind::Total => "did not end within the total timeout",
    }
}

/// The end of stderr for a message.
pub(crate) fn tail(text: &str) -> &str {
    text::tail(text, MESSAGE_TAIL)
}
