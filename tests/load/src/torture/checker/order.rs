//! No lease passes over a ready task of higher priority, or of the same priority and older.
//!
//! A task is surely ready from the moment its enqueue (or the release of its lease) is answered until the lease that took
//! it was requested. A lease that is requested after the first and answered before the second must get it, not a later task.
//! Requests that overlap may be carried out in either order, so they are not compared: that is the hub's batch.

use super::Life;
use crate::torture::Verdict;
use crate::torture::history::{Call, Event, OWN_QUEUE, Outcome};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// A start of the hub gives each task fences from a multiple of 256 on (docs/decisions/004): the lease of a task with the
/// first of them has none of this start before it.
const FENCES_OF_A_START: i64 = 0xff;

/// The order in which tasks are handed out: by priority, then by age.
type Place = (Reverse<i64>, u64);

/// A time during which a task waited, in nanoseconds.
#[derive(Debug)]
struct Waited {
    place: Place,
    from: u64,
    to: u64,
}

/// Looks at each task handed out and at those that waited meanwhile.
pub(super) fn order(events: &[Event], lives: &BTreeMap<u64, Life<'_>>, verdict: &mut Verdict) {
    let places = places(events);
    let mut waits = waits(events, lives, &places, verdict);
    waits.sort_by_key(|wait| Reverse(wait.from));
    let mut leases: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event.call, Call::Lease { .. }) && event.outcome == Outcome::Ok)
        .collect();
    leases.sort_by_key(|lease| lease.begun);
    let (mut waiting, mut compared) = (BTreeMap::<Place, u64>::new(), 0_u64);
    for lease in leases {
        let Call::Lease { tasks, .. } = &lease.call else {
            continue;
        };
        while let Some(wait) = waits.pop_if(|wait| wait.from < lease.begun) {
            waiting.insert(wait.place, wait.to);
        }
        for task in tasks {
            let Some(place) = places.get(&task.task) else {
                continue;
            };
            let passed = waiting.range(..place).map(|(place, to)| (*place, *to));
            let passed: Vec<(Place, u64)> = passed.collect();
            compared += 1;
            for (before, to) in passed {
                if to > lease.ended {
                    verdict.violation(format!(
                        "task {} (priority {}) was handed out while task {} (priority {}) was ready",
                        task.task, place.0.0, before.1, before.0.0
                    ));
                    break;
                }
                // A later request comes after the task was leased.
                if to <= lease.begun {
                    waiting.remove(&before);
                }
            }
        }
    }
    verdict.count("tasks handed out, their order checked", compared);
}

/// Tasks whose place is known, and that wait for nothing but their turn.
fn places(events: &[Event]) -> HashMap<u64, Place> {
    let mut places = HashMap::new();
    for event in events {
        if let Call::Enqueue {
            numbers,
            ids,
            priority,
            ..
        } = &event.call
            && numbers.iter().all(|number| *number < OWN_QUEUE)
        {
            places.extend(ids.iter().map(|id| (*id, (Reverse(*priority), *id))));
        }
    }
    places
}

fn waits(
    events: &[Event],
    lives: &BTreeMap<u64, Life<'_>>,
    places: &HashMap<u64, Place>,
    verdict: &mut Verdict,
) -> Vec<Waited> {
    let started: HashMap<Option<&str>, u64> = events
        .iter()
        .filter(|event| matches!(event.call, Call::Start { .. }))
        .map(|event| (event.boot.as_deref(), event.begun))
        .collect();
    // The time at which the task's lease was requested, if a client observed it; if one was not observed, none follows.
    let taken = |task: &u64, enqueue: &Event| {
        let started = started.get(&enqueue.boot.as_deref()).unwrap_or(&0);
        let leases = &lives.get(task)?.leases;
        let mut first = leases.iter().filter(|(lease, leased)| {
            lease.boot == enqueue.boot && leased.fence & FENCES_OF_A_START == 1
        });
        // Begun before this start, it may be answered with a task of an earlier one, which is leased meanwhile.
        let (lease, _) = first.next().filter(|_| enqueue.begun >= *started)?;
        Some(lease.begun)
    };
    let taken_again = |task: &u64, fence: i64| {
        let leases = &lives.get(task)?.leases;
        let (lease, _) = leases
            .iter()
            .find(|(_, leased)| leased.fence == fence + 1)?;
        Some(lease.begun)
    };
    let mut waits = Vec::new();
    for event in events.iter().filter(|event| event.outcome == Outcome::Ok) {
        let ready: Vec<(u64, Option<u64>)> = match &event.call {
            Call::Enqueue {
                ids, after: None, ..
            } => ids.iter().map(|id| (*id, taken(id, event))).collect(),
            Call::Release { task, fence } => vec![(*task, taken_again(task, *fence))],
            _ => continue,
        };
        for (task, to) in ready {
            if let (Some(place), Some(to)) = (places.get(&task), to) {
                let (place, from) = (*place, event.ended);
                waits.push(Waited { place, from, to });
            }
        }
    }
    verdict.count("times that a task waited and was taken", waits.len());
    waits
}
