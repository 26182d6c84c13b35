//! A session that works in bulk: batches of thousands of tasks, and leases and lists of acks of a thousand each. The hub
//! carries each out in parts, and faults strike between them.

use super::history::{Call, Event, Leased, Outcome, prompt_of};
use super::link::{Link, Sending, Shared};
use super::producer::ids_in;
use super::worker::leased;
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Duration;

/// A queue that no other worker leases from.
const QUEUE: &str = "bulk";

/// The most tasks of a lease.
const MOST: u64 = 1000;

/// Longer than the work on one lease, but not than the hub's slowest restart.
const LEASE_SECONDS: u64 = 2;

/// Tasks in bulk for each task of another producer.
const RATIO: u64 = 6;

/// Between two looks at the progress of the others.
const REST: Duration = Duration::from_millis(5);

/// The number of tasks of one batch that are cancelled while they are leased.
const CANCELLED: usize = 10;

/// The sizes of batches: those of small runs still have several parts.
fn sizes(tasks: u64) -> Range<u64> {
    let most = tasks.clamp(1_000, 10_000);
    (most / 5).max(500)..most + 1
}

/// Makes batches of tasks with these numbers, as many as the progress of the other workers allows, which have `tasks` tasks,
/// and works on them. Counts as a producer until the others are done; afterwards it works on what is left.
pub fn run(
    shared: &Shared,
    speaker: u32,
    mut numbers: Range<u64>,
    tasks: u64,
    seed: u64,
) -> Vec<Event> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let session = format!("torture-{seed:x}-bulk");
    let mut link = Link::new(shared, speaker, Some(session));
    let begin = numbers.start;
    while !shared.is_over() && shared.is_producing() {
        if numbers.start - begin > RATIO * shared.acks() {
            std::thread::sleep(REST);
            continue;
        }
        let size = rng.u64(sizes(tasks));
        let batch = (numbers.start..numbers.start + size).collect();
        numbers.start += size;
        let mut ids = enqueue(&mut link, batch, rng.bool());
        rng.shuffle(&mut ids);
        let mut cancelled = ids.into_iter().take(CANCELLED);
        let mut cancel = || {
            let some = cancelled.by_ref().take(2);
            some.for_each(|task| shared.leave_to_cancel(task));
        };
        while !shared.is_over() && work(&mut link, speaker, 0.0, &mut cancel) {}
    }
    shared.end_producer();
    while !shared.is_over() {
        work(&mut link, speaker, 0.5, || {});
    }
    link.events
}

/// Returns the ids, if they were answered.
fn enqueue(link: &mut Link<'_>, numbers: Vec<u64>, keyed: bool) -> Vec<u64> {
    let task = |number: &u64| {
        let mut task = json!({"prompt": prompt_of(*number), "queue": QUEUE});
        if keyed {
            task["idempotency_key"] = json!(format!("bulk-{number}"));
        }
        task
    };
    let tasks: Vec<Value> = numbers.iter().map(task).collect();
    // Without keys a second sending could make the tasks twice.
    let sending = match keyed {
        true => Sending::UntilAnswered,
        false => Sending::Once,
    };
    let mut ids = Vec::new();
    let params = json!({ "tasks": tasks });
    link.say("enqueue_batch", &params, sending, |answer| {
        ids = answer.map_or_else(Vec::new, |answer| ids_in(answer, false));
        Call::Enqueue {
            numbers,
            keyed,
            after: None,
            priority: 0,
            ids: ids.clone(),
        }
    });
    ids
}

/// Leases many tasks and ends them. Returns whether there were any. `meanwhile` runs just before the lease.
fn work(link: &mut Link<'_>, speaker: u32, wait_seconds: f64, meanwhile: impl FnOnce()) -> bool {
    meanwhile();
    let params = json!({
        "worker_id": format!("w{speaker}"), "queues": [QUEUE], "max_tasks": MOST, "lease_seconds": LEASE_SECONDS,
        "wait_seconds": wait_seconds,
    });
    let mut tasks: Vec<Leased> = Vec::new();
    let outcome = link.say("lease", &params, Sending::Once, |answer| {
        let handed_out = answer.and_then(|answer| answer["tasks"].as_array());
        tasks = handed_out.into_iter().flatten().map(leased).collect();
        Call::Lease {
            session: true,
            most: MOST,
            tasks: tasks.clone(),
        }
    });
    let mut leases: Vec<(u64, i64)> = tasks.iter().map(|it| (it.task, it.fence)).collect();
    for (task, fence) in &leases {
        link.hold(*task, *fence);
    }
    // Leases whose answer was lost: it knows enough of them to end them.
    leases.extend(link.unknown_leases());
    if leases.is_empty() {
        return outcome == Outcome::Unknown;
    }
    let acks = leases.iter().enumerate().map(|(at, (task, fence))| {
        // One of them names a lease that never was: it is refused, and its task comes back when its lease expires.
        let fence = match at {
            1 => fence + 1_000_000,
            _ => *fence,
        };
        (*task, fence, at % 50 != 0)
    });
    ack(link, acks.collect());
    for (task, fence) in leases {
        link.let_go(task, fence);
    }
    true
}

fn ack(link: &mut Link<'_>, acks: Vec<(u64, i64, bool)>) {
    let call = |(task, fence, done)| Call::Ack {
        task,
        fence,
        done,
        result: format!("result of {task} under {fence}"),
    };
    let calls: Vec<Call> = acks.into_iter().map(call).collect();
    link.say_acks(calls);
}
