//! A session that leases a task and cancels it in the same packet: lease and cancel are one commit, most likely.

use super::history::{Call, Event, Outcome, prompt_of};
use super::link::{Link, Sending, Shared};
use super::worker::leased;
use serde_json::json;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A queue that no other worker leases from.
const QUEUE: &str = "pairs";

/// Between two pairs: a second of faults has some tens of them.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes pairs of tasks with these numbers until the producers are done, and returns what it saw. Counts as a producer.
pub fn run(shared: &Shared, speaker: u32, numbers: Range<u64>, seed: u64) -> Vec<Event> {
    let session = format!("torture-{seed:x}-pairs");
    let mut link = Link::new(shared, speaker, Some(session));
    for number in numbers {
        if shared.is_over() || shared.producing.load(Ordering::Acquire) <= 1 {
            break;
        }
        std::thread::sleep(PAUSE);
        pair(&mut link, speaker, number);
    }
    link.events
}

fn pair(link: &mut Link<'_>, speaker: u32, number: u64) {
    let key = format!("pair-{number}");
    let params = json!({"prompt": prompt_of(number), "queue": QUEUE, "idempotency_key": key});
    let mut made = None;
    link.say("enqueue", &params, Sending::UntilAnswered, |answer| {
        made = answer.and_then(|answer| answer["task_id"].as_u64());
        // Its place in the order is nobody's business: the queue is this speaker's own.
        Call::Enqueue {
            numbers: vec![number],
            keyed: true,
            after: None,
            priority: 0,
            ids: made.into_iter().collect(),
        }
    });
    let Some(task) = made else {
        return;
    };
    let lease = json!({"worker_id": format!("w{speaker}"), "queues": [QUEUE], "lease_seconds": 1});
    let cancel = json!({"task_id": task, "by": "torture"});
    let to_lease = |answer: Option<&serde_json::Value>| {
        let tasks = answer.and_then(|answer| answer["tasks"].as_array());
        Call::Lease {
            session: true,
            most: 1,
            tasks: tasks.into_iter().flatten().map(leased).collect(),
        }
    };
    let to_cancel = |_: Option<&serde_json::Value>| Call::Cancel { task };
    let [_, cancelled] = link.say_both(
        [("lease", &lease), ("cancel", &cancel)],
        [&to_lease, &to_cancel],
    );
    if cancelled != Outcome::Ok {
        link.say("cancel", &cancel, Sending::UntilAnswered, to_cancel);
    }
}
