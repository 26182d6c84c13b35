//! The task list: a window of rows over a table of any length, which moves with the cursor.
//!
//! A window is three screens long. When the cursor comes near its end, the next window is requested; until it arrives,
//! the cursor moves within the old one. The chosen task stays chosen by its number and on the same line of the screen
//! when rows arrive above it. Only at the top of the list, the newest task is always the chosen one.

use super::cursor::{CursorStep, ListCursor};
use super::query::TaskFilter;
use super::row::ListRow;
use kirosu_protocol::TaskId;

/// The position of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageStart {
    /// It starts with the newest task.
    #[default]
    Newest,
    /// It starts below this number.
    Below(TaskId),
    /// It ends right above this number.
    Above(TaskId),
}

/// A request for a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// The filter.
    pub query: TaskFilter,
    /// The position.
    pub from: PageStart,
    /// Number of rows.
    pub rows: usize,
}

/// A window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedPage {
    /// The rows, newest first.
    pub rows: Vec<ListRow>,
    /// The position: `Newest` or `Below`.
    pub from: PageStart,
    /// Whether there are more rows below it.
    pub more: bool,
    /// Number of tasks that were searched before the search was given up; `None` if it was completed.
    pub searched: Option<usize>,
}

/// The state of the list.
#[derive(Clone, Debug, Default)]
pub struct TaskListView {
    /// The requested window.
    pub request: PageRequest,
    /// The loaded window; `None` before the first one arrives.
    pub page: Option<LoadedPage>,
    /// Position within the window.
    pub cursor: ListCursor,
    /// Lines that remain to be moved beyond the window, down if positive.
    remaining: isize,
}

impl TaskListView {
    /// The chosen row.
    pub fn chosen(&self) -> Option<&ListRow> {
        self.page.as_ref()?.rows.get(self.cursor.at)
    }

    /// Sets the filter and moves to the newest task.
    pub fn filter(&mut self, query: TaskFilter) {
        self.request.query = query;
        self.request.from = PageStart::Newest;
        self.page = None;
        self.cursor = ListCursor::default();
        self.remaining = 0;
    }

    /// Sets the number of visible rows.
    pub fn resize(&mut self, height: usize) {
        // In steps of 30, so that a resize by dragging does not send a request per line.
        self.request.rows = (3 * height.max(4)).next_multiple_of(30);
        let len = self.page.as_ref().map_or(0, |page| page.rows.len());
        self.cursor.fit(len, height);
    }

    /// Moves the cursor, and requests another window near the end of the loaded one.
    pub fn step(&mut self, step: CursorStep, height: usize) {
        let Some(page) = &self.page else { return };
        let words = !self.request.query.words.is_empty();
        match step {
            CursorStep::First if page.from != PageStart::Newest => {
                self.request.from = PageStart::Newest;
                self.page = None;
                self.cursor = ListCursor::default();
                return;
            }
            // The end of a text search is not known before all tasks are searched.
            CursorStep::Last if page.more && !words => {
                self.request.from = PageStart::Above(0);
                self.page = None;
                self.cursor = ListCursor {
                    at: usize::MAX,
                    top: usize::MAX,
                };
                return;
            }
            step => {
                let (len, more) = (page.rows.len(), page.more);
                let newer = page.from != PageStart::Newest;
                let wanted = self.cursor.wanted(step, len, height) + self.remaining;
                self.cursor.at = wanted.clamp(0, len.saturating_sub(1) as isize) as usize;
                self.cursor.fit(len, height);
                // The rest of the movement follows when the next window arrives.
                let beyond = wanted - self.cursor.at as isize;
                let exists = if beyond > 0 { more } else { newer };
                let goes_on = matches!(step, CursorStep::Lines(_) | CursorStep::Pages(_)) && exists;
                self.remaining = if goes_on { beyond } else { 0 };
            }
        }
        self.look_ahead(height);
    }

    /// Requests another window near the end of the loaded one.
    fn look_ahead(&mut self, height: usize) {
        let Some(page) = &self.page else { return };
        let (at, len) = (self.cursor.at, page.rows.len());
        if page.more && at + height >= len && at >= height {
            let above = &page.rows[at - height];
            self.request.from = PageStart::Below(above.id + 1);
        } else if page.from != PageStart::Newest && at < height && at + height < len {
            self.request.from = match self.request.query.words.is_empty() {
                true => PageStart::Above(page.rows[at + height].id),
                false => PageStart::Newest,
            };
        }
    }

    /// Takes a window; ignores one that is no longer requested.
    pub fn arrive(&mut self, request: &PageRequest, page: LoadedPage, height: usize) {
        if *request != self.request {
            return;
        }
        let before = self.page.take();
        let follows = self.cursor.at == 0
            && page.from == PageStart::Newest
            && before
                .as_ref()
                .is_none_or(|before| before.from == PageStart::Newest);
        let chosen = before
            .as_ref()
            .and_then(|page| page.rows.get(self.cursor.at));
        let found = chosen.and_then(|chosen| page.rows.iter().position(|row| row.id <= chosen.id));
        if let Some(at) = found.filter(|_| !follows) {
            let line = self.cursor.at.saturating_sub(self.cursor.top);
            self.cursor = ListCursor {
                at,
                top: at.saturating_sub(line),
            };
        }
        self.cursor.fit(page.rows.len(), height);
        // An `Above` position is resolved now; later requests use the found one.
        self.request.from = page.from;
        self.page = Some(page);
        if self.remaining != 0 {
            self.step(CursorStep::Lines(0), height);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::row;

    fn page(newest: TaskId, oldest: TaskId, from: PageStart, more: bool) -> LoadedPage {
        let rows = (oldest..=newest).rev().map(row).collect();
        LoadedPage {
            rows,
            from,
            more,
            searched: None,
        }
    }

    fn arrive(tasks: &mut TaskListView, page: LoadedPage) {
        let request = tasks.request.clone();
        tasks.arrive(&request, page, 10);
    }

    fn ids(tasks: &TaskListView) -> (TaskId, usize) {
        (
            tasks.chosen().unwrap().id,
            tasks.cursor.at - tasks.cursor.top,
        )
    }

    #[test]
    fn the_chosen_task_stays_chosen_and_the_top_follows_new_tasks() {
        let mut tasks = TaskListView::default();
        tasks.resize(10);
        arrive(&mut tasks, page(100, 71, PageStart::Newest, true));
        arrive(&mut tasks, page(105, 76, PageStart::Newest, true));
        assert_eq!(ids(&tasks), (105, 0));
        tasks.step(CursorStep::Lines(2), 10);
        arrive(&mut tasks, page(110, 81, PageStart::Newest, true));
        assert_eq!(ids(&tasks), (103, 2));
        // A task that leaves the filter is replaced by the next one.
        let mut less = page(110, 81, PageStart::Newest, true);
        less.rows.retain(|row| row.id != 103);
        arrive(&mut tasks, less);
        assert_eq!(ids(&tasks), (102, 2));
    }

    #[test]
    fn the_window_follows_the_cursor_down_and_up() {
        let mut tasks = TaskListView::default();
        tasks.resize(10);
        arrive(&mut tasks, page(100, 71, PageStart::Newest, true));
        tasks.step(CursorStep::Pages(1), 10);
        assert_eq!(tasks.request.from, PageStart::Newest);
        tasks.step(CursorStep::Pages(2), 10);
        assert_eq!(
            (ids(&tasks).0, tasks.request.from),
            (73, PageStart::Below(84))
        );
        arrive(&mut tasks, page(83, 54, PageStart::Below(84), true));
        assert_eq!(ids(&tasks), (73, 9));
        tasks.step(CursorStep::Lines(-5), 10);
        assert_eq!(tasks.request.from, PageStart::Above(68));
        arrive(&mut tasks, page(98, 69, PageStart::Below(99), true));
        assert_eq!(ids(&tasks), (78, 4));
        tasks.step(CursorStep::First, 10);
        assert_eq!(
            (tasks.request.from, tasks.page.is_none()),
            (PageStart::Newest, true)
        );
        arrive(&mut tasks, page(100, 71, PageStart::Newest, true));
        tasks.step(CursorStep::Last, 10);
        arrive(&mut tasks, page(30, 1, PageStart::Below(31), false));
        assert_eq!(ids(&tasks), (1, 9));
    }

    #[test]
    fn a_movement_beyond_the_window_continues_in_the_next_one() {
        let mut tasks = TaskListView::default();
        tasks.resize(10);
        arrive(&mut tasks, page(100, 71, PageStart::Newest, true));
        tasks.step(CursorStep::Pages(3), 10);
        tasks.step(CursorStep::Pages(1), 10);
        assert_eq!(
            (ids(&tasks).0, tasks.request.from),
            (71, PageStart::Below(82))
        );
        arrive(&mut tasks, page(81, 52, PageStart::Below(82), true));
        assert_eq!(ids(&tasks).0, 100 - 36);
        // A movement beyond the end of the list is dropped.
        arrive(&mut tasks, page(30, 1, PageStart::Below(31), false));
        tasks.step(CursorStep::Pages(9), 10);
        tasks.step(CursorStep::Lines(-1), 10);
        assert_eq!(ids(&tasks).0, 2);
    }

    #[test]
    fn an_answer_to_an_older_request_is_ignored() {
        let mut tasks = TaskListView::default();
        tasks.resize(10);
        let old = tasks.request.clone();
        tasks.filter(TaskFilter::words("x"));
        tasks.arrive(&old, page(9, 1, PageStart::Newest, false), 10);
        assert!(tasks.page.is_none());
    }
}
