//! The activity of a program that still runs, by its output: it works, it waits for its service, or it has said its
//! end and should exit.

use std::time::Duration;

use serde_json::Value;

use super::lines::{Line, Lines};
use crate::definition::Output;
use crate::event::{Event, ToolStatus};
use crate::limits::{self, Complaint, Moment};
use crate::outcome::FailureClass;

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
    Waits(Wait),
    /// It said on stderr why nothing more can come, and may not exit.
    Stuck(Wait),
    /// It said how it ended.
    Ended,
}

impl Outlook {
    /// Work that ended with this event.
    pub(crate) fn of_work(last: Option<&Event>) -> Self {
        match last {
            Some(Event::Tool {
                status: ToolStatus::Started,
                ..
            }) => Self::Calls,
            _ => Self::Works,
        }
    }
}

/// Why and how long a program waits by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wait {
    /// The failure that it waits for to pass.
    pub(crate) class: FailureClass,
    /// How long, where it says so.
    pub(crate) length: Option<Duration>,
    /// Its own words.
    pub(crate) message: String,
}

impl Wait {
    /// A wait of a known kind; `None` for others, which may be a program's own business.
    fn of(complaint: &Complaint<'_>, class: Option<FailureClass>, moment: &Moment) -> Option<Self> {
        Some(Self {
            class: limits::classify(complaint, moment).or(class)?,
            length: limits::pause(complaint),
            message: complaint.text.trim().to_owned(),
        })
    }

    /// A wait that a frame tells, in words or as data. `class`: what it is where neither says so.
    pub(super) fn of_data(
        data: &Value,
        class: Option<FailureClass>,
        moment: &Moment,
    ) -> Option<Self> {
        match data {
            Value::String(text) => Self::of(&Complaint::of_text(text), class, moment),
            // Words of the data are read as well.
            data => Self::of(&Complaint::of_text(&data.to_string()), class, moment),
        }
    }

    /// A line of stderr after which nothing can come, of a program that does not exit: no login, or a limit.
    fn of_fatal(output: &Output, line: &str, moment: &Moment) -> Option<Self> {
        let complaint = Complaint::of_text(line.trim());
        let is_fatal = output.known_errors && limits::is_fatal(complaint.text);
        let class = limits::classify(&complaint, moment).filter(|_| is_fatal)?;
        Some(Self {
            class,
            // The limit's time is not the program's pause.
            length: None,
            message: complaint.text.to_owned(),
        })
    }

    /// A line in which the program says that it waits.
    pub(super) fn of_line(output: &Output, line: &str, moment: &Moment) -> Option<Self> {
        if output.wait_words.is_empty() {
            return None;
        }
        let lower = line.to_lowercase();
        let says_so = output.wait_words.iter().any(|it| lower.contains(it));
        says_so
            .then(|| Self::of(&Complaint::of_text(line), None, moment))
            .flatten()
    }
}

/// Looks for waits, and for errors that end a run, in stderr.
#[derive(Debug)]
pub(crate) struct StderrWatch {
    output: std::sync::Arc<Output>,
    lines: Lines,
}

impl StderrWatch {
    /// `None` where the definition names no words for it, and the shared ones do not count.
    pub(crate) fn new(output: &std::sync::Arc<Output>) -> Option<Self> {
        (!output.wait_words.is_empty() || output.known_errors).then(|| Self {
            output: output.clone(),
            lines: Lines::new(STDERR_LINE),
        })
    }

    /// Takes the next bytes; the last wait that they say.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Outlook {
        let lines = self.lines.push(bytes).into_iter();
        let mut waits = lines.filter_map(|line| match line {
            Line::Whole(line) => {
                let line = String::from_utf8_lossy(&line);
                let moment = Moment::now();
                let wait = Wait::of_line(&self.output, &line, &moment);
                let stuck = || Wait::of_fatal(&self.output, &line, &moment);
                wait.map(Outlook::Waits)
                    .or_else(|| stuck().map(Outlook::Stuck))
            }
            Line::TooLong => None,
        });
        waits.next_back().unwrap_or_default()
    }
}
