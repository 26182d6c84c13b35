//! How many tasks of each queue wait, and how.

use super::TaskStats;
use crate::lanes::Lanes;
use kirosu_protocol::Status;
use std::sync::Arc;

/// States in which a task waits for something.
const WAITING: [Status; 5] = [
    Status::Queued,
    Status::Blocked,
    Status::Scheduled,
    Status::AwaitingApproval,
    Status::Leased,
];

/// How full a queue is, all types together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The name under which it is counted.
    pub queue: Arc<str>,
    /// Unfinished tasks by state.
    pub tasks: [(Status, i64); 5],
}

impl TaskStats {
    /// How full each queue is, by the name under which it is counted.
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
