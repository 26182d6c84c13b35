//! The kinds of events, and the filter of a watch.

use kirosu_protocol::{EVENT_KINDS, EventKind, TaskId};

/// The index of an event's kind in [`EVENT_KINDS`].
pub(super) fn kind_index(what: &EventKind) -> usize {
    match what {
        EventKind::Task { .. } => 0,
        EventKind::Approval { .. } => 1,
        EventKind::Progress { .. } => 2,
        EventKind::Output { .. } => 3,
        EventKind::Session { .. } => 4,
        EventKind::Actor { .. } => 5,
        EventKind::Queue { .. } => 6,
        EventKind::Run { .. } => 7,
        EventKind::Step { .. } => 8,
        EventKind::Hub { .. } => 9,
        EventKind::Schedule { .. } => 10,
    }
}

/// The task that an event is about. `None` if it is about no task.
pub(super) fn task_of(what: &EventKind) -> Option<TaskId> {
    match what {
        EventKind::Task { task_id, .. }
        | EventKind::Approval { task_id, .. }
        | EventKind::Progress { task_id, .. }
        | EventKind::Output { task_id, .. }
        | EventKind::Run { task_id, .. }
        | EventKind::Step { task_id, .. } => Some(*task_id),
        _ => None,
    }
}

/// The task that an event ends. `None` if it ends no task.
pub(super) fn ended_task(what: &EventKind) -> Option<TaskId> {
    match what {
        EventKind::Task {
            task_id, status, ..
        } if status.is_final() => Some(*task_id),
        _ => None,
    }
}

/// The events that a watch selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    task: Option<TaskId>,
    /// One bit per selected kind, at its index. 0 selects all kinds.
    kinds: u16,
}

impl EventFilter {
    /// Every event.
    #[cfg(test)]
    pub(super) const ALL: EventFilter = EventFilter {
        task: None,
        kinds: 0,
    };

    /// Selects events of one task (`None`: of all tasks and of none) and of these kinds, by their names on the wire (empty: of
    /// all kinds). Unknown names are ignored.
    pub fn new(task: Option<TaskId>, kinds: &[String]) -> EventFilter {
        let bit = |kind: &String| EVENT_KINDS.iter().position(|known| known == kind);
        let kinds = kinds.iter().filter_map(bit);
        EventFilter {
            task,
            kinds: kinds.fold(0, |bits, index| bits | 1 << index),
        }
    }

    /// Whether the filter selects an event of this kind and task.
    pub(super) fn takes(&self, kind: usize, task: Option<TaskId>) -> bool {
        (self.kinds == 0 || self.kinds & (1 << kind) != 0)
            && self.task.is_none_or(|wanted| task == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_selects_the_kinds_and_the_task_that_it_names() {
        let hub = EventKind::Hub {
            state: "draining".into(),
        };
        let output = EventKind::Output {
            task_id: 7,
            fence: 1,
            chunk: 0,
            text: "x".into(),
        };
        let takes =
            |filter: EventFilter, what: &EventKind| filter.takes(kind_index(what), task_of(what));
        assert!(takes(EventFilter::default(), &hub) && takes(EventFilter::default(), &output));
        let kinds = EventFilter::new(None, &["output".into(), "task".into()]);
        assert!(!takes(kinds, &hub) && takes(kinds, &output));
        assert!(takes(EventFilter::new(Some(7), &[]), &output));
        assert!(!takes(EventFilter::new(Some(8), &[]), &output));
        assert!(!takes(EventFilter::new(Some(7), &[]), &hub));
    }
}
