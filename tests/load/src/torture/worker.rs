//! A worker: leases, works for no time at all, and ends its runs in every way there is, the wrong ones included.

use super::history::{Call, Event, Leased, Outcome, number_of};
use super::link::{Link, Sending, Shared};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The shortest lease a hub gives with default settings: lost leases come back soon.
const LEASE_SECONDS: u64 = 1;

/// Between a lease that was refused and the next.
const REST: Duration = Duration::from_millis(5);

/// Longest work of a worker in a process of its own, so that a SIGSTOP most likely meets it with leases in its hands.
const WORK: Duration = Duration::from_millis(20);

/// One task in this number is cancelled while its lease begins.
const CANCELLED_IN: u32 = 40;

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Done,
    DoneAfterHeartbeat,
    DoneTwice,
    Failed,
    Released,
    /// Sleeps past its lease, then acks as if nothing had been.
    Zombie,
    /// Never says a word again.
    Forgotten,
}

/// Of 1000 runs.
fn ending(rng: &mut fastrand::Rng) -> Ending {
    match rng.u32(0..1000) {
        0..4 => Ending::Zombie,
        4..8 => Ending::Forgotten,
        8..40 => Ending::Released,
        40..80 => Ending::Failed,
        80..150 => Ending::DoneTwice,
        150..250 => Ending::DoneAfterHeartbeat,
        _ => Ending::Done,
    }
}

/// Works until the work is over and returns what it saw.
pub fn run(shared: &Shared, speaker: u32, session: bool, seed: u64) -> Vec<Event> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let session = session.then(|| format!("torture-{seed:x}-{speaker}"));
    let mut link = Link::new(shared, speaker, session);
    while !shared.is_over() {
        let leases = lease(&mut link, speaker, rng.u32(1..=4));
        for leased in &leases {
            link.hold(leased.task, leased.fence);
            if rng.u32(0..CANCELLED_IN) == 0 {
                shared.leave_to_cancel(leased.task);
            }
        }
        // As the protocol requires: leases that a reconnect lists and this worker has not begun are released.
        for (task, fence) in link.unknown_leases() {
            give_back(&mut link, task, fence);
        }
        for leased in leases {
            if shared.tells {
                std::thread::sleep(WORK.mul_f64(rng.f64()));
            }
            let ending = ending(&mut rng);
            end(&mut link, shared, leased, ending);
            if !matches!(ending, Ending::Forgotten) {
                link.let_go(leased.task, leased.fence);
            }
        }
    }
    link.events
}

fn lease(link: &mut Link<'_>, speaker: u32, most: u32) -> Vec<Leased> {
    let params = json!({
        "worker_id": format!("w{speaker}"), "max_tasks": most, "lease_seconds": LEASE_SECONDS, "wait_seconds": 0.5,
    });
    let session = link.has_session();
    let mut tasks = Vec::new();
    let outcome = link.say("lease", &params, Sending::Once, |answer| {
        let handed_out = answer.and_then(|answer| answer["tasks"].as_array());
        tasks = handed_out.into_iter().flatten().map(leased).collect();
        Call::Lease {
            session,
            most: u64::from(most),
            tasks: tasks.clone(),
        }
    });
    if matches!(outcome, Outcome::Refused(_)) {
        std::thread::sleep(REST);
    }
    tasks
}

/// A task as `lease` hands it out.
pub(super) fn leased(task: &Value) -> Leased {
    Leased {
        task: task["task_id"].as_u64().unwrap_or(0),
        fence: task["fence"].as_i64().unwrap_or(0),
        number: task["prompt"].as_str().and_then(number_of),
        until_ms: milliseconds(&task["leased_until"]),
    }
}

fn milliseconds(seconds: &Value) -> i64 {
    (seconds.as_f64().unwrap_or(0.0) * 1000.0) as i64
}

fn end(link: &mut Link<'_>, shared: &Shared, leased: Leased, ending: Ending) {
    let mut times = 1;
    match ending {
        Ending::Forgotten => return,
        Ending::Released => return release(link, leased),
        Ending::DoneAfterHeartbeat => heartbeat(link, leased),
        Ending::Zombie => std::thread::sleep(Duration::from_millis(1000 * LEASE_SECONDS + 400)),
        Ending::DoneTwice => times = 2,
        Ending::Done | Ending::Failed => {}
    }
    for _ in 0..times {
        let outcome = ack(link, leased, !matches!(ending, Ending::Failed));
        if outcome == Outcome::Ok {
            shared.acked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn ack(link: &mut Link<'_>, leased: Leased, done: bool) -> Outcome {
    let Leased { task, fence, .. } = leased;
    let result = format!("result of {task} under {fence}");
    let params = match done {
        true => json!({"task_id": task, "fence": fence, "status": "done", "result": result}),
        false => json!({"task_id": task, "fence": fence, "status": "failed", "error": result}),
    };
    link.say("ack", &params, Sending::UntilAnswered, |_| Call::Ack {
        task,
        fence,
        done,
        result,
    })
}

fn heartbeat(link: &mut Link<'_>, leased: Leased) {
    let Leased { task, fence, .. } = leased;
    let params = json!({"task_id": task, "fence": fence, "lease_seconds": LEASE_SECONDS});
    link.say("heartbeat", &params, Sending::Once, |answer| {
        Call::Heartbeat {
            task,
            fence,
            until_ms: answer.map_or(0, |answer| milliseconds(&answer["leased_until"])),
        }
    });
}

fn release(link: &mut Link<'_>, leased: Leased) {
    give_back(link, leased.task, leased.fence);
}

fn give_back(link: &mut Link<'_>, task: u64, fence: i64) {
    let params = json!({"task_id": task, "fence": fence, "reason": "torture"});
    link.say("release", &params, Sending::Once, |_| Call::Release {
        task,
        fence,
    });
}
