//! Where the eye is in a list that is longer than the screen.

/// A chosen line and the first one shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The chosen line, from 0.
    pub at: usize,
    /// The first line on the screen.
    pub top: usize,
}

/// A step through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many lines, up when negative.
    Lines(isize),
    /// So many screens.
    Pages(isize),
    /// To the beginning.
    First,
    /// To the end.
    Last,
}

impl Cursor {
    /// Goes a step in a list of `len` lines of which `height` are on the screen.
    pub fn step(&mut self, step: Step, len: usize, height: usize) {
        self.at = self.wanted(step, len, height).max(0) as usize;
        self.fit(len, height);
    }

    /// The line that a step leads to, which may lie outside of the list.
    pub fn wanted(&self, step: Step, len: usize, height: usize) -> isize {
        let at = self.at as isize;
        match step {
            Step::Lines(lines) => at + lines,
            Step::Pages(pages) => at + pages * height.saturating_sub(1).max(1) as isize,
            Step::First => 0,
            Step::Last => len.saturating_sub(1) as isize,
        }
    }

    /// Keeps the chosen line within the list and on the screen.
    pub fn fit(&mut self, len: usize, height: usize) {
        self.at = self.at.min(len.saturating_sub(1));
        let lowest = self.at.saturating_sub(height.max(1) - 1);
        let most = len.saturating_sub(height.max(1));
        self.top = self
            .top
            .clamp(lowest, self.at.max(lowest))
            .min(most.max(lowest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_line_stays_in_the_list_and_on_the_screen() {
        let mut cursor = Cursor::default();
        cursor.step(Step::Pages(1), 100, 10);
        assert_eq!((cursor.at, cursor.top), (9, 0));
        cursor.step(Step::Lines(1), 100, 10);
        assert_eq!((cursor.at, cursor.top), (10, 1));
        cursor.step(Step::Last, 100, 10);
        assert_eq!((cursor.at, cursor.top), (99, 90));
        cursor.step(Step::Lines(-3), 100, 10);
        assert_eq!((cursor.at, cursor.top), (96, 90));
        cursor.fit(5, 10);
        assert_eq!((cursor.at, cursor.top), (4, 0));
        cursor.fit(0, 0);
        assert_eq!((cursor.at, cursor.top), (0, 0));
    }
}
