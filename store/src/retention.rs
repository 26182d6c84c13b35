//! An approximate index of the ends of tasks: for each range of ids a time before which none of its tasks ended.
//! Retention examines only ranges that may have old tasks.
//!
//! It is in memory only and learned again after each start, range by range, so that the end of a task costs no index in
//! the database.

use kirosu_protocol::TaskId;
use std::collections::BTreeMap;

/// Ids in a range.
const RANGE: TaskId = 4096;

/// The examination of one range, in steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    range: i64,
    /// Ids up to this one are examined.
    pub after: TaskId,
    /// The earliest end of the examined tasks that stay, in Unix milliseconds.
    earliest: Option<i64>,
}

impl Scan {
    /// The last id of the range.
    pub fn last(&self) -> TaskId {
        (self.range + 1) * RANGE - 1
    }

    /// A task that ended at `at` stays.
    pub fn stays(&mut self, at: i64) {
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
    }
}

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    /// By range: no task of it ended before this time, in Unix milliseconds.
    earliest: BTreeMap<i64, i64>,
    /// The first range that was not examined since the start, and the last one.
    unseen: (i64, i64),
    scan: Option<Scan>,
}

impl Retention {
    /// The index of a database with ids up to `last_id`.
    pub fn new(last_id: TaskId) -> Retention {
        Retention {
            unseen: (0, last_id / RANGE),
            ..Retention::default()
        }
    }

    /// A task ended at `at`.
    pub fn ended(&mut self, id: TaskId, at: i64) {
        let earliest = self.earliest.entry(id / RANGE).or_insert(at);
        *earliest = at.min(*earliest);
        if let Some(scan) = self.scan.as_mut().filter(|scan| scan.range == id / RANGE) {
            scan.stays(at);
        }
    }

    /// The next range to examine for tasks that ended before a time: the unfinished one, one that was never examined,
    /// or the one with the earliest end. `None` means that no range has such tasks.
    pub fn next(&mut self, before: i64) -> Option<Scan> {
        if let Some(scan) = self.scan {
            return Some(scan);
        }
        let unseen = (self.unseen.0 <= self.unseen.1).then_some(self.unseen.0);
        let range = unseen.or_else(|| {
            let due = self.earliest.iter().filter(|(_, at)| **at < before);
            due.min_by_key(|(_, at)| **at).map(|(range, _)| *range)
        })?;
        Some(Scan {
            range,
            after: range * RANGE - 1,
            earliest: None,
        })
    }

    /// No range before that of `id` has tasks; `None` means that no later range has any.
    pub fn skip_to(&mut self, id: Option<TaskId>) {
        self.unseen.0 = id.map_or(self.unseen.1 + 1, |id| self.unseen.0.max(id / RANGE));
    }

    /// Whether the range was never examined before.
    pub fn is_unseen(&self, scan: &Scan) -> bool {
        scan.range == self.unseen.0
    }

    /// Interrupts an examination; [`next`](Retention::next) continues it.
    pub fn pause(&mut self, scan: Scan) {
        self.scan = Some(scan);
    }

    /// Ends an examination.
    pub fn finish(&mut self, scan: Scan) {
        self.scan = None;
        if self.is_unseen(&scan) {
            self.unseen.0 += 1;
        }
        match scan.earliest {
            Some(at) => self.earliest.insert(scan.range, at),
            None => self.earliest.remove(&scan.range),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examines everything that is due. Returns the ranges; the ends that stay are given by range.
    fn sweep(ends: &mut Retention, before: i64, stay: &[(TaskId, i64)]) -> Vec<i64> {
        let mut ranges = Vec::new();
        while let Some(mut scan) = ends.next(before) {
            for (id, at) in stay {
                if id / RANGE == scan.range {
                    scan.stays(*at);
                }
            }
            ranges.push(scan.range);
            ends.finish(scan);
            assert!(ranges.len() < 10);
        }
        ranges
    }

    #[test]
    fn only_ranges_with_an_old_end_are_examined_oldest_first() {
        let mut ends = Retention::new(2 * RANGE);
        assert_eq!(sweep(&mut ends, 0, &[(5, 300), (RANGE, 200)]), [0, 1, 2]);
        assert_eq!(sweep(&mut ends, 200, &[]), [0; 0]);
        ends.ended(7, 250);
        assert_eq!(sweep(&mut ends, 251, &[]), [1, 0]);
        assert_eq!(sweep(&mut ends, 1000, &[]), [0; 0]);
    }

    #[test]
    fn an_end_during_an_examination_is_recorded() {
        let mut ends = Retention::new(0);
        let scan = ends.next(0).unwrap();
        ends.pause(scan);
        ends.ended(3, 40);
        let scan = ends.next(0).unwrap();
        ends.finish(scan);
        assert_eq!(ends.next(41).map(|scan| scan.range), Some(0));
    }
}
