//! Enqueued tasks exist as often as allowed, and start when allowed.

use super::futures::Gone;
use super::{Life, took_or_may_have};
use crate::torture::Verdict;
use crate::torture::history::{Call, Event, Outcome, number_of};
use crate::torture::link::FAILED;
use crate::torture::stored::Stored;
use std::collections::{BTreeMap, HashMap, HashSet};

/// `invalid_params`: also of a task that depends on one that is not there.
const INVALID: i64 = -32602;

/// No loss, no invention, no double: what was answered is there once, what is unknown at most once, a batch whole or not.
pub(super) fn enqueued(
    events: &[Event],
    stored: &[Stored],
    by_id: &HashMap<u64, &Stored>,
    gone: &Gone<'_>,
    verdict: &mut Verdict,
) {
    let mut copies: HashMap<u64, usize> = HashMap::new();
    for task in stored {
        match number_of(&task.prompt) {
            Some(number) => *copies.entry(number).or_default() += 1,
            None => verdict.violation(format!("task {} has a prompt that nobody sent", task.id)),
        }
    }
    let mut sent = HashSet::new();
    for event in events {
        let Call::Enqueue {
            numbers,
            ids,
            after,
            ..
        } = &event.call
        else {
            continue;
        };
        sent.extend(numbers.iter().copied());
        let there = |number: &u64| copies.get(number).copied().unwrap_or(0);
        let expected = match event.outcome {
            Outcome::Ok => 1..=1,
            Outcome::Unknown => 0..=1,
            // The disk was full: nothing of it was kept.
            Outcome::Refused(FAILED) => 0..=0,
            // A restore removed its dependency.
            Outcome::Refused(INVALID) if after.is_some_and(|id| gone.may_be_task(id)) => 0..=0,
            Outcome::Refused(code) => {
                verdict.violation(format!("enqueue of {numbers:?} was refused with {code}"));
                0..=0
            }
        };
        for number in numbers.iter().filter(|n| !expected.contains(&there(n))) {
            verdict.violation(format!(
                "the enqueue of number {number} ended as {:?}, the file holds it {} times",
                event.outcome,
                there(number)
            ));
        }
        if numbers.iter().any(|n| there(n) != there(&numbers[0])) {
            verdict.violation(format!("the batch {numbers:?} is in the file in part"));
        }
        answered_ids(numbers, ids, event.outcome, by_id, verdict);
    }
    let invented = |number: &&u64| !sent.contains(number) && !gone.has_number(**number);
    for number in copies.keys().filter(invented) {
        verdict.violation(format!(
            "number {number} is in the file, but nobody enqueued it"
        ));
    }
}

/// An answered id must be that of the task asked for.
fn answered_ids(
    numbers: &[u64],
    ids: &[u64],
    outcome: Outcome,
    by_id: &HashMap<u64, &Stored>,
    verdict: &mut Verdict,
) {
    if outcome == Outcome::Ok && ids.len() != numbers.len() {
        verdict.violation(format!(
            "{} tasks were answered with the ids {ids:?}",
            numbers.len()
        ));
    }
    for (number, id) in numbers.iter().zip(ids) {
        let task = by_id.get(id);
        let held = task.and_then(|task| number_of(&task.prompt));
        // Answered in a time of which the future may have nothing.
        let may_lack = task.is_none() && outcome == Outcome::Unknown;
        if held != Some(*number) && !may_lack {
            verdict.violation(format!(
                "number {number} was answered as task {id}, which holds number {held:?}"
            ));
        }
    }
}

/// A dependent starts only after what it depends on is done.
pub(super) fn dependencies(
    events: &[Event],
    lives: &BTreeMap<u64, Life<'_>>,
    verdict: &mut Verdict,
) {
    for event in events {
        let Call::Enqueue {
            ids,
            after: Some(after),
            ..
        } = &event.call
        else {
            continue;
        };
        let acks = lives.get(after).map_or(&[][..], |life| &life.acks);
        let done = acks.iter().filter(|ack| ack.done && took_or_may_have(ack));
        let earliest = done.map(|ack| ack.event.begun).min();
        for id in ids {
            let mut leases = lives.get(id).into_iter().flat_map(Life::certain_leases);
            if leases.any(|(lease, _)| earliest.is_none_or(|done| lease.ended < done)) {
                verdict.violation(format!(
                    "task {id} was handed out before task {after} was done"
                ));
            }
        }
    }
}
