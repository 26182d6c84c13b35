//! Text for people: the whole text is the answer, without terminal sequences and its leading mark.

use std::sync::Arc;

use super::outlook::{Outlook, ServiceWait};
use super::{RunReading, plain, whole};
use crate::definition::OutputRules;
use crate::event::RunEvent;
use crate::limits::{ReferenceTime, WorkDone};
use crate::text::{Ansi, CappedAnswer};

/// Bytes of an answer that may be a limit's notice, at most.
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

    /// The program is stuck while its answer consists of a limit's notice.
    pub(super) fn outlook(&mut self) -> Outlook {
        let stated = self.answer.text();
        let wait = (stated.len() <= NOTICE)
            .then(|| {
                let stated = spoken(stated, &self.output.prefix).unwrap_or(stated);
                ServiceWait::of_answer(
                    &self.output,
                    stated,
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

/// The text after the mark that begins the model's words. `None` without the mark.
fn spoken<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    let text = text.trim_start();
    text.strip_prefix(mark).filter(|_| !mark.is_empty())
}
