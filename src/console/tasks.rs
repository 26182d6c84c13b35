//! The list of tasks: a window of rows over a table of any length, which moves with the eye.
//!
//! A window is three screens long. When the chosen line comes near its end, the window that lies further on is asked
//! for; until it is there, what is loaded can be walked. The chosen task stays chosen by its number, and on the same
//! line of the screen, whatever comes in above it; only at the very top the newest task is always the chosen one.

use super::list::{Cursor, Step};
use super::query::Query;
use super::row::Row;
use kirosu_protocol::TaskId;

/// Where a window lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// It begins with the newest task.
    #[default]
    Newest,
    /// It begins below this number.
    Below(TaskId),
    /// It ends right above this number.
    Above(TaskId),
}

/// A window that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageParams {
    /// Which tasks.
    pub query: Query,
    /// Where it lies.
    pub from: From,
    /// Its rows.
    pub rows: usize,
}

/// A window as it was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Newest first.
    pub rows: Vec<Row>,
    /// Where it lies: `Newest` or `Below`.
    pub from: From,
    /// Whether there are more below it.
    pub more: bool,
    /// So many tasks were searched for words before the search was given up; none: all that matter.
    pub searched: Option<usize>,
}

/// The list as it is looked at.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// What is wanted.
    pub ask: PageParams,
    /// What is shown; none: nothing has come yet.
    pub page: Option<Page>,
    /// The eye, counted in the page's rows.
    pub cursor: Cursor,
    /// Lines that were to be gone beyond the window, down when positive.
    owed: isize,
}

impl Tasks {
    /// The chosen row.
    pub fn chosen(&self) -> Option<&Row> {
        self.page.as_ref()?.rows.get(self.cursor.at)
    }

    /// Other tasks are wanted: from their newest on.
    pub fn filter(&mut self, query: Query) {
        self.ask.query = query;
        self.ask.from = From::Newest;
        self.page = None;
        self.cursor = Cursor::default();
        self.owed = 0;
    }

    /// The screen has room for so many rows.
    pub fn resize(&mut self, height: usize) {
        // In steps, so that a window dragged to another size does not ask at each of them.
        self.ask.rows = (3 * height.max(4)).next_multiple_of(30);
        let len = self.page.as_ref().map_or(0, |page| page.rows.len());
        self.cursor.fit(len, height);
    }

    /// Goes a step, and asks for another window where the loaded one ends soon.
    pub fn step(&mut self, step: Step, height: usize) {
        let Some(page) = &self.page else { return };
        let words = !self.ask.query.words.is_empty();
        match step {
            Step::First if page.from != From::Newest => {
                self.ask.from = From::Newest;
                self.page = None;
                self.cursor = Cursor::default();
                return;
            }
            // The end of a search by words is not known before all is searched.
            Step::Last if page.more && !words => {
                self.ask.from = From::Above(0);
                self.page = None;
                self.cursor = Cursor {
                    at: usize::MAX,
                    top: usize::MAX,
                };
                return;
            }
            step => {
                let (len, more) = (page.rows.len(), page.more);
                let newer = page.from != From::Newest;
                let wanted = self.cursor.wanted(step, len, height) + self.owed;
                self.cursor.at = wanted.clamp(0, len.saturating_sub(1) as isize) as usize;
                self.cursor.fit(len, height);
                // What lies beyond the window is gone when the next one is there.
                let beyond = wanted - self.cursor.at as isize;
                let exists = if beyond > 0 { more } else { newer };
                let goes_on = matches!(step, Step::Lines(_) | Step::Pages(_)) && exists;
                self.owed = if goes_on { beyond } else { 0 };
            }
        }
        self.look_ahead(height);
    }

    /// Asks for another window where the loaded one ends soon.
    fn look_ahead(&mut self, height: usize) {
        let Some(page) = &self.page else { return };
        let (at, len) = (self.cursor.at, page.rows.len());
        if page.more && at + height >= len && at >= height {
            let above = &page.rows[at - height];
            self.ask.from = From::Below(above.id + 1);
        } else if page.from != From::Newest && at < height && at + height < len {
            self.ask.from = match self.ask.query.words.is_empty() {
                true => From::Above(page.rows[at + height].id),
                false => From::Newest,
            };
        }
    }

    /// A window has come; one that is not wanted any more is left aside.
    pub fn arrive(&mut self, ask: &PageParams, page: Page, height: usize) {
        if *ask != self.ask {
            return;
        }
        let before = self.page.take();
        let follows = self.cursor.at == 0
            && page.from == From::Newest
            && before
                .as_ref()
                .is_none_or(|before| before.from == From::Newest);
        let chosen = before
            .as_ref()
            .and_then(|page| page.rows.get(self.cursor.at));
        let found = chosen.and_then(|chosen| page.rows.iter().position(|row| row.id <= chosen.id));
        if let Some(at) = found.filter(|_| !follows) {
            let line = self.cursor.at.saturating_sub(self.cursor.top);
            self.cursor = Cursor {
                at,
                top: at.saturating_sub(line),
            };
        }
        self.cursor.fit(page.rows.len(), height);
        // Found: from now on it is looked at where it is.
        self.ask.from = page.from;
        self.page = Some(page);
        if self.owed != 0 {
            self.step(Step::Lines(0), height);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::row;

    fn page(newest: TaskId, oldest: TaskId, from: From, more: bool) -> Page {
        let rows = (oldest..=newest).rev().map(row).collect();
        Page {
            rows,
            from,
            more,
            searched: None,
        }
    }

    fn arrive(tasks: &mut Tasks, page: Page) {
        let ask = tasks.ask.clone();
        tasks.arrive(&ask, page, 10);
    }

    fn ids(tasks: &Tasks) -> (TaskId, usize) {
        (
            tasks.chosen().unwrap().id,
            tasks.cursor.at - tasks.cursor.top,
        )
    }

    #[test]
    fn the_chosen_task_stays_while_new_ones_come_in_and_the_top_follows() {
        let mut tasks = Tasks::default();
        tasks.resize(10);
        arrive(&mut tasks, page(100, 71, From::Newest, true));
        arrive(&mut tasks, page(105, 76, From::Newest, true));
        assert_eq!(ids(&tasks), (105, 0));
        tasks.step(Step::Lines(2), 10);
        arrive(&mut tasks, page(110, 81, From::Newest, true));
        assert_eq!(ids(&tasks), (103, 2));
        // Finished and filtered away: the one that follows takes its place.
        let mut less = page(110, 81, From::Newest, true);
        less.rows.retain(|row| row.id != 103);
        arrive(&mut tasks, less);
        assert_eq!(ids(&tasks), (102, 2));
    }

    #[test]
    fn the_window_moves_down_and_up_again_with_the_eye() {
        let mut tasks = Tasks::default();
        tasks.resize(10);
        arrive(&mut tasks, page(100, 71, From::Newest, true));
        tasks.step(Step::Pages(1), 10);
        assert_eq!(tasks.ask.from, From::Newest);
        tasks.step(Step::Pages(2), 10);
        assert_eq!((ids(&tasks).0, tasks.ask.from), (73, From::Below(84)));
        arrive(&mut tasks, page(83, 54, From::Below(84), true));
        assert_eq!(ids(&tasks), (73, 9));
        tasks.step(Step::Lines(-5), 10);
        assert_eq!(tasks.ask.from, From::Above(68));
        arrive(&mut tasks, page(98, 69, From::Below(99), true));
        assert_eq!(ids(&tasks), (78, 4));
        tasks.step(Step::First, 10);
        assert_eq!((tasks.ask.from, tasks.page.is_none()), (From::Newest, true));
        arrive(&mut tasks, page(100, 71, From::Newest, true));
        tasks.step(Step::Last, 10);
        arrive(&mut tasks, page(30, 1, From::Below(31), false));
        assert_eq!(ids(&tasks), (1, 9));
    }

    #[test]
    fn a_step_beyond_the_window_is_gone_when_the_next_one_is_there() {
        let mut tasks = Tasks::default();
        tasks.resize(10);
        arrive(&mut tasks, page(100, 71, From::Newest, true));
        tasks.step(Step::Pages(3), 10);
        tasks.step(Step::Pages(1), 10);
        assert_eq!((ids(&tasks).0, tasks.ask.from), (71, From::Below(82)));
        arrive(&mut tasks, page(81, 52, From::Below(82), true));
        assert_eq!(ids(&tasks).0, 100 - 36);
        // Not where the list itself ends.
        arrive(&mut tasks, page(30, 1, From::Below(31), false));
        tasks.step(Step::Pages(9), 10);
        tasks.step(Step::Lines(-1), 10);
        assert_eq!(ids(&tasks).0, 2);
    }

    #[test]
    fn an_answer_to_an_older_question_changes_nothing() {
        let mut tasks = Tasks::default();
        tasks.resize(10);
        let old = tasks.ask.clone();
        tasks.filter(Query::words("x"));
        tasks.arrive(&old, page(9, 1, From::Newest, false), 10);
        assert!(tasks.page.is_none());
    }
}
