//! From histories and the final file to broken promises. No I/O, no clock, no knowledge of how the hub works.
//!
//! Calls overlap, and an unknown one may have taken effect or not, so each rule is stated such that only a hub that
//! breaks its word can fail it: "before" means that one call had ended before the other began.

mod cancels;
mod enqueues;
mod limits;
mod order;

use super::Verdict;
use super::history::{Call, Event, Leased, Outcome, number_of};
use super::link::FAILED;
use super::stored::{Attempt, Stored};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Deadlines travel as seconds in floating point, and the hub's clock is read before ours.
const CLOCK_SLACK_MS: i64 = 5;

/// `stale_lease`.
const STALE: i64 = -32003;

/// Everything that was seen of one task, in order.
#[derive(Default)]
struct Life<'a> {
    leases: Vec<(&'a Event, Leased)>,
    acks: Vec<Ended<'a>>,
    heartbeats: Vec<(i64, i64)>,
    releases: Vec<(&'a Event, i64)>,
}

/// An ack and what it said.
struct Ended<'a> {
    event: &'a Event,
    fence: i64,
    done: bool,
    result: &'a str,
}

/// Checks every promise and counts what was seen.
pub fn check(events: &[Event], stored: &[Stored], attempts: &[Attempt]) -> Verdict {
    let mut verdict = Verdict::default();
    count(events, stored, &mut verdict);
    let lives = lives(events);
    let by_id: HashMap<u64, &Stored> = stored.iter().map(|task| (task.id, task)).collect();
    enqueues::enqueued(events, stored, &by_id, &mut verdict);
    enqueues::dependencies(events, &lives, &mut verdict);
    limits::limits(events, &mut verdict);
    limits::doubles(events, &mut verdict);
    order::order(events, &lives, &mut verdict);
    cancels::cancels(events, stored, attempts, &lives, &mut verdict);
    for (id, life) in &lives {
        let Some(task) = by_id.get(id) else {
            verdict.violation(format!(
                "task {id} was handed out or acked, but is not in the file"
            ));
            continue;
        };
        prompts(task, life, &mut verdict);
        fences(task, life, &mut verdict);
        acks(task, life, &mut verdict);
        overlaps(task, life, &mut verdict);
    }
    for task in stored {
        finality(task, lives.get(&task.id), &mut verdict);
    }
    verdict
}

fn count(events: &[Event], stored: &[Stored], verdict: &mut Verdict) {
    let calls = || {
        let own = |event: &&Event| {
            let by_the_way = matches!(
                event.call,
                Call::Twice { .. } | Call::Load { .. } | Call::Hello { .. } | Call::Notice { .. }
            );
            !by_the_way
        };
        events.iter().filter(own)
    };
    let of = |wanted: fn(&Event) -> bool| calls().filter(|e| wanted(e)).count();
    verdict.count("tasks in the file", stored.len());
    for status in ["done", "failed", "cancelled"] {
        let with = stored.iter().filter(|task| task.status == status).count();
        verdict.count(format!("tasks {status}"), with);
    }
    verdict.count("calls", calls().count());
    verdict.count("calls sent again after a break", of(|e| e.tries > 1));
    verdict.count("calls unknown", of(|e| e.outcome == Outcome::Unknown));
    verdict.count(
        "enqueues unknown",
        of(|e| matches!(e.call, Call::Enqueue { .. }) && e.outcome == Outcome::Unknown),
    );
    verdict.count("acks taken", of(|e| is_ack(e) && e.outcome == Outcome::Ok));
    verdict.count(
        "acks refused as stale_lease",
        of(|e| is_ack(e) && e.outcome == Outcome::Refused(STALE)),
    );
    verdict.count(
        "calls refused, as the hub could not write",
        of(|e| e.outcome == Outcome::Refused(FAILED)),
    );
    let again = stored.iter().filter(|task| task.fence > 1).count();
    verdict.count("tasks leased more than once", again);
}

fn is_ack(event: &Event) -> bool {
    matches!(event.call, Call::Ack { .. })
}

fn lives(events: &[Event]) -> BTreeMap<u64, Life<'_>> {
    let mut lives: BTreeMap<u64, Life<'_>> = BTreeMap::new();
    for event in events {
        match &event.call {
            Call::Enqueue { .. }
            | Call::Cancel { .. }
            | Call::Hello { .. }
            | Call::Notice { .. }
            | Call::Twice { .. }
            | Call::Load { .. } => {}
            Call::Lease { tasks, .. } => {
                for leased in tasks {
                    let life = lives.entry(leased.task).or_default();
                    life.leases.push((event, *leased));
                }
            }
            Call::Heartbeat {
                task,
                fence,
                until_ms,
            } => {
                let life = lives.entry(*task).or_default();
                life.heartbeats.push((*fence, *until_ms));
            }
            Call::Ack {
                task,
                fence,
                done,
                result,
            } => lives.entry(*task).or_default().acks.push(Ended {
                event,
                fence: *fence,
                done: *done,
                result,
            }),
            Call::Release { task, fence } => {
                let life = lives.entry(*task).or_default();
                life.releases.push((event, *fence));
            }
        }
    }
    for life in lives.values_mut() {
        life.leases.sort_by_key(|(_, leased)| leased.fence);
    }
    lives
}

fn took_or_may_have(ack: &Ended<'_>) -> bool {
    !matches!(ack.event.outcome, Outcome::Refused(_))
}

/// What is handed out is what was enqueued.
fn prompts(task: &Stored, life: &Life<'_>, verdict: &mut Verdict) {
    let number = number_of(&task.prompt);
    for (_, leased) in life.leases.iter().filter(|(_, it)| it.number != number) {
        verdict.violation(format!(
            "task {} was handed out with the prompt of number {:?}, it is {number:?}",
            task.id, leased.number
        ));
    }
}

/// Fences are positive, never used twice, grow with time, and the file's is the greatest.
fn fences(task: &Stored, life: &Life<'_>, verdict: &mut Verdict) {
    for pair in life.leases.windows(2) {
        let [(first, a), (second, b)] = pair else {
            continue;
        };
        if a.fence == b.fence {
            verdict.violation(format!(
                "task {} was leased twice with fence {}",
                task.id, a.fence
            ));
        } else if second.ended < first.begun {
            verdict.violation(format!(
                "task {}: fence {} was issued before fence {}",
                task.id, b.fence, a.fence
            ));
        }
    }
    for (_, leased) in &life.leases {
        if leased.fence < 1 || leased.fence > task.fence {
            verdict.violation(format!(
                "task {} was leased with fence {}, the file's newest is {}",
                task.id, leased.fence, task.fence
            ));
        }
    }
}

/// At most one fence's `done` is taken, it is the newest then, and what the file holds is what it said.
fn acks(task: &Stored, life: &Life<'_>, verdict: &mut Verdict) {
    let taken = life
        .acks
        .iter()
        .filter(|ack| ack.event.outcome == Outcome::Ok);
    let winners: HashSet<i64> = taken.clone().filter(|a| a.done).map(|a| a.fence).collect();
    if winners.len() > 1 {
        verdict.violation(format!(
            "task {}: done was taken under fences {winners:?}",
            task.id
        ));
    }
    for ack in taken {
        let newer = life.leases.iter().find(|(lease, leased)| {
            leased.fence > ack.fence && lease.ended < ack.event.begun && ack.event.tries == 1
        });
        // The same ack sent again is answered as the first time, also after later leases.
        if let Some((_, newer)) = newer.filter(|_| !sent_before(life, ack)) {
            verdict.violation(format!(
                "task {}: an ack with fence {} was taken after fence {} was issued",
                task.id, ack.fence, newer.fence
            ));
        }
        if ack.done && (task.status != "done" || task.result.as_deref() != Some(ack.result)) {
            verdict.violation(format!(
                "task {}: an ack was taken as done with {:?}, the file says {} with {:?}",
                task.id, ack.result, task.status, task.result
            ));
        }
    }
}

fn sent_before(life: &Life<'_>, ack: &Ended<'_>) -> bool {
    life.acks.iter().any(|other| {
        other.fence == ack.fence && other.event.ended <= ack.event.begun && took_or_may_have(other)
    })
}

/// A lease begins only after the one before it was ended, given back, or ran out (or its session was lost).
fn overlaps(task: &Stored, life: &Life<'_>, verdict: &mut Verdict) {
    for pair in life.leases.windows(2) {
        let [(first, a), (second, b)] = pair else {
            continue;
        };
        if matches!(first.call, Call::Lease { session: true, .. }) || a.fence == b.fence {
            continue;
        }
        let acked = life.acks.iter().map(|ack| (ack.event, ack.fence));
        let ended = acked
            .chain(life.releases.iter().copied())
            .any(|(event, fence)| fence == a.fence && event.begun < second.ended);
        let beats = life
            .heartbeats
            .iter()
            .filter(|(fence, _)| *fence == a.fence);
        let until = beats.map(|(_, until)| *until).fold(a.until_ms, i64::max);
        if !ended && second.wall_ms + CLOCK_SLACK_MS < until {
            verdict.violation(format!(
                "task {}: fence {} was issued {} ms before the lease under fence {} ran out",
                task.id,
                b.fence,
                until - second.wall_ms,
                a.fence
            ));
        }
    }
}

/// Every task has ended once, within its attempts, and its result was somebody's.
fn finality(task: &Stored, life: Option<&Life<'_>>, verdict: &mut Verdict) {
    let id = task.id;
    if !task.is_final() {
        verdict.violation(format!("task {id} is {}, after draining", task.status));
    }
    if task.max_attempts.is_some_and(|most| task.attempts > most) {
        verdict.violation(format!(
            "task {id} had {} attempts of at most {:?}",
            task.attempts, task.max_attempts
        ));
    }
    let expected = u64::from(task.status == "done");
    if task.done_attempts != expected {
        verdict.violation(format!(
            "task {id} is {}, with {} attempts that ended as done",
            task.status, task.done_attempts
        ));
    }
    let acks = life.map_or(&[][..], |life| &life.acks);
    let said = acks.iter().any(|ack| {
        ack.done
            && ack.fence == task.fence
            && Some(ack.result) == task.result.as_deref()
            && took_or_may_have(ack)
    });
    if task.status == "done" && !said {
        verdict.violation(format!(
            "task {id} is done with {:?} under fence {}, which nobody's accepted ack said",
            task.result, task.fence
        ));
    }
}

#[cfg(test)]
mod tests;
