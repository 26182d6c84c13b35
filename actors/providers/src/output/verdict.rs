//! The verdict on a run: compares the program's report with its exit.

use std::borrow::Cow;

use kirosu_protocol::text;

use super::{ReportedEnd, RunReading};
use crate::definition::{Format, OutputRules};
use crate::limits::{self, ReferenceTime, ReportedError};
use crate::outcome::{Doubt, FailureKind, RunFailure};

/// Characters of an answer, or of output that is not JSON, which a message shows.
const SHOWN: usize = 300;
/// Bytes at the end of a text that are searched for the words that all programs share.
const LAST_LINES: usize = 1024;
/// Bytes at the end of stderr, or of a text output, that are searched for an error.
const TAIL: usize = 4 * 1024;

/// The exit of the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgramStatus {
    /// With this exit code.
    Code(i32),
    /// By this signal, which we did not send.
    Signal(i32),
}

/// `None` for a run that succeeded, else the failure kind and the message, without the end of stderr.
pub(crate) fn verdict(
    program: &str,
    output: &OutputRules,
    reading: &RunReading,
    ended: ProgramStatus,
    stderr: &str,
    moment: &ReferenceTime,
) -> Option<(FailureKind, String)> {
    let judge = Judge {
        output,
        reading,
        stderr,
        moment,
    };
    let (class, message) = judge.verdict(program, ended)?;
    Some((judge.limited(class), message))
}

/// The failure kind of a run that was stopped before it reported its end, from its output until then. `None` where that
/// explains nothing.
pub(crate) fn cut_short(
    output: &OutputRules,
    reading: &RunReading,
    stderr: &str,
    moment: &ReferenceTime,
) -> Option<FailureKind> {
    let judge = Judge {
        output,
        reading,
        stderr,
        moment,
    };
    let last = stderr.lines().rev().find(|it| !it.trim().is_empty());
    let by_words = judge.by_words(last.unwrap_or_default());
    let class = judge.limited(by_words.unwrap_or(FailureKind::ProviderError));
    // The last words explain a long silence only where they state a reason for it.
    let explains = matches!(
        class,
        FailureKind::RateLimited { .. } | FailureKind::AuthRequired | FailureKind::Network
    );
    explains.then_some(class)
}

/// The reason to doubt a success, which then counts only where the task's own check accepts it. `None` for a plain success.
pub(crate) fn doubt(program: &str, output: &OutputRules, reading: &RunReading) -> Option<Doubt> {
    if let Some(denial) = reading.denied.as_ref().filter(|it| it.is_last) {
        let answer: String = reading.answer.trim().chars().take(SHOWN).collect();
        let reason = format!(
            "'{program}' ended after a tool was denied ({}), and no tool succeeded after that. {HOW_TO_ALLOW}. Its answer: {answer}",
            denial.what
        );
        return Some(Doubt {
            kind: FailureKind::RefusedByPolicy,
            reason,
        });
    }
    let did_nothing = output.format != Format::Text && reading.did_nothing();
    did_nothing.then(|| Doubt {
        kind: FailureKind::ProviderError,
        reason: format!(
            "'{program}' ended well, but gave no answer and used no tool; if that is intended, give the task an accept clause that holds"
        ),
    })
}

/// Whether a failed run reports that its conversation no longer exists. `told` is its error and its stderr.
pub(crate) fn reports_lost(output: &OutputRules, reading: &RunReading, reported: &str) -> bool {
    let did_nothing = reading.did_nothing();
    let reported = format!("{reported}\n{}", reading.noise).to_lowercase();
    did_nothing && output.lost.iter().any(|it| reported.contains(it))
}

/// Whether a resumed run failed before it did anything, for an unknown reason: the conversation may no longer exist,
/// whatever the words. An expired session may be the conversation's or the login's.
pub(crate) fn may_have_lost(did_nothing: bool, failure: &RunFailure) -> bool {
    let is_unknown = match failure.kind {
        FailureKind::ProviderError => true,
        FailureKind::AuthRequired => {
            let reported = failure.message.to_lowercase();
            reported.contains("session expired") || reported.contains("session has expired")
        }
        _ => false,
    };
    did_nothing && is_unknown
}

const HOW_TO_ALLOW: &str =
    "Give the pool trust_all_tools = true, or let the program's own settings allow it";

/// The known data of a run that has ended.
struct Judge<'a> {
    output: &'a OutputRules,
    reading: &'a RunReading,
    stderr: &'a str,
    moment: &'a ReferenceTime,
}

impl Judge<'_> {
    fn verdict(&self, program: &str, ended: ProgramStatus) -> Option<(FailureKind, String)> {
        let (output, reading) = (self.output, self.reading);
        if let ReportedEnd::Failed {
            message,
            status,
            class,
            frame,
        } = &reading.terminal
        {
            let complaint = ReportedError {
                status: *status,
                text: message,
                data: Some(frame),
            };
            let class = class
                .or_else(|| known(class_of(output, &complaint, self.moment)))
                .or_else(|| self.by_exit(ended))
                .unwrap_or(FailureKind::ProviderError);
            let advice = limits::advice(&complaint);
            let message = match message.is_empty() {
                true => "it gave no reason",
                false => message,
            };
            let message = format!("'{program}' reported an error: {message}{advice}");
            return Some((class, message));
        }
        let code = match ended {
            ProgramStatus::Signal(signal) => {
                let message = format!("'{program}' was ended by signal {signal}");
                return Some((FailureKind::Crashed, message));
            }
            ProgramStatus::Code(code) => code,
        };
        if code != 0 {
            let class = self.by_exit(ended).unwrap_or(FailureKind::ProviderError);
            let advice = limits::advice(&ReportedError::of_text(tail(self.stderr)));
            let printed = [&reading.last_error, &reading.noise];
            let noise = printed.iter().map(|it| it.trim()).find(|it| !it.is_empty());
            let noise: String = noise.unwrap_or_default().chars().take(SHOWN).collect();
            let noise = match noise.is_empty() {
                true => noise,
                false => format!(": {noise}"),
            };
            let message = format!("'{program}' exited with code {code}{noise}{advice}");
            return Some((class, message));
        }
        if output.format == Format::Text {
            return self
                .error_answer(program)
                .or_else(|| self.no_answer(program));
        }
        match (&reading.terminal, &reading.denied) {
            (ReportedEnd::Done, _) => self.error_answer(program),
            (_, Some(denial)) => Some((
                FailureKind::RefusedByPolicy,
                format!(
                    "'{program}' ended because a tool was denied ({}); no person could be asked. {HOW_TO_ALLOW}",
                    denial.what
                ),
            )),
            (_, None) => Some((
                self.by_words(tail(self.stderr))
                    .unwrap_or(FailureKind::ProviderError),
                format!(
                    "'{program}' exited with code 0 and never reported that it was done: it was stopped, or its output does not have the format of its definition"
                ),
            )),
        }
    }

    /// The kind from the exit code, else from the output besides the answer, else from the end of a text answer.
    fn by_exit(&self, ended: ProgramStatus) -> Option<FailureKind> {
        let by_code = match ended {
            ProgramStatus::Code(code) => self.output.exit.get(&code).copied(),
            ProgramStatus::Signal(_) => None,
        };
        by_code.or_else(|| self.by_words(tail(self.stderr)))
    }

    fn by_words(&self, stderr: &str) -> Option<FailureKind> {
        let is_text = self.output.format == Format::Text;
        let answer = match is_text {
            true => self.own_words(),
            false => &self.reading.noise,
        };
        self.by_phrase(&self.reading.last_error)
            .or_else(|| self.by_last_lines(&self.reading.last_error))
            .or_else(|| self.by_phrase(stderr))
            .or_else(|| self.by_phrase(answer))
            .or_else(|| self.by_last_lines(stderr))
            .or_else(|| self.by_last_lines(answer))
            .or_else(|| self.by_notice())
    }

    /// The kind from an answer that consists of a limit's notice, which explains the missing rest.
    fn by_notice(&self) -> Option<FailureKind> {
        let answer = ReportedError::of_text(&self.reading.answer);
        let is_notice =
            self.output.known_errors && limits::is_notice(answer.text, self.reading.work());
        limits::classify(&answer, self.moment).filter(|_| is_notice)
    }

    /// The part of a text that may be the program's own: after an answer, only a last line with the form of an error.
    fn own_words(&self) -> &str {
        let answer = tail(&self.reading.answer);
        if !self.reading.is_spoken {
            return answer;
        }
        let mut lines = answer.trim_end().lines();
        let last = lines.next_back().unwrap_or_default();
        // The first line is the model's.
        let is_own = lines.next().is_some() && is_error_line(last);
        if is_own { last } else { "" }
    }

    fn by_phrase(&self, text: &str) -> Option<FailureKind> {
        Some(match phrase(self.output, text)? {
            FailureKind::RateLimited { .. } => FailureKind::RateLimited {
                until: limits::until(&ReportedError::of_text(last_lines(text)), self.moment),
            },
            class => class,
        })
    }

    /// The kind from the shared words. These are common words, so only the last lines of a program count.
    fn by_last_lines(&self, text: &str) -> Option<FailureKind> {
        let text = without_stack(text);
        let complaint = ReportedError::of_text(last_lines(&text));
        let class = limits::classify(&complaint, self.moment);
        class.filter(|_| self.output.known_errors)
    }

    fn error_answer(&self, program: &str) -> Option<(FailureKind, String)> {
        let answer = self.reading.answer.trim_start();
        let is_notice = self.output.known_errors && limits::is_notice(answer, self.reading.work());
        (is_notice || is_error_answer(self.output, answer)).then(|| {
            let complaint = ReportedError::of_text(answer);
            let class = class_of(self.output, &complaint, self.moment);
            let advice = limits::advice(&complaint);
            (
                class,
                format!("'{program}' answered with an error: {answer}{advice}"),
            )
        })
    }

    /// The failure of a text program without an answer whose last line on stderr is a known error. Silence alone is allowed.
    fn no_answer(&self, program: &str) -> Option<(FailureKind, String)> {
        if !self.output.known_errors || !self.reading.answer.trim().is_empty() {
            return None;
        }
        let last = self.stderr.lines().rev().find(|it| !it.trim().is_empty())?;
        let class = self.by_phrase(last).or_else(|| self.by_last_lines(last))?;
        let advice = limits::advice(&ReportedError::of_text(last));
        let message = format!("'{program}' exited with code 0 and gave no answer{advice}");
        Some((class, message))
    }

    /// Applies the program's statement about its account's limit: it explains a failure without another reason, and states
    /// its end.
    fn limited(&self, class: FailureKind) -> FailureKind {
        let (Some(data), true) = (
            &self.reading.limit,
            matches!(
                class,
                FailureKind::ProviderError | FailureKind::RateLimited { .. }
            ),
        ) else {
            return class;
        };
        let complaint = match data {
            serde_json::Value::String(text) => ReportedError::of_text(text),
            data => ReportedError {
                data: Some(data),
                ..ReportedError::default()
            },
        };
        let stated = limits::until(&complaint, self.moment);
        let by_words = match class {
            FailureKind::RateLimited { until } => until,
            _ => None,
        };
        FailureKind::RateLimited {
            until: stated.or(by_words),
        }
    }
}

/// Whether a line has the form of an error.
fn is_error_line(line: &str) -> bool {
    let lower = line.trim_start().to_lowercase();
    let begins = ["error", "[error", "fatal", "failed", "api error"];
    begins.iter().any(|it| lower.starts_with(it)) || limits::is_fatal(line)
}

/// The kind, unless it is the general one.
fn known(class: FailureKind) -> Option<FailureKind> {
    (class != FailureKind::ProviderError).then_some(class)
}

/// Whether an answer begins like an error, by the definition.
pub(crate) fn is_error_answer(output: &OutputRules, answer: &str) -> bool {
    let answer = answer.trim_start();
    output.error_answers.iter().any(|it| answer.starts_with(it))
}

/// The failure kind of an error: from the definition's own words, else from the shared ones.
pub(crate) fn class_of(
    output: &OutputRules,
    complaint: &ReportedError<'_>,
    moment: &ReferenceTime,
) -> FailureKind {
    match phrase(output, complaint.text) {
        Some(FailureKind::RateLimited { .. }) => FailureKind::RateLimited {
            until: limits::until(complaint, moment),
        },
        Some(class) => class,
        None if output.known_errors => {
            limits::classify(complaint, moment).unwrap_or(FailureKind::ProviderError)
        }
        None => FailureKind::ProviderError,
    }
}

fn phrase(output: &OutputRules, text: &str) -> Option<FailureKind> {
    let text = text.to_lowercase();
    let found = output.errors.iter().find(|it| text.contains(&it.contains));
    found.map(|it| it.class)
}

/// The text without the lines of a stack trace, which follow the error in a log.
fn without_stack(text: &str) -> Cow<'_, str> {
    let is_frame = |line: &str| {
        let inner = line.trim_start();
        inner.len() < line.len() && (inner.starts_with("at ") || inner.starts_with("File \""))
    };
    if !text.lines().any(is_frame) {
        return text.into();
    }
    let lines: Vec<&str> = text.lines().filter(|it| !is_frame(it)).collect();
    lines.join("\n").into()
}

/// The end of a text, where a failed program states the reason.
fn last_lines(text: &str) -> &str {
    let text = text.trim_end();
    text::tail(text, LAST_LINES)
}

fn tail(text: &str) -> &str {
    text::tail(text, TAIL)
}
