//! Faults, one after the other, at seeded points of the workers' progress; after each the hub must be at work again.

use super::clients::{UNFINISHED, stats, unfinished};
use super::history::{Call, Outcome, prompt_of};
use super::link::{Link, Sending, Shared};
use super::nemesis::{Field, Kind};
use super::{Torture, kills};
use crate::Fault;
use crate::wire::Wire;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// No progress for so long, with the hub up: it has stopped working.
const STALL: Duration = Duration::from_secs(30);

/// After this time without progress, the tool checks whether any work is left.
const IDLE: Duration = Duration::from_millis(500);

/// After the last fault, and the last enqueue, the queue must be empty within this time.
const DRAIN: Duration = Duration::from_secs(120);

/// After each fault a new task must be done within this time. (It may meet a worker that forgets it for a second, twice.)
const ALIVE: Duration = Duration::from_secs(10);

/// Duration of a strike in addition to the fault itself.
const BETWEEN: Duration = Duration::from_millis(700);

/// One fault in this number gets a kill of the hub in its middle.
const KILLED_IN: u32 = 4;

/// A fault and when it strikes.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// So many acks were taken.
    point: u64,
    kind: Kind,
}

/// All strikes in their order, and the time between two enqueues that keeps the work going for as long as they take
/// (none where the hub is only killed: that takes no time).
pub fn strikes(torture: &Torture, rng: &mut fastrand::Rng) -> (Vec<Strike>, Duration) {
    let mut kinds: Vec<Kind> = torture
        .nemeses
        .iter()
        .flat_map(|kind| (0..kind.times(torture)).map(|_| *kind))
        .collect();
    rng.shuffle(&mut kinds);
    let points = kills::points(torture.tasks, kinds.len(), rng);
    let time = |kind: &Kind| {
        let (least, most) = kind.nemesis().lasts_ms();
        Duration::from_millis((least + most) / 2) + BETWEEN
    };
    let total: Duration = kinds.iter().map(time).sum();
    let only_kills = kinds.iter().all(|kind| *kind == Kind::Kill);
    let pace = match only_kills {
        true => Duration::ZERO,
        false => total.div_f64(torture.tasks as f64),
    };
    let strikes = points.into_iter().zip(kinds);
    let strikes = strikes.map(|(point, kind)| Strike { point, kind });
    (strikes.collect(), pace)
}

/// Strikes, heals, looks for life; then waits until the queue is empty.
pub fn drive(torture: &Torture, strikes: &[Strike], field: &mut Field<'_>) -> Result<(), Fault> {
    let (mut killed_within, mut slowest) = (0_u32, Duration::ZERO);
    for (number, strike) in (torture.tasks..).zip(strikes) {
        if !wait_for_progress(field, |_, acked| acked >= strike.point)? {
            return no_progress(field);
        }
        killed_within += u32::from(strike_once(torture, strike.kind, field)?);
        match alive(&mut field.tool, number)? {
            Some(after) => slowest = slowest.max(after),
            None => {
                field.verdict.violation(format!(
                    "a task enqueued after {} was healed was not done within {ALIVE:?}",
                    strike.kind.name()
                ));
                return Ok(());
            }
        }
    }
    for kind in &torture.nemeses {
        let times = strikes.iter().filter(|strike| strike.kind == *kind).count();
        field.verdict.count(format!("times {}", kind.name()), times);
    }
    let verdict = &mut field.verdict;
    verdict.count("kills in the middle of another fault", killed_within);
    verdict.count("slowest restart, ms", field.slowest_start.as_millis());
    verdict.count(
        "a new task done after a fault, at most, ms",
        slowest.as_millis(),
    );
    // The remaining tasks are enqueued at once: no more faults follow. On a busy machine this takes longer than everything
    // after it.
    field.shared.set_pace(Duration::ZERO);
    let begun = Instant::now();
    if !wait_for_progress(field, |shared, _| is_enqueued(shared))? {
        return no_progress(field);
    }
    (field.verdict).count("all enqueued after, ms", begun.elapsed().as_millis());
    let begun = Instant::now();
    match drained(field)? {
        true => (field.verdict).count("drained after, ms", begun.elapsed().as_millis()),
        false => {
            let left = left(field)?;
            (field.verdict).violation(format!(
                "the queue was not empty {DRAIN:?} after the last enqueue: {left}"
            ));
        }
    }
    Ok(())
}

/// Whether the hub was killed in its middle.
fn strike_once(torture: &Torture, kind: Kind, field: &mut Field<'_>) -> Result<bool, Fault> {
    let mut nemesis = kind.nemesis();
    let (least, most) = nemesis.lasts_ms();
    let half = Duration::from_millis(field.rng.u64(least..=most)) / 2;
    let may = kind.bears_a_kill() && torture.nemeses.contains(&Kind::Kill);
    let kill = may && field.rng.u32(0..KILLED_IN) == 0;
    nemesis.start(field)?;
    std::thread::sleep(half);
    if kill {
        field.kill()?;
    }
    std::thread::sleep(half);
    nemesis.heal(field)?;
    match field.server.ended()? {
        None => Ok(kill),
        Some(status) => Err(Fault::new(format!(
            "{} ended the hub with {status}",
            kind.name()
        ))),
    }
}

/// How long a new task takes to be done, or none if it takes too long.
fn alive(probe: &mut Link<'_>, number: u64) -> Result<Option<Duration>, Fault> {
    let begun = Instant::now();
    // A failed run must not decide.
    let params = json!({
        "prompt": prompt_of(number), "idempotency_key": format!("probe-{number}"), "priority": 9,
        "max_attempts": 20, "retry": {"initial_seconds": 0.01, "max_seconds": 0.01},
    });
    let mut task = None;
    probe.say("enqueue", &params, Sending::UntilAnswered, |answer| {
        task = answer.and_then(|answer| answer["task_id"].as_u64());
        Call::Enqueue {
            numbers: vec![number],
            keyed: true,
            after: None,
            priority: 9,
            ids: task.into_iter().collect(),
        }
    });
    let Some(task) = task else {
        return Ok(None);
    };
    while begun.elapsed() < ALIVE {
        let mut done = false;
        let asked = probe.ask("get", &json!({"task_id": task}), |task| {
            // A worker may have left it to the client that cancels.
            done = ["done", "cancelled"]
                .iter()
                .any(|it| task["task"]["status"] == *it);
        });
        if asked == Outcome::Ok && done {
            return Ok(Some(begun.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(None)
}

fn no_progress(field: &mut Field<'_>) -> Result<(), Fault> {
    let left = left(field)?;
    (field.verdict).violation(format!(
        "no ack was taken for {STALL:?} with the hub up: {left}"
    ));
    Ok(())
}

/// Waits until the number of acks is enough, or nothing is left to do: tasks that a restore undoes are never acked. False:
/// no ack was taken for too long.
fn wait_for_progress(
    field: &Field<'_>,
    enough: impl Fn(&Shared, u64) -> bool,
) -> Result<bool, Fault> {
    let (mut last, mut since, mut looked) = (0, Instant::now(), Instant::now());
    loop {
        let acked = field.shared.acked.load(Ordering::Relaxed);
        if enough(field.shared, acked) {
            return Ok(true);
        }
        if acked != last {
            (last, since) = (acked, Instant::now());
        }
        if since.elapsed() > STALL {
            return Ok(false);
        }
        if since.elapsed() > IDLE && looked.elapsed() > IDLE {
            looked = Instant::now();
            if is_empty(field)? {
                return Ok(true);
            }
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn drained(field: &Field<'_>) -> Result<bool, Fault> {
    let begun = Instant::now();
    while begun.elapsed() < DRAIN {
        if is_empty(field)? {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(false)
}

/// The unfinished tasks, to find the cause.
fn left(field: &Field<'_>) -> Result<String, Fault> {
    let producing = field.shared.producing.load(Ordering::Acquire);
    let mut left = vec![format!("{producing} producers")];
    let mut wire = Wire::connect(field.server.address)?;
    for status in UNFINISHED {
        let answer = wire.call("list", json!({"status": status, "limit": 3}))?;
        let tasks = answer["tasks"].as_array().into_iter().flatten();
        left.extend(tasks.map(|task| {
            format!(
                "task {} of queue {}, {status}, attempts {}, {}",
                task["task_id"], task["queue"], task["attempts"], task["waiting"]
            )
        }));
    }
    Ok(left.join("; "))
}

/// Whether all is enqueued, and all tasks have ended.
fn is_empty(field: &Field<'_>) -> Result<bool, Fault> {
    Ok(is_enqueued(field.shared) && unfinished(&stats(field.server.address)?) == 0)
}

fn is_enqueued(shared: &Shared) -> bool {
    shared.producing.load(Ordering::Acquire) == 0
}
