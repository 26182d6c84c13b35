//! The newest events of a stream, for all its clients: each reads at its own position, and one that is too far behind has
//! missed some.

use super::item::{SseItem, StreamPosition};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most items that are kept.
const ITEMS: usize = 20_000;
/// Most bytes that are kept.
const BYTES: usize = 8 << 20;

/// The items of one read.
#[derive(Debug, Default)]
pub(super) struct ReadItems {
    pub(super) items: Vec<Arc<SseItem>>,
    /// The position after them.
    pub(super) at: u64,
    /// Whether items before them are lost.
    pub(super) missed: bool,
}

/// The ring.
#[derive(Debug, Default)]
pub(super) struct EventRing {
    boot_id: Arc<str>,
    /// The position of the first item.
    first: u64,
    items: VecDeque<Arc<SseItem>>,
    bytes: usize,
    /// The newest event's number.
    newest: u64,
    /// All events with a greater number are in the ring. `None` until the first one is known.
    since: Option<u64>,
}

impl EventRing {
    /// The number of the newest event, with its start of the hub.
    pub(super) fn newest(&self) -> StreamPosition {
        StreamPosition {
            boot_id: self.boot_id.clone(),
            seq: self.newest,
        }
    }

    /// The position after the newest item.
    pub(super) fn end(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    /// Whether it has events of this start of the hub.
    pub(super) fn is_of(&self, boot_id: &str) -> bool {
        *self.boot_id == *boot_id
    }

    /// Begins with the events after the number `newest`; `is_whole` if none of them is lost. Returns whether there were events
    /// before.
    pub(super) fn begin(&mut self, boot_id: &str, newest: u64, is_whole: bool) -> bool {
        let is_first = self.boot_id.is_empty();
        self.boot_id = boot_id.into();
        self.first = self.end();
        self.items.clear();
        self.bytes = 0;
        self.newest = newest;
        self.since = is_whole.then_some(newest);
        !is_first
    }

    /// Drops all items.
    pub(super) fn clear(&mut self) {
        self.first = self.end();
        self.items = VecDeque::new();
        self.bytes = 0;
    }

    /// Appends an item, unless it is an event that is here already.
    pub(super) fn push(&mut self, item: SseItem) {
        if let Some(seq) = item.seq {
            if seq <= self.newest {
                return;
            }
            self.newest = seq;
            self.since.get_or_insert(seq - 1);
        }
        self.bytes += item.weight();
        self.items.push_back(Arc::new(item));
        while self.items.len() > ITEMS || self.bytes > BYTES {
            let Some(oldest) = self.items.pop_front() else {
                return;
            };
            self.first += 1;
            self.bytes = self.bytes.saturating_sub(oldest.weight());
            self.since = oldest.seq.or(self.since);
        }
    }

    /// The position of the first event after a number. `None` if some of them are not here.
    pub(super) fn find(&self, after: &StreamPosition) -> Option<u64> {
        let since = self.since?;
        let is_here = after.boot_id == self.boot_id && (since..=self.newest).contains(&after.seq);
        let is_later = |item: &Arc<SseItem>| item.seq.is_some_and(|seq| seq > after.seq);
        is_here.then(|| match self.items.iter().position(is_later) {
            Some(at) => self.first + at as u64,
            None => self.end(),
        })
    }

    /// Reads the items from a position on that the filter takes, up to about `bytes`.
    pub(super) fn read(
        &self,
        at: u64,
        bytes: usize,
        takes: impl Fn(&SseItem) -> bool,
    ) -> ReadItems {
        let mut read = ReadItems {
            at: at.max(self.first),
            missed: at < self.first,
            ..ReadItems::default()
        };
        let skipped = usize::try_from(read.at - self.first).unwrap_or(usize::MAX);
        let mut taken = 0;
        for item in self.items.iter().skip(skipped) {
            if taken >= bytes {
                break;
            }
            read.at += 1;
            if takes(item) {
                taken += item.weight();
                read.items.push(item.clone());
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(seq: u64) -> SseItem {
        SseItem::event(&json!({"seq": seq, "event": "task", "task_id": seq})).unwrap()
    }

    fn ring(boot_id: &str, events: std::ops::RangeInclusive<u64>) -> EventRing {
        let mut ring = EventRing::default();
        assert!(!ring.begin(boot_id, events.start() - 1, true));
        events.for_each(|seq| ring.push(event(seq)));
        ring
    }

    fn position(boot_id: &str, seq: u64) -> StreamPosition {
        StreamPosition {
            boot_id: boot_id.into(),
            seq,
        }
    }

    fn seqs(read: &ReadItems) -> Vec<u64> {
        read.items.iter().filter_map(|item| item.seq).collect()
    }

    #[test]
    fn a_client_goes_on_after_the_number_that_it_has() {
        let ring = ring("b", 5..=9);
        let at = ring.find(&position("b", 7)).unwrap();
        assert_eq!(seqs(&ring.read(at, 1 << 20, |_| true)), [8, 9]);
        assert_eq!(ring.find(&position("b", 9)), Some(ring.end()));
        assert_eq!(
            seqs(&ring.read(ring.find(&position("b", 4)).unwrap(), 1 << 20, |_| true)).len(),
            5
        );
        for lost in [position("b", 3), position("b", 10), position("c", 7)] {
            assert_eq!(ring.find(&lost), None, "{lost:?}");
        }
    }

    #[test]
    fn an_event_that_comes_twice_is_kept_once_and_the_oldest_make_place() {
        let mut ring = ring("b", 1..=3);
        ring.push(event(2));
        assert_eq!(seqs(&ring.read(0, 1 << 20, |_| true)), [1, 2, 3]);
        (4..=(ITEMS as u64 + 10)).for_each(|seq| ring.push(event(seq)));
        let read = ring.read(0, 1, |_| true);
        assert!(read.missed && seqs(&read) == [11]);
        assert_eq!(ring.find(&position("b", 9)), None);
        assert!(ring.find(&position("b", 10)).is_some());
    }

    #[test]
    fn a_read_is_bounded_and_skips_what_the_filter_does_not_take() {
        let ring = ring("b", 1..=6);
        let read = ring.read(0, 1, |item| item.task_id == Some(4));
        assert_eq!((seqs(&read), read.at), (vec![4], 4));
        assert_eq!(seqs(&ring.read(read.at, 1 << 20, |_| true)), [5, 6]);
    }

    #[test]
    fn another_start_of_the_hub_begins_anew_with_the_first_event_that_it_has() {
        let mut ring = ring("b", 1..=3);
        assert!(ring.is_of("b") && ring.begin("c", 0, false));
        assert_eq!(ring.find(&position("c", 0)), None);
        ring.push(event(5));
        let read = ring.read(3, 1 << 20, |_| true);
        assert_eq!((seqs(&read), read.missed), (vec![5], false));
        assert_eq!(ring.newest(), position("c", 5));
        assert_eq!(ring.find(&position("c", 3)), None);
        assert_eq!(ring.find(&position("c", 4)), Some(3));
    }
}
