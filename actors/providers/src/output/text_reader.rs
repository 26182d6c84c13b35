//! Text for people: all of it is the answer, without colours and the mark that it begins with.

use std::sync::Arc;

use super::outlook::{Outlook, ServiceWait};
use super::{RunReading, plain, whole};
use crate::definition::OutputRules;
use crate::event::RunEvent;
use crate::limits::{ReferenceTime, WorkDone};
use crate::text::{Ansi, CappedAnswer};

/// Bytes of an answer that may be a limit's notice as a whole.
const NOTICE: usize = 2 * 1024;

/// Reads text.
#[derive(Debug)]
pub(crate) struct TextReader {
    output: Arc<OutputRules>,
    ansi: Ansi,
    answer: CappedAnswer,
    is_stuck: bool,
}

impl TextReader {
    pub(super) fn new(output: Arc<OutputRules>, limit: usize) -> Self {
        Self {
            output,
            ansi: Ansi::default(),
            answer: CappedAnswer::new(limit),
            is_stuck: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<RunEvent> {
        plain(&mut self.answer, &self.ansi.strip(bytes))
    }

    /// The program is stuck as long as its answer is a limit's notice and nothing else.
    pub(super) fn outlook(&mut self) -> Outlook {
        let said = self.answer.text();
        let wait = (said.len() <= NOTICE)
            .then(|| {
                let said = spoken(said, &self.output.prefix).unwrap_or(said);
                ServiceWait::of_answer(
                    &self.output,
                    said,
                    WorkDone::default(),
                    &ReferenceTime::now(),
                )
            })
            .flatten();
        let was_stuck = std::mem::replace(&mut self.is_stuck, wait.is_some());
        match wait {
            Some(wait) => Outlook::Stuck(wait),
            None if was_stuck => Outlook::Works,
            None => Outlook::Unchanged,
        }
    }

    pub(super) fn finish(self) -> RunReading {
        let reading = whole(self.answer);
        match spoken(&reading.answer, &self.output.prefix).map(str::to_owned) {
            Some(answer) => RunReading {
                answer,
                is_spoken: true,
                ..reading
            },
            None => reading,
        }
    }
}

/// The text behind the mark with which the model's words begin.
fn spoken<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    let text = text.trim_start();
    text.strip_prefix(mark).filter(|_| !mark.is_empty())
}
