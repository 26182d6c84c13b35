//! The state after a restore: nothing of the future that it ended remains, and none of its numbers is used again.

use super::{STALE, refused};
use crate::torture::Verdict;
use crate::torture::history::{Call, Event, Outcome, number_of};
use crate::torture::link::FAILED;
use crate::torture::stored::Stored;
use crate::torture::worlds::{Fate, World};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Calls that one future must not contain: they happened in a future that a restore has ended.
#[derive(Default)]
pub(super) struct Gone<'a> {
    /// Enqueues that were answered there, with certainty.
    enqueues: Vec<&'a Event>,
    /// The numbers of their tasks.
    numbers: HashSet<u64>,
    /// Ids that were given out there, or may have been.
    may_be: HashSet<u64>,
    /// Their ids: tasks that are gone.
    ids: HashSet<u64>,
    /// Leases that were given there: task and fence.
    leases: HashSet<(u64, i64)>,
}

impl<'a> Gone<'a> {
    /// The calls that this future must not contain.
    pub fn of(events: &'a [Event], world: &World) -> Gone<'a> {
        let mut gone = Gone::default();
        for event in events.iter().filter(|event| event.outcome == Outcome::Ok) {
            let fate = world.fate(event);
            match &event.call {
                Call::Enqueue { ids, .. } if fate == Fate::Unsure => gone.may_be.extend(ids),
                Call::Enqueue { numbers, ids, .. } if fate == Fate::Lost => {
                    gone.enqueues.push(event);
                    gone.numbers.extend(numbers);
                    gone.ids.extend(ids);
                    gone.may_be.extend(ids);
                }
                Call::Lease { tasks, .. } if fate == Fate::Lost => {
                    let leases = tasks.iter().map(|leased| (leased.task, leased.fence));
                    gone.leases.extend(leases);
                }
                _ => {}
            }
        }
        gone
    }

    /// Whether a task of this id may be gone.
    pub fn may_be_task(&self, id: u64) -> bool {
        self.may_be.contains(&id)
    }

    /// Whether the task of this number is gone.
    pub fn has_number(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    /// Nothing of it is in the file, and nothing that was said later speaks of it.
    pub fn check(&self, events: &[Event], world: &World, stored: &[Stored], verdict: &mut Verdict) {
        let numbers: HashMap<Option<u64>, u64> = stored
            .iter()
            .map(|task| (number_of(&task.prompt), task.id))
            .collect();
        let in_file: HashSet<u64> = stored.iter().map(|task| task.id).collect();
        for event in &self.enqueues {
            let Call::Enqueue {
                numbers: of, ids, ..
            } = &event.call
            else {
                continue;
            };
            for number in of {
                if let Some(id) = numbers.get(&Some(*number)) {
                    verdict.violation(format!(
                        "number {number} was enqueued after the backup that was restored, and is in the file as task {id}"
                    ));
                }
            }
            for id in ids.iter().filter(|id| in_file.contains(id)) {
                verdict.violation(format!(
                    "the id {id} was given out after the backup that was restored, and again after the restore"
                ));
            }
        }
        let kept = events
            .iter()
            .filter(|event| world.fate(event) == Fate::Kept);
        for event in kept {
            self.speaks_of_it(event, verdict);
        }
    }

    fn speaks_of_it(&self, event: &Event, verdict: &mut Verdict) {
        let (task, fence, what) = match &event.call {
            Call::Ack { task, fence, .. } => (*task, *fence, "an ack"),
            Call::Heartbeat { task, fence, .. } => (*task, *fence, "a heartbeat"),
            Call::Release { task, fence } => (*task, *fence, "a release"),
            Call::Hello { leases, .. } => {
                for (task, fence) in leases.iter().filter(|it| self.leases.contains(it)) {
                    verdict.violation(format!(
                        "`hello` listed the lease of task {task} under fence {fence}, which a restore had undone"
                    ));
                }
                return;
            }
            Call::Enqueue {
                after: Some(after),
                ids,
                ..
            } if event.outcome == Outcome::Ok && self.ids.contains(after) => {
                verdict.violation(format!(
                    "tasks {ids:?} were enqueued after task {after}, which a restore had undone"
                ));
                return;
            }
            _ => return,
        };
        let right = matches!(
            event.outcome,
            Outcome::Unknown | Outcome::Refused(STALE | FAILED)
        );
        if self.leases.contains(&(task, fence)) && !right {
            verdict.violation(format!(
                "task {task}: {what} under fence {fence}, which a restore had undone, ended as {:?}",
                event.outcome
            ));
        }
    }
}

/// Each id is that of one task in the whole run, whatever was restored in between.
pub(super) fn ids(events: &[Event], stored: &[Stored], verdict: &mut Verdict) {
    let mut numbers: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    let mut note = |id: u64, number: Option<u64>| {
        if let Some(number) = number {
            numbers.entry(id).or_default().insert(number);
        }
    };
    for event in events {
        match &event.call {
            Call::Enqueue {
                numbers: of, ids, ..
            } => {
                let pairs = ids.iter().zip(of);
                pairs.for_each(|(id, number)| note(*id, Some(*number)));
            }
            Call::Lease { tasks, .. } => tasks.iter().for_each(|it| note(it.task, it.number)),
            _ => {}
        }
    }
    stored
        .iter()
        .for_each(|task| note(task.id, number_of(&task.prompt)));
    for (id, numbers) in numbers.iter().filter(|(_, numbers)| numbers.len() > 1) {
        verdict.violation(format!(
            "the id {id} was given to several tasks, the numbers {numbers:?}"
        ));
    }
}

/// Each start of the hub has a `boot_id` of its own, and no call was answered by another hub.
pub(super) fn starts(events: &[Event], worlds: &[World], verdict: &mut Verdict) {
    let mut seen = HashSet::new();
    for event in events {
        let Some(boot) = event.boot.as_deref() else {
            continue;
        };
        if matches!(event.call, Call::Start { .. }) && !seen.insert(boot) {
            verdict.violation(format!("two starts of the hub said the boot_id {boot}"));
        }
    }
    let known = |boot: &str| worlds.iter().any(|world| world.knows(boot));
    let boots: BTreeSet<&str> = events.iter().filter_map(|it| it.boot.as_deref()).collect();
    for boot in boots.into_iter().filter(|boot| !known(boot)) {
        verdict.violation(format!(
            "calls were answered under the boot_id {boot}, which no start said"
        ));
    }
}

/// How much the restores undid.
pub(super) fn count(events: &[Event], worlds: &[World], verdict: &mut Verdict) {
    let (Some(last), true) = (worlds.last(), worlds.len() > 1) else {
        return;
    };
    let lost: Vec<&Event> = events
        .iter()
        .filter(|event| event.outcome == Outcome::Ok && last.fate(event) == Fate::Lost)
        .collect();
    let of = |wanted: fn(&Call) -> bool| lost.iter().filter(|it| wanted(&it.call)).count();
    verdict.count("futures that a restore ended", worlds.len() - 1);
    verdict.count(
        "enqueues undone by a restore",
        of(|call| matches!(call, Call::Enqueue { .. })),
    );
    verdict.count(
        "leases undone by a restore",
        of(|call| matches!(call, Call::Lease { tasks, .. } if !tasks.is_empty())),
    );
    verdict.count(
        "acks undone by a restore",
        of(|call| matches!(call, Call::Ack { .. })),
    );
    let mut refused_late: HashSet<(u64, i64)> = HashSet::new();
    for world in worlds {
        let gone = Gone::of(events, world);
        let late = events
            .iter()
            .filter(|it| refused(it) && world.fate(it) == Fate::Kept);
        refused_late.extend(
            late.filter_map(|event| match event.call {
                Call::Ack { task, fence, .. } => Some((task, fence)),
                _ => None,
            })
            .filter(|lease| gone.leases.contains(lease)),
        );
    }
    verdict.count(
        "leases undone by a restore whose ack came and was refused",
        refused_late.len(),
    );
}

#[cfg(test)]
mod tests;
