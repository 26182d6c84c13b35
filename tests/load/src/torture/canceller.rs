//! A client that cancels: tasks that were just enqueued, and tasks that a worker has just leased.

use super::history::{Call, Event, Outcome};
use super::link::{Link, Sending, Shared};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two looks for a task to cancel: the shorter, the closer the race.
const REST: Duration = Duration::from_micros(200);

/// Cancels what it is given until the work is over, and returns what it saw.
pub fn run(shared: &Shared, speaker: u32) -> Vec<Event> {
    let mut link = Link::new(shared, speaker, None);
    while !shared.is_over() {
        let Some(task) = shared.next_to_cancel() else {
            std::thread::sleep(REST);
            continue;
        };
        let params = json!({"task_id": task, "by": "torture"});
        let outcome = link.say("cancel", &params, Sending::UntilAnswered, |_| {
            Call::Cancel { task }
        });
        if outcome == Outcome::Ok {
            // The task has ended, which is progress as an ack is.
            shared.acked.fetch_add(1, Ordering::Relaxed);
        }
    }
    link.events
}
