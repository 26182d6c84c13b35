//! The kinds of events by which a watcher filters.

use kirosu_protocol::verbs::watch::KINDS;
use kirosu_protocol::{EventKind, TaskId};

/// The place of an event's kind in [`KINDS`].
pub(super) fn place_of(what: &EventKind) -> usize {
    match what {
        EventKind::Task { .. } => 0,
        EventKind::Approval { .. } => 1,
        EventKind::Progress { .. } => 2,
        EventKind::Output { .. } => 3,
        EventKind::Session { .. } => 4,
        EventKind::Actor { .. } => 5,
        EventKind::Queue { .. } => 6,
        EventKind::Hub { .. } => 7,
    }
}

/// The task that an event is about.
pub(super) fn task_of(what: &EventKind) -> Option<TaskId> {
    match what {
        EventKind::Task { task_id, .. }
        | EventKind::Approval { task_id, .. }
        | EventKind::Progress { task_id, .. }
        | EventKind::Output { task_id, .. } => Some(*task_id),
        _ => None,
    }
}

/// The task whose end an event tells of.
pub(super) fn ended(what: &EventKind) -> Option<TaskId> {
    match what {
        EventKind::Task {
            task_id, status, ..
        } if status.is_final() => Some(*task_id),
        _ => None,
    }
}

/// Which events a watcher wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    task: Option<TaskId>,
    /// A bit for each wanted kind; 0: all.
    kinds: u8,
}

impl Filter {
    /// Every event.
    #[cfg(test)]
    pub(super) const ALL: Filter = Filter {
        task: None,
        kinds: 0,
    };

    /// Only of this task; only of these kinds, by their words on the wire. None and no words mean all.
    pub fn new(task: Option<TaskId>, kinds: &[String]) -> Filter {
        let bit = |kind: &String| KINDS.iter().position(|known| known == kind);
        let kinds = kinds.iter().filter_map(bit);
        Filter {
            task,
            kinds: kinds.fold(0, |bits, place| bits | 1 << place),
        }
    }

    pub(super) fn takes(&self, place: usize, task: Option<TaskId>) -> bool {
        (self.kinds == 0 || self.kinds & (1 << place) != 0)
            && self.task.is_none_or(|wanted| task == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_the_kinds_and_the_task_that_it_names() {
        let hub = EventKind::Hub {
            state: "draining".into(),
        };
        let output = EventKind::Output {
            task_id: 7,
            fence: 1,
            chunk: 0,
            text: "x".into(),
        };
        let takes = |filter: Filter, what: &EventKind| filter.takes(place_of(what), task_of(what));
        assert!(takes(Filter::default(), &hub) && takes(Filter::default(), &output));
        let kinds = Filter::new(None, &["output".into(), "task".into()]);
        assert!(!takes(kinds, &hub) && takes(kinds, &output));
        assert!(takes(Filter::new(Some(7), &[]), &output));
        assert!(!takes(Filter::new(Some(8), &[]), &output));
        assert!(!takes(Filter::new(Some(7), &[]), &hub));
    }
}
