//! The position in a list that is longer than the screen.

/// The chosen line and the first visible one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListCursor {
    /// Index of the chosen line.
    pub at: usize,
    /// Index of the first line on the screen.
    pub top: usize,
}

/// A movement in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorStep {
    /// By this number of lines, up if negative.
    Lines(isize),
    /// By this number of screens, up if negative.
    Pages(isize),
    /// To the first line.
    First,
    /// To the last line.
    Last,
}

impl ListCursor {
    /// Moves in a list of `len` lines of which `height` are visible.
    pub fn step(&mut self, step: CursorStep, len: usize, height: usize) {
        self.at = self.wanted(step, len, height).max(0) as usize;
        self.fit(len, height);
    }

    /// The line that a step leads to, which may be outside of the list.
    pub fn wanted(&self, step: CursorStep, len: usize, height: usize) -> isize {
        let at = self.at as isize;
        match step {
            CursorStep::Lines(lines) => at + lines,
            CursorStep::Pages(pages) => at + pages * height.saturating_sub(1).max(1) as isize,
            CursorStep::First => 0,
            CursorStep::Last => len.saturating_sub(1) as isize,
        }
    }

    /// The chosen line has moved from one index to another, and stays in its place on the screen.
    pub fn shift(&mut self, from: usize, to: usize) {
        let line = from.saturating_sub(self.top);
        (self.at, self.top) = (to, to.saturating_sub(line));
    }

    /// Keeps the chosen line within the list and visible.
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
        let mut cursor = ListCursor::default();
        cursor.step(CursorStep::Pages(1), 100, 10);
        assert_eq!((cursor.at, cursor.top), (9, 0));
        cursor.step(CursorStep::Lines(1), 100, 10);
        assert_eq!((cursor.at, cursor.top), (10, 1));
        cursor.step(CursorStep::Last, 100, 10);
        assert_eq!((cursor.at, cursor.top), (99, 90));
        cursor.step(CursorStep::Lines(-3), 100, 10);
        assert_eq!((cursor.at, cursor.top), (96, 90));
        cursor.shift(96, 98);
        assert_eq!((cursor.at, cursor.top), (98, 92));
        cursor.fit(5, 10);
        assert_eq!((cursor.at, cursor.top), (4, 0));
        cursor.fit(0, 0);
        assert_eq!((cursor.at, cursor.top), (0, 0));
    }
}
