//! A producer: enqueues its share of the tasks, in every way there is.

use super::history::{Call, Event, Outcome, prompt_of};
use super::link::{Link, Sending, Shared};
use serde_json::{Value, json};
use std::ops::Range;

/// One call in this number is a batch, has a dependency, or has retries.
const BATCH_IN: u32 = 50;
const DEPENDENT_IN: u32 = 40;
const RETRIED_IN: u32 = 10;
/// One call in this number enqueues tasks that are cancelled at once.
const CANCELLED_IN: u32 = 30;

/// Most calls say no priority.
const PRIORITIES: [i64; 6] = [0, 0, 0, 0, 1, 5];

/// Enqueues the tasks of these numbers and returns what it saw.
pub fn run(shared: &Shared, speaker: u32, mut numbers: Range<u64>, seed: u64) -> Vec<Event> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut link = Link::new(shared, speaker, None);
    let mut last = None;
    while !numbers.is_empty() && !shared.is_over() {
        std::thread::sleep(shared.pace());
        let size = match rng.u32(0..BATCH_IN) {
            0 => 20.min(numbers.end - numbers.start),
            _ => 1,
        };
        let some = numbers.start..numbers.start + size;
        numbers.start += size;
        let keyed = rng.bool();
        let after = last.filter(|_| rng.u32(0..DEPENDENT_IN) == 0);
        let priority = PRIORITIES[rng.usize(0..PRIORITIES.len())];
        let tasks: Vec<Value> = some
            .clone()
            .map(|number| task(number, keyed, after, priority, rng.u32(0..RETRIED_IN) == 0))
            .collect();
        let cancelled = rng.u32(0..CANCELLED_IN) == 0;
        last = enqueue(
            shared,
            &mut link,
            some.collect(),
            tasks,
            keyed,
            after,
            priority,
            cancelled,
        )
        .or(last);
    }
    link.events
}

fn task(number: u64, keyed: bool, after: Option<u64>, priority: i64, retried: bool) -> Value {
    let mut task = json!({"prompt": prompt_of(number)});
    if keyed {
        task["idempotency_key"] = json!(key_of(number));
    }
    if priority != 0 {
        task["priority"] = json!(priority);
    }
    if let Some(after) = after {
        task["depends_on"] = json!([after]);
    }
    if retried {
        task["max_attempts"] = json!(3);
        task["retry"] = json!({"initial_seconds": 0.05, "max_seconds": 0.2});
    }
    task
}

/// The idempotency key of a task.
pub fn key_of(number: u64) -> String {
    format!("key-{number}")
}

/// With a key it is sent until answered; without one a broken connection leaves it unknown, as it must.
#[expect(clippy::too_many_arguments, reason = "each is one fact of the call")]
fn enqueue(
    shared: &Shared,
    link: &mut Link<'_>,
    numbers: Vec<u64>,
    mut tasks: Vec<Value>,
    keyed: bool,
    after: Option<u64>,
    priority: i64,
    cancelled: bool,
) -> Option<u64> {
    let sending = match keyed {
        true => Sending::UntilAnswered,
        false => Sending::Once,
    };
    let single = tasks.len() == 1;
    let (method, params) = match single {
        true => ("enqueue", tasks.swap_remove(0)),
        false => ("enqueue_batch", json!({ "tasks": tasks })),
    };
    let mut ids = Vec::new();
    let outcome = link.say(method, &params, sending, |answer| {
        ids = answer
            .map(|answer| ids_in(answer, single))
            .unwrap_or_default();
        Call::Enqueue {
            numbers,
            keyed,
            after,
            priority,
            ids: ids.clone(),
        }
    });
    for id in ids.iter().filter(|_| cancelled) {
        shared.leave_to_cancel(*id);
    }
    ids.last().copied().filter(|_| outcome == Outcome::Ok)
}

/// The hub's ids in the answer to the enqueue of one task or several.
pub fn ids_in(answer: &Value, single: bool) -> Vec<u64> {
    match single {
        true => answer["task_id"].as_u64().into_iter().collect(),
        false => {
            let ids = answer["task_ids"].as_array().into_iter().flatten();
            ids.filter_map(Value::as_u64).collect()
        }
    }
}
