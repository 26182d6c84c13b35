//! A session that leases a task and cancels it in the same packet: lease and cancel are one commit, most likely.

use super::history::{Call, Event, Outcome, prompt_of};
use super::link::{Link, Sending, Shared};
use super::worker::leased;
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Duration;

/// A queue that no other worker leases from.
const QUEUE: &str = "pairs";

/// Between two pairs: a second of faults has some tens of them.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes pairs of tasks with these numbers until the producers are done, and returns what it saw. Counts as a producer until
/// then; afterwards it cancels what a restore brings back.
pub fn run(shared: &Shared, speaker: u32, numbers: Range<u64>, seed: u64) -> Vec<Event> {
    let session = format!("torture-{seed:x}-pairs");
    let mut link = Link::new(shared, speaker, Some(session));
    for number in numbers {
        if shared.is_over() || !shared.is_producing() {
            break;
        }
        std::thread::sleep(PAUSE);
        pair(&mut link, speaker, number);
    }
    shared.end_producer();
    while !shared.is_over() {
        let mut params = lease_of(speaker);
        params["wait_seconds"] = json!(0.5);
        let mut tasks = Vec::new();
        link.say("lease", &params, Sending::Once, |answer| {
            let call = to_lease(answer);
            if let Call::Lease { tasks: taken, .. } = &call {
                tasks.extend(taken.iter().map(|leased| leased.task));
            }
            call
        });
        for task in tasks {
            cancel(&mut link, task);
        }
    }
    link.events
}

fn pair(link: &mut Link<'_>, speaker: u32, number: u64) {
    let key = format!("pair-{number}");
    let params = json!({"prompt": prompt_of(number), "queue": QUEUE, "idempotency_key": key});
    let mut made = None;
    link.say("enqueue", &params, Sending::UntilAnswered, |answer| {
        made = answer.and_then(|answer| answer["task_id"].as_u64());
        // Its position does not matter: only this client uses the queue.
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
    let requests = [lease_of(speaker), cancel_of(task)];
    let to_cancel = |_: Option<&Value>| Call::Cancel { task };
    let [_, cancelled] = link.say_both(
        [("lease", &requests[0]), ("cancel", &requests[1])],
        [&to_lease, &to_cancel],
    );
    if cancelled != Outcome::Ok {
        cancel(link, task);
    }
}

fn lease_of(speaker: u32) -> Value {
    json!({"worker_id": format!("w{speaker}"), "queues": [QUEUE], "lease_seconds": 1})
}

fn to_lease(answer: Option<&Value>) -> Call {
    let tasks = answer.and_then(|answer| answer["tasks"].as_array());
    Call::Lease {
        session: true,
        most: 1,
        tasks: tasks.into_iter().flatten().map(leased).collect(),
    }
}

fn cancel_of(task: u64) -> Value {
    json!({"task_id": task, "by": "torture"})
}

fn cancel(link: &mut Link<'_>, task: u64) {
    let params = cancel_of(task);
    link.say("cancel", &params, Sending::UntilAnswered, |_| {
        Call::Cancel { task }
    });
}
