//! The last events, numbered: a ring buffer that is bounded by a number of events and by their bytes.
//!
//! An event is written as a line once, for all who want it. Most are never wanted, so that is done when the first one
//! does; what may be large is written at once, as a line takes the least memory.

use super::kind::{Filter, place_of, task_of};
use kirosu_protocol::answer::write_notification;
use kirosu_protocol::{Event, EventKind, Notice, PermissionState, TaskId};
use std::collections::VecDeque;
use std::sync::Arc;

/// An event as its watchers get it: one line, or two where a person is asked something.
pub type Line = Arc<[u8]>;

/// Numbers events and keeps the newest of them for watchers that come back.
#[derive(Debug)]
pub struct Ring {
    next: u64,
    most_events: usize,
    most_bytes: usize,
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    place: usize,
    task: Option<TaskId>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Event(Box<Event>),
    Line(Line),
}

impl Kept {
    fn bytes(&self) -> usize {
        let body = match &self.body {
            Body::Event(event) => size_of::<Event>() + text_bytes(&event.what),
            Body::Line(line) => line.len(),
        };
        size_of::<Kept>() + body
    }

    fn line(&mut self) -> Line {
        let line = match &self.body {
            Body::Line(line) => line.clone(),
            Body::Event(event) => line_of(event),
        };
        self.body = Body::Line(line.clone());
        line
    }
}

/// What a watcher that has seen everything up to some number has missed.
#[derive(Debug, Default, PartialEq)]
pub struct Missed {
    /// The events that its filter takes, in order.
    pub lines: Vec<Line>,
    /// The number up to which it has seen everything after that.
    pub upto: u64,
    /// How many came in between and are kept no longer.
    pub lost: u64,
}

impl Ring {
    /// An empty ring; the first event gets number 1.
    pub fn new(most_events: usize, most_bytes: usize) -> Ring {
        Ring {
            next: 1,
            most_events,
            most_bytes,
            kept: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Numbers an event and keeps it. `time` is in Unix seconds. The newest is kept, however large.
    pub fn push(&mut self, time: f64, what: EventKind) {
        let (place, task) = (place_of(&what), task_of(&what));
        let is_large = matches!(what, EventKind::Progress { .. } | EventKind::Output { .. });
        let seq = self.next;
        let event = Event { seq, time, what };
        let body = match is_large {
            true => Body::Line(line_of(&event)),
            false => Body::Event(Box::new(event)),
        };
        let kept = Kept { place, task, body };
        self.next += 1;
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self.kept.len() > 1
            && (self.kept.len() > self.most_events || self.bytes > self.most_bytes)
        {
            let oldest = self.kept.pop_front();
            self.bytes -= oldest.map_or(0, |oldest| oldest.bytes());
        }
    }

    /// The newest number given; 0 before the first event.
    pub fn newest(&self) -> u64 {
        self.next - 1
    }

    /// Where a watcher stands that has seen everything up to number `since`, as far as the events after it are kept, and
    /// how many are not. A number from the future (another hub process gave it) counts as 0.
    pub fn stand(&self, since: u64) -> (u64, u64) {
        let since = if since > self.newest() { 0 } else { since };
        let oldest = self.next - self.kept.len() as u64;
        (since.max(oldest - 1), oldest.saturating_sub(since + 1))
    }

    /// The events after number `since` that a filter takes, until there are `room` bytes of them.
    pub fn after(&mut self, since: u64, filter: &Filter, room: usize) -> Missed {
        let (mut upto, lost) = self.stand(since);
        let oldest = self.next - self.kept.len() as u64;
        let (mut lines, mut bytes) = (Vec::new(), 0);
        let skip = usize::try_from(upto + 1 - oldest).unwrap_or(usize::MAX);
        for kept in self.kept.iter_mut().skip(skip) {
            if bytes >= room {
                break;
            }
            upto += 1;
            if filter.takes(kept.place, kept.task) {
                self.bytes -= kept.bytes();
                let line = kept.line();
                self.bytes += kept.bytes();
                bytes += line.len();
                lines.push(line);
            }
        }
        Missed { lines, upto, lost }
    }

    /// How many events are kept, and their bytes, about.
    pub fn size(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }
}

/// Bytes of an event's texts. What may be large is kept as a line.
fn text_bytes(what: &EventKind) -> usize {
    let maybe = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    match what {
        EventKind::Task {
            worker_id,
            reason,
            question,
            ..
        } => maybe(worker_id) + reason.len() + maybe(question),
        EventKind::Approval {
            tool,
            title,
            by,
            rule,
            ..
        } => tool.len() + title.len() + maybe(by) + maybe(rule),
        EventKind::Session { session_id, state } => session_id.len() + state.len(),
        EventKind::Actor {
            path,
            state,
            reason,
        } => path.len() + state.len() + reason.len(),
        EventKind::Queue { queue, state } => queue.len() + state.len(),
        EventKind::Hub { state } => state.len(),
        EventKind::Output { text, .. } => text.len(),
        EventKind::Progress { data, .. } => kirosu_protocol::weight(data),
    }
}

fn line_of(event: &Event) -> Line {
    let mut line = Vec::with_capacity(160);
    write_notification(&mut line, "event", event);
    if let Some(notice) = question_in(&event.what) {
        notice.write(&mut line);
    }
    line.into()
}

/// What a person is asked by an event.
fn question_in(what: &EventKind) -> Option<Notice> {
    match what {
        EventKind::Task {
            task_id,
            fence,
            question: Some(question),
            ..
        } => Some(Notice::Approval {
            approval_id: None,
            task_id: *task_id,
            fence: *fence,
            question: question.clone(),
        }),
        EventKind::Approval {
            approval_id,
            task_id,
            fence,
            state: PermissionState::Open,
            tool,
            title,
            ..
        } => Some(Notice::Approval {
            approval_id: Some(*approval_id),
            task_id: *task_id,
            fence: *fence,
            question: format!("may {tool} run? {title}"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Filter = Filter::ALL;

    fn ring_of(count: u64, most_events: usize) -> Ring {
        let mut ring = Ring::new(most_events, 1 << 20);
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

    fn numbers(missed: &Missed) -> Vec<u64> {
        let number = |line: &Line| {
            let event: serde_json::Value = serde_json::from_slice(line).unwrap();
            event["params"]["seq"].as_u64().unwrap()
        };
        missed.lines.iter().map(number).collect()
    }

    #[test]
    fn a_watcher_gets_what_it_missed_and_learns_what_is_gone() {
        let mut ring = ring_of(10, 4);
        let missed = ring.after(8, &ALL, 1000);
        assert_eq!(
            (numbers(&missed), missed.upto, missed.lost),
            (vec![9, 10], 10, 0)
        );
        let missed = ring.after(2, &ALL, 1000);
        assert_eq!((numbers(&missed), missed.lost), (vec![7, 8, 9, 10], 4));
        assert_eq!(ring.after(10, &ALL, 1000).lines.len(), 0);
        assert_eq!(ring.stand(8), (8, 0));
        assert_eq!(ring.stand(2), (6, 4));
    }

    #[test]
    fn a_number_of_another_hub_process_gets_everything_kept() {
        assert_eq!(ring_of(3, 8).after(999, &ALL, 1000).lines.len(), 3);
        assert_eq!(Ring::new(8, 8).after(5, &ALL, 1000), Missed::default());
    }

    #[test]
    fn what_was_missed_comes_in_pieces() {
        let mut ring = ring_of(3, 8);
        let (mut at, mut seen) = (0, Vec::new());
        while at < ring.newest() {
            let missed = ring.after(at, &ALL, 1);
            assert_eq!(missed.lines.len(), 1, "one line is more than a byte");
            seen.extend(numbers(&missed));
            at = missed.upto;
        }
        assert_eq!(seen, [1, 2, 3]);
    }

    #[test]
    fn large_events_push_others_out_by_their_bytes() {
        let mut ring = Ring::new(1000, 100_000);
        for chunk in 0..50 {
            ring.push(
                0.0,
                EventKind::Output {
                    task_id: 1,
                    fence: 1,
                    chunk,
                    text: "x".repeat(10_000),
                },
            );
            assert!(ring.size().1 <= 100_000);
        }
        assert_eq!(ring.size().0, 9);
        let (_, before) = ring.size();
        ring.after(0, &ALL, usize::MAX);
        assert_eq!(ring.size().1, before);
        ring.push(
            0.0,
            EventKind::Output {
                task_id: 1,
                fence: 1,
                chunk: 0,
                text: "x".repeat(1_000_000),
            },
        );
        assert_eq!(ring.size().0, 1, "the newest is kept in any case");
    }

    #[test]
    fn the_bytes_are_those_of_what_is_kept_when_some_are_written_as_lines() {
        let mut ring = ring_of(20, 8);
        ring.after(16, &ALL, usize::MAX);
        let counted = ring.size().1;
        assert_eq!(counted, ring.kept.iter().map(Kept::bytes).sum::<usize>());
    }
}
