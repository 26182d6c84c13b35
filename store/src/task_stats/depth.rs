//! The depth of each queue: its unfinished tasks by state.

use super::TaskStats;
use crate::lanes::Lanes;
use kirosu_protocol::Status;
use std::sync::Arc;

/// The states of unfinished tasks.
const WAITING: [Status; 5] = [
    Status::Queued,
    Status::Blocked,
    Status::Scheduled,
    Status::AwaitingApproval,
    Status::Leased,
];

/// The depth of a queue over all its types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The label under which the queue is counted.
    pub queue: Arc<str>,
    /// Unfinished tasks by state.
    pub tasks: [(Status, i64); 5],
}

impl TaskStats {
    /// The depth of each queue, by the label under which it is counted.
    pub(crate) fn depths(&mut self, lanes: &Lanes) -> Vec<QueueDepth> {
        self.learn(lanes);
        let mut depths: Vec<QueueDepth> = (0..self.queues.len())
            .filter_map(|number| self.queue_labels.name(number))
            .map(|queue| QueueDepth {
                queue: queue.clone(),
                tasks: WAITING.map(|status| (status, 0)),
            })
            .collect();
        for lane in lanes.iter() {
            let queue = self.of_lane.get(&lane.id).copied();
            if let Some(depth) = queue.and_then(|queue| depths.get_mut(queue)) {
                for (status, tasks) in &mut depth.tasks {
                    *tasks += lane.in_state(*status);
                }
            }
        }
        depths
    }
}
