//! From histories and the final file to broken promises. No I/O, no clock, no knowledge of how the hub works.
//!
//! Calls overlap, and an unknown one may have taken effect or not, so each rule is stated such that only a hub that
//! breaks its word can fail it: "before" means that one call had ended before the other began.

mod cancels;
mod enqueues;
mod futures;
mod leases;
mod limits;
mod order;

use super::Verdict;
use super::history::{Call, Event, Leased, Outcome};
use super::link::FAILED;
use super::stored::{Attempt, Stored};
use super::worlds::{World, worlds};
use leases::sent_before;
use std::collections::{BTreeMap, HashMap};

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

impl<'a> Life<'a> {
    /// Leases of which it is known that they were given.
    fn certain_leases(&self) -> impl Iterator<Item = &(&'a Event, Leased)> {
        let certain = |(event, _): &&(&Event, Leased)| event.outcome == Outcome::Ok;
        self.leases.iter().filter(certain)
    }

    /// Whether the task was there for certain.
    fn is_certain(&self) -> bool {
        let acked = self.acks.iter().any(|it| it.event.outcome == Outcome::Ok);
        acked || self.certain_leases().next().is_some()
    }
}

/// An ack and what it said.
struct Ended<'a> {
    event: &'a Event,
    fence: i64,
    done: bool,
    result: &'a str,
}

/// Checks every promise of a run that has drained, and counts what was seen.
pub fn check(events: &[Event], stored: &[Stored], attempts: &[Attempt]) -> Verdict {
    let mut verdict = Verdict::default();
    let worlds = worlds(events);
    count(events, stored, &mut verdict);
    limits::limits(events, &mut verdict);
    let all = lives(events);
    let again = all.values().filter(|life| life.leases.len() > 1).count();
    verdict.count("tasks leased more than once", again);
    for (id, life) in &all {
        leases::fences(*id, life, &mut verdict);
    }
    futures::ids(events, stored, &mut verdict);
    futures::starts(events, &worlds, &mut verdict);
    futures::count(events, &worlds, &mut verdict);
    for task in stored.iter().filter(|task| !task.is_final()) {
        let Stored { id, status, .. } = task;
        verdict.violation(format!("task {id} is {status}, after draining"));
    }
    if let Some(last) = worlds.last() {
        check_world(events, last, stored, attempts, &mut verdict);
    }
    verdict
}

/// Checks what was enqueued, and nothing else, whatever was restored in between.
pub fn check_enqueues(events: &[Event], stored: &[Stored], verdict: &mut Verdict) {
    let worlds = worlds(events);
    futures::ids(events, stored, verdict);
    futures::starts(events, &worlds, verdict);
    if let Some(last) = worlds.last() {
        let by_id: HashMap<u64, &Stored> = stored.iter().map(|task| (task.id, task)).collect();
        let gone = futures::Gone::of(events, last);
        gone.check(events, last, stored, verdict);
        enqueues::enqueued(&last.project(events), stored, &by_id, &gone, verdict);
    }
}

/// Checks what must hold in one future of a run at each moment, so also in one that a restore has ended.
pub fn check_world(
    events: &[Event],
    world: &World,
    stored: &[Stored],
    attempts: &[Attempt],
    verdict: &mut Verdict,
) {
    let by_id: HashMap<u64, &Stored> = stored.iter().map(|task| (task.id, task)).collect();
    let gone = futures::Gone::of(events, world);
    gone.check(events, world, stored, verdict);
    let projected = world.project(events);
    let events = projected.as_slice();
    let lives = lives(events);
    enqueues::enqueued(events, stored, &by_id, &gone, verdict);
    enqueues::dependencies(events, &lives, verdict);
    limits::doubles(events, verdict);
    order::order(events, &lives, verdict);
    cancels::cancels(events, stored, attempts, &lives, verdict);
    for (id, life) in &lives {
        let Some(task) = by_id.get(id) else {
            if life.is_certain() {
                verdict.violation(format!(
                    "task {id} was handed out or acked, but is not in the file"
                ));
            }
            continue;
        };
        leases::prompts(task, life, verdict);
        leases::newest_fence(task, life, verdict);
        leases::acks(task, life, verdict);
        leases::live(*id, life, events, verdict);
        leases::overlaps(task, life, verdict);
    }
    for task in stored {
        finality(task, lives.get(&task.id), verdict);
    }
}

fn count(events: &[Event], stored: &[Stored], verdict: &mut Verdict) {
    let calls = || {
        let own = |event: &&Event| {
            let by_the_way = matches!(
                event.call,
                Call::Twice { .. }
                    | Call::Load { .. }
                    | Call::Hello { .. }
                    | Call::Notice { .. }
                    | Call::Start { .. }
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
            | Call::Load { .. }
            | Call::Backup { .. }
            | Call::Start { .. } => {}
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

fn refused(event: &Event) -> bool {
    matches!(event.outcome, Outcome::Refused(_))
}

fn took_or_may_have(ack: &Ended<'_>) -> bool {
    !refused(ack.event)
}

/// A task ends once, within its attempts, and its result is that of one of its workers.
fn finality(task: &Stored, life: Option<&Life<'_>>, verdict: &mut Verdict) {
    let id = task.id;
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
