//! The activity of a program that still runs, by its output: it works, it waits for its service, or it has said its
//! end and should exit.

use std::time::Duration;

use serde_json::Value;

use super::is_error_answer;
use crate::definition::OutputRules;
use crate::event::{RunEvent, ToolStatus};
use crate::limits::{self, ReferenceTime, ReportedError, WorkDone};
use crate::outcome::FailureKind;
use crate::text::Ansi;
use crate::text::lines::{LineSplitter, OutputLine};

/// Bytes of one line of stderr that are looked at.
const STDERR_LINE: usize = 16 * 1024;

/// A program's activity.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Outlook {
    /// Nothing new was learnt.
    #[default]
    Unchanged,
    /// It works.
    Works,
    /// It works, and a tool that it called runs: that may take long without a word.
    Calls,
    /// It waits before it asks its service again.
    Waits(ServiceWait),
    /// It said why nothing more can come, and may not exit.
    Stuck(ServiceWait),
    /// It stated an error of no known kind without an end: alone that means nothing, again and again that it does not come on.
    Errs(ServiceWait),
    /// It said how it ended.
    Ended,
}

impl Outlook {
    /// Work that ended with this event.
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

/// Why and how long a program waits by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServiceWait {
    /// The failure that it waits for to pass.
    pub(crate) class: FailureKind,
    /// How long, where it says so.
    pub(crate) length: Option<Duration>,
    /// It asks again by itself: a silence after that may be the model's work.
    pub(crate) is_retry: bool,
    /// Its own words.
    pub(crate) message: String,
}

impl ServiceWait {
    /// A wait of a known kind; `None` for others, which may be a program's own business.
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

    /// What a frame tells of a wait, in words or as data. `class`: its class where neither says so.
    pub(super) fn of_data(
        data: &Value,
        class: Option<FailureKind>,
        moment: &ReferenceTime,
    ) -> Outlook {
        let text = match data {
            Value::String(text) => text.clone(),
            // Words of the data are read as well.
            data => data.to_string(),
        };
        Self::of(&ReportedError::of_text(&text), class, moment)
            .map_or_else(|| Outlook::Errs(Self::unknown(&text)), Outlook::Waits)
    }

    /// An error of no known kind.
    fn unknown(text: &str) -> Self {
        Self {
            class: FailureKind::ProviderError,
            length: None,
            is_retry: true,
            message: text.trim().to_owned(),
        }
    }

    /// A notice in which the program says that it asks its service again.
    pub(crate) fn of_notice(text: &str, moment: &ReferenceTime) -> Option<Self> {
        let says_so = text.to_lowercase().contains("retry");
        let wait = says_so.then(|| Self::of(&ReportedError::of_text(text), None, moment))??;
        Some(Self {
            is_retry: true,
            ..wait
        })
    }

    /// An answer that is an error or a limit's notice as a whole, so that nothing more can come.
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

    /// A line of stderr after which nothing can come, of a program that does not exit: no login, or a limit.
    fn of_fatal(output: &OutputRules, line: &str, moment: &ReferenceTime) -> Option<Self> {
        let complaint = ReportedError::of_text(line.trim());
        let is_fatal = output.known_errors && limits::is_fatal(complaint.text);
        let class = limits::classify(&complaint, moment).filter(|_| is_fatal)?;
        Some(Self {
            class,
            // The limit's time is not the program's pause.
            length: None,
            is_retry: false,
            message: complaint.text.to_owned(),
        })
    }

    /// A line in which the program says that it waits before it asks again.
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

/// Looks for waits, and for errors that end a run, in stderr.
#[derive(Debug)]
pub(crate) struct StderrWatch {
    output: std::sync::Arc<OutputRules>,
    lines: LineSplitter,
}

impl StderrWatch {
    /// `None` where the definition names no words for it, and the shared ones do not count.
    pub(crate) fn new(output: &std::sync::Arc<OutputRules>) -> Option<Self> {
        (!output.wait_words.is_empty() || output.known_errors).then(|| Self {
            output: output.clone(),
            lines: LineSplitter::new(STDERR_LINE),
        })
    }

    /// Takes the next bytes; the last wait that they say.
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
