//! The wait for tasks on behalf of an HTTP client, in short parts: the hub learns nothing of a client that has disconnected.

use crate::link::HubError;
use crate::state::AppState;
use kirosu_protocol::group::RANGES;
use kirosu_protocol::{Group, IdRange, TaskId, WaitParams, WaitTarget, millis};
use std::time::Duration;
use tokio::time::Instant;

/// Maximum time for which one request is parked in the hub: a client that has disconnected occupies a slot that long.
pub(crate) const SLICE: Duration = Duration::from_secs(15);

/// Waits until all tasks have ended, or the time is over. An id that no task can have ends the wait: the request for the answer
/// returns its error.
pub(crate) async fn until_finished(
    state: &AppState,
    target: &WaitTarget,
    time: Duration,
) -> Result<(), HubError> {
    let end = Instant::now() + time;
    match target {
        WaitTarget::Group(group) => until_group(state, group, end).await.map(drop),
        WaitTarget::Tasks(task_ids) => {
            if task_ids.iter().any(|id| *id <= 0) {
                return Ok(());
            }
            // All have ended once those of each part have. The answer about a group has no texts, which are not needed yet.
            for part in task_ids.chunks(RANGES) {
                if !until_group(state, &group_of(part), end).await? {
                    return Ok(());
                }
            }
            Ok(())
        }
    }
}

fn group_of(task_ids: &[TaskId]) -> Group {
    let ids = task_ids.iter();
    let ranges = ids.map(|id| IdRange {
        first: *id,
        last: *id,
    });
    Group {
        ranges: ranges.collect(),
        ..Group::default()
    }
}

/// Whether all tasks of the group ended in time.
async fn until_group(state: &AppState, group: &Group, end: Instant) -> Result<bool, HubError> {
    loop {
        let longest = Duration::from_millis(state.hub.limits().wait_ms_max);
        let left = end.saturating_duration_since(Instant::now());
        let slice = left.min(SLICE).min(longest);
        let wait = WaitParams {
            target: WaitTarget::Group(group.clone()),
            timeout_ms: millis(slice),
        };
        if state.hub.request(wait).await?.finished {
            return Ok(true);
        }
        if left <= slice {
            return Ok(false);
        }
    }
}
