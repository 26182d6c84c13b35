//! The task that is looked at.

use super::news::Output;
use super::transcript::Transcript;
use kirosu_protocol::verbs::get::GetAnswer;
use kirosu_protocol::{Fence, TaskId};

/// The task that is looked at.
#[derive(Clone, Debug, Default)]
pub struct TaskPane {
    /// Its number.
    pub id: TaskId,
    /// What the hub knows of it.
    pub answer: Option<Box<GetAnswer>>,
    /// Why there is nothing to show.
    pub trouble: Option<String>,
    /// The attempt whose output this is; 0: none.
    pub fence: Fence,
    /// What that attempt printed.
    pub output: Transcript,
    /// Whether the hub cut it.
    pub cut: bool,
    /// The first row shown; counted from the end when `follows`.
    pub top: usize,
    /// Whether the newest output stays in sight.
    pub follows: bool,
    /// Rows in all, and rows on the screen, when it was drawn last.
    pub rows: (usize, usize),
}

impl TaskPane {
    /// Nothing is known of it yet but its number.
    pub fn new(id: TaskId) -> TaskPane {
        TaskPane {
            id,
            follows: true,
            ..TaskPane::default()
        }
    }

    /// What the hub knows has come.
    pub fn came(&mut self, answer: Box<GetAnswer>) {
        // A task that has ended is read from its beginning.
        if self.answer.is_none() && answer.task.status.is_final() {
            self.follows = false;
            self.top = 0;
        }
        self.trouble = None;
        self.answer = Some(answer);
    }

    /// A piece of its output has come.
    pub fn printed(&mut self, output: Output) {
        match output {
            Output::Whole { fence, text, cut } => {
                self.fence = fence;
                self.cut = cut;
                self.output = Transcript::default();
                self.output.push(&text);
            }
            Output::More(text) => self.output.push(&text),
        }
    }
}
