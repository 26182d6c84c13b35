//! The newest events, numbered: a ring buffer that is bounded by the number of events and by their bytes.
//!
//! An event is serialized once, for all watchers. No watcher wants most events, so an event is serialized for the first watcher
//! that does. Events that may be large are serialized at once: a line takes the least memory.

use super::kind::{EventFilter, kind_index, task_of};
use kirosu_protocol::answer::write_notification;
use kirosu_protocol::{Event, EventKind, Notice, PermissionState, StepInfo, TaskId};
use std::collections::VecDeque;
use std::sync::Arc;

/// An event as its watchers get it: one line, or two if a person has to decide something.
pub type EventLine = Arc<[u8]>;

/// Numbers events and keeps the newest ones for watchers that reconnect.
#[derive(Debug)]
pub struct Ring {
    next: u64,
    max_events: usize,
    max_bytes: usize,
    kept: VecDeque<KeptEvent>,
    /// Bytes of all kept events.
    bytes: usize,
}

#[derive(Debug)]
struct KeptEvent {
    /// See [`kind_index`].
    kind: usize,
    task: Option<TaskId>,
    body: EventBody,
}

#[derive(Debug)]
enum EventBody {
    Event(Box<Event>),
    Line(EventLine),
}

impl KeptEvent {
    fn bytes(&self) -> usize {
        let body = match &self.body {
            EventBody::Event(event) => size_of::<Event>() + text_bytes(&event.what),
            EventBody::Line(line) => line.len(),
        };
        size_of::<KeptEvent>() + body
    }

    fn line(&mut self) -> EventLine {
        let line = match &self.body {
            EventBody::Line(line) => line.clone(),
            EventBody::Event(event) => line_of(event),
        };
        self.body = EventBody::Line(line.clone());
        line
    }
}

/// The events after the position of a watcher.
#[derive(Debug, Default, PartialEq)]
pub struct MissedEvents {
    /// The events that its filter selects, in order.
    pub lines: Vec<EventLine>,
    /// The number up to which the watcher has all events with these.
    pub upto: u64,
    /// The number of missed events that are no longer kept.
    pub lost: u64,
}

impl Ring {
    /// An empty ring; the first event gets number 1.
    pub fn new(max_events: usize, max_bytes: usize) -> Ring {
        Ring {
            next: 1,
            max_events,
            max_bytes,
            kept: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Numbers an event and keeps it. `time` is in Unix seconds. The newest event is kept, however large.
    pub fn push(&mut self, time: f64, what: EventKind) {
        let (kind, task) = (kind_index(&what), task_of(&what));
        let is_large = matches!(what, EventKind::Progress { .. } | EventKind::Output { .. });
        let seq = self.next;
        let event = Event { seq, time, what };
        let body = match is_large {
            true => EventBody::Line(line_of(&event)),
            false => EventBody::Event(Box::new(event)),
        };
        let kept = KeptEvent { kind, task, body };
        self.next += 1;
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self.kept.len() > 1
            && (self.kept.len() > self.max_events || self.bytes > self.max_bytes)
        {
            let oldest = self.kept.pop_front();
            self.bytes -= oldest.map_or(0, |oldest| oldest.bytes());
        }
    }

    /// The number of the newest event. 0 before the first.
    pub fn newest(&self) -> u64 {
        self.next - 1
    }

    /// The position of a watcher that has all events up to number `since`: the number after which all events are kept, and the
    /// number of events in between. A number above the newest (from another hub process) counts as 0.
    pub fn position(&self, since: u64) -> (u64, u64) {
        let since = if since > self.newest() { 0 } else { since };
        let oldest = self.next - self.kept.len() as u64;
        (since.max(oldest - 1), oldest.saturating_sub(since + 1))
    }

    /// The events after number `since` that a filter selects, until they reach `limit` bytes.
    pub fn after(&mut self, since: u64, filter: &EventFilter, limit: usize) -> MissedEvents {
        let (mut upto, lost) = self.position(since);
        let oldest = self.next - self.kept.len() as u64;
        let (mut lines, mut bytes) = (Vec::new(), 0);
        let skip = usize::try_from(upto + 1 - oldest).unwrap_or(usize::MAX);
        for kept in self.kept.iter_mut().skip(skip) {
            if bytes >= limit {
                break;
            }
            upto += 1;
            if filter.takes(kept.kind, kept.task) {
                self.bytes -= kept.bytes();
                let line = kept.line();
                self.bytes += kept.bytes();
                bytes += line.len();
                lines.push(line);
            }
        }
        MissedEvents { lines, upto, lost }
    }

    /// The number of kept events, and their approximate bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }
}

/// Bytes of an event's texts.
fn text_bytes(what: &EventKind) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    match what {
        EventKind::Task {
            worker_id,
            reason,
            question,
            ..
        } => optional(worker_id) + reason.len() + optional(question),
        EventKind::Approval {
            tool,
            title,
            by,
            rule,
            ..
        } => tool.len() + title.len() + optional(by) + optional(rule),
        EventKind::Session { session_id, state } => session_id.len() + state.len(),
        EventKind::Actor {
            path,
            state,
            reason,
        } => path.len() + state.len() + reason.len(),
        EventKind::Queue { queue, state } => queue.len() + state.len(),
        EventKind::Schedule { name, state, .. } => name.len() + state.len(),
        EventKind::Run { reason, name, .. } => optional(reason) + optional(name),
        EventKind::Step { step, .. } => {
            size_of::<StepInfo>() + step.path.len() + step.kind.len() + optional(&step.reason)
        }
        EventKind::Hub { state } => state.len(),
        EventKind::Output { text, .. } => text.len(),
        EventKind::Progress { data, .. } => kirosu_protocol::weight(data),
    }
}

fn line_of(event: &Event) -> EventLine {
    let mut line = Vec::with_capacity(160);
    write_notification(&mut line, "event", event);
    if let Some(notice) = approval_notice(&event.what) {
        notice.write(&mut line);
    }
    line.into()
}

/// The notice that a person has to decide something, if the event means that.
fn approval_notice(what: &EventKind) -> Option<Notice> {
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

    const ALL: EventFilter = EventFilter::ALL;

    fn ring_of(count: u64, max_events: usize) -> Ring {
        let mut ring = Ring::new(max_events, 1 << 20);
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

    fn numbers(missed: &MissedEvents) -> Vec<u64> {
        let number = |line: &EventLine| {
            let event: serde_json::Value = serde_json::from_slice(line).unwrap();
            event["params"]["seq"].as_u64().unwrap()
        };
        missed.lines.iter().map(number).collect()
    }

    #[test]
    fn a_watcher_gets_missed_events_and_the_number_of_lost_ones() {
        let mut ring = ring_of(10, 4);
        let missed = ring.after(8, &ALL, 1000);
        assert_eq!(
            (numbers(&missed), missed.upto, missed.lost),
            (vec![9, 10], 10, 0)
        );
        let missed = ring.after(2, &ALL, 1000);
        assert_eq!((numbers(&missed), missed.lost), (vec![7, 8, 9, 10], 4));
        assert_eq!(ring.after(10, &ALL, 1000).lines.len(), 0);
        assert_eq!(ring.position(8), (8, 0));
        assert_eq!(ring.position(2), (6, 4));
    }

    #[test]
    fn a_number_of_another_hub_process_gets_all_kept_events() {
        assert_eq!(ring_of(3, 8).after(999, &ALL, 1000).lines.len(), 3);
        assert_eq!(
            Ring::new(8, 8).after(5, &ALL, 1000),
            MissedEvents::default()
        );
    }

    #[test]
    fn missed_events_come_in_pieces() {
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
    fn large_events_replace_others_by_their_bytes() {
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
        assert_eq!(ring.size().0, 1, "the newest is always kept");
    }

    #[test]
    fn the_counted_bytes_are_right_when_some_events_are_serialized() {
        let mut ring = ring_of(20, 8);
        ring.after(16, &ALL, usize::MAX);
        let counted = ring.size().1;
        assert_eq!(
            counted,
            ring.kept.iter().map(KeptEvent::bytes).sum::<usize>()
        );
    }
}
