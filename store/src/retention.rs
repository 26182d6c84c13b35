//! Since when there are finished tasks in each range of ids, roughly: retention looks only where one may be old enough.
//!
//! Kept in memory and learned anew at each start, range by range, so that the end of a task costs no index in the file.

use kirosu_protocol::TaskId;
use std::collections::BTreeMap;

/// Ids in a range.
const RANGE: TaskId = 4096;

/// A look through one range, in steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    range: i64,
    /// Ids up to this one were looked at.
    pub after: TaskId,
    /// The earliest end of those that stay.
    earliest: Option<i64>,
}

impl Scan {
    /// The last id of the range.
    pub fn last(&self) -> TaskId {
        (self.range + 1) * RANGE - 1
    }

    /// A task stays that ended then.
    pub fn stays(&mut self, at: i64) {
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    /// By range: no task of it ended before this time.
    earliest: BTreeMap<i64, i64>,
    /// The first range that was not looked at since the start, and the last.
    unseen: (i64, i64),
    scan: Option<Scan>,
}

impl Retention {
    /// Of a file with ids up to this one.
    pub fn new(last_id: TaskId) -> Retention {
        Retention {
            unseen: (0, last_id / RANGE),
            ..Retention::default()
        }
    }

    /// A task ended.
    pub fn ended(&mut self, id: TaskId, at: i64) {
        let earliest = self.earliest.entry(id / RANGE).or_insert(at);
        *earliest = at.min(*earliest);
        if let Some(scan) = self.scan.as_mut().filter(|scan| scan.range == id / RANGE) {
            scan.stays(at);
        }
    }

    /// The range to look through for tasks that ended before a time: the one under way, one that was never looked at, or
    /// the one with the earliest end.
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

    /// No range before that of this id has tasks.
    pub fn skip_to(&mut self, id: Option<TaskId>) {
        self.unseen.0 = id.map_or(self.unseen.1 + 1, |id| self.unseen.0.max(id / RANGE));
    }

    /// Whether the range of a look was never looked at before.
    pub fn is_unseen(&self, scan: &Scan) -> bool {
        scan.range == self.unseen.0
    }

    /// A look goes on later.
    pub fn pause(&mut self, scan: Scan) {
        self.scan = Some(scan);
    }

    /// A look is over.
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

    /// Looks through all that is due; the ranges, and the ends that stay by range.
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
    fn only_ranges_with_an_old_end_are_looked_at_the_oldest_first() {
        let mut ends = Retention::new(2 * RANGE);
        assert_eq!(sweep(&mut ends, 0, &[(5, 300), (RANGE, 200)]), [0, 1, 2]);
        assert_eq!(sweep(&mut ends, 200, &[]), [0; 0]);
        ends.ended(7, 250);
        assert_eq!(sweep(&mut ends, 251, &[]), [1, 0]);
        assert_eq!(sweep(&mut ends, 1000, &[]), [0; 0]);
    }

    #[test]
    fn an_end_during_a_look_is_not_forgotten() {
        let mut ends = Retention::new(0);
        let scan = ends.next(0).unwrap();
        ends.pause(scan);
        ends.ended(3, 40);
        let scan = ends.next(0).unwrap();
        ends.finish(scan);
        assert_eq!(ends.next(41).map(|scan| scan.range), Some(0));
    }
}
