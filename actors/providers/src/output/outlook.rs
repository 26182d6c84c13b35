//! The activity of a running program according to its output: it works, it waits for its service, or it has reported its
//! end and should exit.

use std::time::Duration;

use serde_json::Value;

use super::is_error_answer;
use crate::definition::OutputRules;
use crate::event::{RunEvent, ToolStatus};
use crate::limits::{self, ReferenceTime, ReportedError, WorkDone};
use crate::outcome::FailureKind;
use crate::text::Ansi;
use crate::text::lines::{OutputLine, OutputLines};

/// Bytes of a stderr line that are read. A longer line is ignored.
const STDERR_LINE: usize = 16 * 1024;

/// A program's activity.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Outlook {
    /// The output shows nothing new.
    #[default]
    Unchanged,
    /// It works.
    Works,
    /// It works, and a tool that it called is running, which may be silent for long.
    Calls,
    /// It waits before it calls its service again.
    Waits(ServiceWait),
    /// It reported a reason for which nothing more can follow, and may not exit.
    Stuck(ServiceWait),
    /// It reported an error of unknown kind without an end. A single one has no effect; repeated ones end the program.
    Errs(ServiceWait),
    /// It reported its end.
    Ended,
}

impl Outlook {
    /// The activity after work whose last event is `last`.
    pub(crate) fn of_work(last: Option<&RunEvent>) -> Self {
        match last {
            Some(RunEvent::Tool {
                status: ToolStatus::Started,
                ..
            }) => Self::Calls,
            _ => Self::Works,
        }
    }
}

/// A wait of a program for its service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServiceWait {
    /// The failure that caused the wait.
    pub(crate) class: FailureKind,
    /// The announced length. `None` where the program states none.
    pub(crate) length: Option<Duration>,
    /// Whether the program repeats its request by itself. Then silence after the wait may be the model's work.
    pub(crate) is_retry: bool,
    /// The program's words.
    pub(crate) message: String,
}

impl ServiceWait {
    /// A wait of a known kind. `None` for other errors, which may not concern the service.
    fn of(
        complaint: &ReportedError<'_>,
        class: Option<FailureKind>,
        moment: &ReferenceTime,
    ) -> Option<Self> {
        let known = limits::classify(complaint, moment)
            .or_else(|| limits::is_server_error(complaint).then_some(FailureKind::ProviderError));
        let length = limits::pause(complaint);
        Some(Self {
            class: known.or(class)?,
            length,
            is_retry: length.is_some() || counts_attempts(complaint.text),
            message: complaint.text.trim().to_owned(),
        })
    }

    /// The wait in a frame, from its words or data. `class` applies where they state none.
    pub(super) fn of_data(
        data: &Value,
        class: Option<FailureKind>,
        moment: &ReferenceTime,
    ) -> Outlook {
        let text = match data {
            Value::String(text) => text.clone(),
            // The words in the data are read as well.
            data => data.to_string(),
        };
        Self::of(&ReportedError::of_text(&text), class, moment)
            .map_or_else(|| Outlook::Errs(Self::unknown(&text)), Outlook::Waits)
    }

    /// An error of unknown kind.
    fn unknown(text: &str) -> Self {
        Self {
            class: FailureKind::ProviderError,
            length: None,
            is_retry: true,
            message: text.trim().to_owned(),
        }
    }

    /// The wait in a notice that announces a retry.
    pub(crate) fn of_notice(text: &str, moment: &ReferenceTime) -> Option<Self> {
        let says_so = text.to_lowercase().contains("retry");
        let wait = says_so.then(|| Self::of(&ReportedError::of_text(text), None, moment))??;
        Some(Self {
            is_retry: true,
            ..wait
        })
    }

    /// The wait of an answer that consists of an error or a limit's notice, so that nothing more can follow.
    pub(crate) fn of_answer(
        output: &OutputRules,
        answer: &str,
        work: WorkDone,
        moment: &ReferenceTime,
    ) -> Option<Self> {
        let is_notice = output.known_errors && limits::is_notice(answer, work);
        let is_error = || !work.used_tool && is_error_answer(output, answer);
        let complaint = ReportedError::of_text(answer.trim());
        let class = (is_notice || is_error()).then(|| limits::classify(&complaint, moment))??;
        Some(Self {
            class,
            length: None,
            is_retry: false,
            message: complaint.text.to_owned(),
        })
    }

    /// The wait of a stderr line after which nothing can follow: a missing login, or a limit.
    fn of_fatal(output: &OutputRules, line: &str, moment: &ReferenceTime) -> Option<Self> {
        let complaint = ReportedError::of_text(line.trim());
        let is_fatal = output.known_errors && limits::is_fatal(complaint.text);
        let class = limits::classify(&complaint, moment).filter(|_| is_fatal)?;
        Some(Self {
            class,
            // The time of the limit is not the program's pause.
            length: None,
            is_retry: false,
            message: complaint.text.to_owned(),
        })
    }

    /// The activity according to a line, where it has words for a wait.
    pub(super) fn of_line(output: &OutputRules, line: &str, moment: &ReferenceTime) -> Outlook {
        if output.wait_words.is_empty() {
            return Outlook::Unchanged;
        }
        let lower = line.to_lowercase();
        if !output.wait_words.iter().any(|it| lower.contains(it)) {
            return Outlook::Unchanged;
        }
        match Self::of(&ReportedError::of_text(line), None, moment) {
            Some(wait) => Outlook::Waits(Self {
                is_retry: true,
                ..wait
            }),
            None => Outlook::Errs(Self::unknown(line)),
        }
    }
}

/// Whether a text counts attempts: `Reconnecting... 3/5`, `attempt 2`.
fn counts_attempts(text: &str) -> bool {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| c.is_whitespace() || "()[],:;.\"".contains(c))
        .filter(|it| !it.is_empty())
        .collect();
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let is_count = |it: &&str| {
        let (done, all) = it.split_once('/').unwrap_or_default();
        is_number(done) && is_number(all)
    };
    let is_attempt = |pair: &[&str]| {
        let names = ["attempt", "retry", "try"];
        names.contains(&pair[0]) && is_number(pair[1].trim_start_matches('#'))
    };
    words.iter().any(is_count) || words.windows(2).any(is_attempt)
}

/// Looks in stderr for waits, and for errors that end a run.
#[derive(Debug)]
pub(crate) struct StderrWatch {
    output: std::sync::Arc<OutputRules>,
    lines: OutputLines,
}

impl StderrWatch {
    /// `None` where the definition has no words for waits and the shared words do not apply.
    pub(crate) fn new(output: &std::sync::Arc<OutputRules>) -> Option<Self> {
        (!output.wait_words.is_empty() || output.known_errors).then(|| Self {
            output: output.clone(),
            lines: OutputLines::new(STDERR_LINE),
        })
    }

    /// Takes the next bytes. Returns the activity of the last line that shows one.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Outlook {
        let lines = self.lines.push(bytes).into_iter();
        let mut waits = lines.filter_map(|line| match line {
            OutputLine::Whole(line) => {
                let line = Ansi::default().strip(&line);
                let line = String::from_utf8_lossy(&line);
                let moment = ReferenceTime::now();
                let stuck = || ServiceWait::of_fatal(&self.output, &line, &moment);
                match ServiceWait::of_line(&self.output, &line, &moment) {
                    Outlook::Unchanged => stuck().map(Outlook::Stuck),
                    wait => Some(wait),
                }
            }
            OutputLine::TooLong => None,
        });
        waits.next_back().unwrap_or_default()
    }
}
