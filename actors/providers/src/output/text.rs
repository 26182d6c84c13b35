//! Text for people: all of it is the answer, without colours and the mark that it begins with.

use std::sync::Arc;

use super::ansi::Ansi;
use super::outlook::{Outlook, Wait};
use super::{Reading, plain, whole};
use crate::definition::Output;
use crate::event::RunEvent;
use crate::invocation::Answer;
use crate::limits::{Moment, Work};

/// Bytes of an answer that may be a limit's notice as a whole.
const NOTICE: usize = 2 * 1024;

/// Reads text.
#[derive(Debug)]
pub(crate) struct Text {
    output: Arc<Output>,
    ansi: Ansi,
    answer: Answer,
    is_stuck: bool,
}

impl Text {
    pub(super) fn new(output: Arc<Output>, limit: usize) -> Self {
        Self {
            output,
            ansi: Ansi::default(),
            answer: Answer::new(limit),
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
                Wait::of_answer(&self.output, said, Work::default(), &Moment::now())
            })
            .flatten();
        let was_stuck = std::mem::replace(&mut self.is_stuck, wait.is_some());
        match wait {
            Some(wait) => Outlook::Stuck(wait),
            None if was_stuck => Outlook::Works,
            None => Outlook::Unchanged,
        }
    }

    pub(super) fn finish(self) -> Reading {
        let reading = whole(self.answer);
        match spoken(&reading.answer, &self.output.prefix).map(str::to_owned) {
            Some(answer) => Reading {
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
