//! The last events, numbered: a pure ring buffer.

use kirosu_protocol::{Event, EventKind};
use std::collections::VecDeque;

/// Numbers events and keeps the newest `capacity` of them for watchers that come back.
#[derive(Debug)]
pub struct Ring {
    next: u64,
    capacity: usize,
    kept: VecDeque<Event>,
}

/// What a watcher that saw everything up to some number has missed.
#[derive(Debug, PartialEq)]
pub struct Missed {
    /// Events that are still kept.
    pub events: Vec<Event>,
    /// How many came in between and are gone.
    pub lost: u64,
}

impl Ring {
    /// An empty ring; the first event gets number 1.
    pub fn new(capacity: usize) -> Ring {
        Ring {
            next: 1,
            capacity,
            kept: VecDeque::new(),
        }
    }

    /// Numbers an event and keeps it. `time` is in Unix seconds.
    pub fn push(&mut self, time: f64, what: EventKind) -> &Event {
        if self.kept.len() == self.capacity {
            self.kept.pop_front();
        }
        let index = self.kept.len();
        self.kept.push_back(Event {
            seq: self.next,
            time,
            what,
        });
        self.next += 1;
        &self.kept[index]
    }

    /// The newest number given; 0 before the first event.
    pub fn newest(&self) -> u64 {
        self.next - 1
    }

    /// The events after number `since`. A number from the future (another hub process gave it) counts as 0.
    pub fn after(&self, since: u64) -> Missed {
        let since = if since > self.newest() { 0 } else { since };
        let oldest = self.next - self.kept.len() as u64;
        let lost = oldest.saturating_sub(since + 1);
        let skip = (since + 1).saturating_sub(oldest) as usize;
        Missed {
            events: self.kept.iter().skip(skip).cloned().collect(),
            lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring_of(count: u64, capacity: usize) -> Ring {
        let mut ring = Ring::new(capacity);
        for _ in 0..count {
            ring.push(
                0.0,
                EventKind::Hub {
                    state: "draining".into(),
                },
            );
        }
        ring
    }

    #[test]
    fn a_watcher_gets_what_it_missed_and_learns_what_is_gone() {
        let ring = ring_of(10, 4);
        let missed = ring.after(8);
        assert_eq!(
            missed.events.iter().map(|e| e.seq).collect::<Vec<_>>(),
            [9, 10]
        );
        assert_eq!(missed.lost, 0);
        let missed = ring.after(2);
        assert_eq!(
            missed.events.iter().map(|e| e.seq).collect::<Vec<_>>(),
            [7, 8, 9, 10]
        );
        assert_eq!(missed.lost, 4);
        assert_eq!(ring.after(10).events, []);
    }

    #[test]
    fn a_number_of_another_hub_process_gets_everything_kept() {
        assert_eq!(ring_of(3, 8).after(999).events.len(), 3);
        assert_eq!(
            Ring::new(8).after(5),
            Missed {
                events: vec![],
                lost: 0
            }
        );
    }
}
