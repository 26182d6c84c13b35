//! The task on screen 2.

use super::messages::OutputUpdate;
use super::transcript::Transcript;
use kirosu_protocol::{Fence, GetAnswer, TaskId};

/// The task on screen 2.
#[derive(Clone, Debug, Default)]
pub struct TaskPane {
    /// Its number.
    pub id: TaskId,
    /// The hub's answer; `None` until it is known.
    pub answer: Option<Box<GetAnswer>>,
    /// The reason why the hub does not return the task.
    pub failure: Option<String>,
    /// Fence of the attempt whose output is shown; 0 for none.
    pub fence: Fence,
    /// The output of that attempt.
    pub output: Transcript,
    /// Whether the hub has only a part of it.
    pub cut: bool,
    /// The first visible row; set by the drawing while `follows` is set.
    pub top: usize,
    /// Whether the view stays at the end of the output.
    pub follows: bool,
    /// Number of rows, and of visible rows, at the last drawing.
    pub rows: (usize, usize),
}

impl TaskPane {
    /// A task of which only the number is known.
    pub fn new(id: TaskId) -> TaskPane {
        TaskPane {
            id,
            follows: true,
            ..TaskPane::default()
        }
    }

    /// Sets the hub's answer.
    pub fn set_answer(&mut self, answer: Box<GetAnswer>) {
        // The text of a finished task is shown from its start.
        if self.answer.is_none() && answer.task.status.is_final() {
            self.follows = false;
            self.top = 0;
        }
        self.failure = None;
        self.answer = Some(answer);
    }

    /// Adds output.
    pub fn add_output(&mut self, output: OutputUpdate) {
        match output {
            OutputUpdate::Whole { fence, text, cut } => {
                self.fence = fence;
                self.cut = cut;
                self.output = Transcript::default();
                self.output.push(&text);
            }
            OutputUpdate::More(text) => self.output.push(&text),
        }
    }
}
