//! No lease passes over a ready task of higher priority, or of the same priority and older.
//!
//! A task is surely ready from the moment its enqueue (or the release of its lease) is answered until the lease that took
//! it was asked for. Whoever asks after the one and is answered before the other must get it rather than a task behind it.
//! Requests that overlap may be carried out in either order, so they are not compared: that is the hub's batch.

use super::Life;
use crate::torture::Verdict;
use crate::torture::history::{Call, Event, OWN_QUEUE, Outcome};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

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
    let mut waits = waits(events, lives, &places);
    waits.sort_by_key(|wait| Reverse(wait.from));
    let mut leases: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event.call, Call::Lease { .. }))
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
                // Whoever asks later comes after it was taken.
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
) -> Vec<Waited> {
    // When the lease with a fence was asked for, if somebody saw it.
    let asked_for = |task: &u64, fence: i64| {
        let leases = &lives.get(task)?.leases;
        let found = leases.iter().find(|(_, leased)| leased.fence == fence)?;
        Some(found.0.begun)
    };
    let mut waits = Vec::new();
    for event in events.iter().filter(|event| event.outcome == Outcome::Ok) {
        let ready: Vec<(u64, i64)> = match &event.call {
            Call::Enqueue {
                ids, after: None, ..
            } => ids.iter().map(|id| (*id, 1)).collect(),
            Call::Release { task, fence } => vec![(*task, fence + 1)],
            _ => continue,
        };
        for (task, fence) in ready {
            if let (Some(place), Some(to)) = (places.get(&task), asked_for(&task, fence)) {
                let (place, from) = (*place, event.ended);
                waits.push(Waited { place, from, to });
            }
        }
    }
    waits
}
