//! A cancel that was answered holds, whatever it raced with; the holder of the lease that it ended learns of it; and a
//! lease that is over is in no list.

use super::{Life, STALE, sent_before};
use crate::torture::Verdict;
use crate::torture::history::{Call, Event, Outcome};
use crate::torture::stored::{Attempt, Stored};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How long after its request a lease may begin: requests wait in cut and held wires.
const HELD_MS: i64 = 70_000;
/// Time after a replaced connection within which another break may explain a lease that no worker received.
const BREAK_MS: i64 = 10_000;
/// Calls of a holder, begun after a cancel was answered, by whose answers it must have the notification: on its way to
/// the holder that takes fewer steps than a request to the store and back, twice.
const CALLS: usize = 2;

/// A task and the fence of one of its leases.
type Lease = (u64, i64);

/// The observed cancels, by task: when the first answer arrived.
struct Cancels(HashMap<u64, u64>);

impl Cancels {
    fn of(events: &[Event]) -> Cancels {
        let mut answered: HashMap<u64, u64> = HashMap::new();
        for event in events.iter().filter(|event| event.outcome == Outcome::Ok) {
            if let Call::Cancel { task } = event.call {
                let first = answered.entry(task).or_insert(event.ended);
                *first = event.ended.min(*first);
            }
        }
        Cancels(answered)
    }
}

/// Checks all of it.
pub(super) fn cancels(
    events: &[Event],
    stored: &[Stored],
    attempts: &[Attempt],
    lives: &BTreeMap<u64, Life<'_>>,
    verdict: &mut Verdict,
) {
    let answered = Cancels::of(events);
    verdict.count("cancels answered", answered.0.len());
    finality(events, stored, &answered, verdict);
    for (task, life) in lives {
        if let Some(cancelled) = answered.0.get(task) {
            nothing_after(*task, *cancelled, life, verdict);
        }
    }
    let speakers = by_speaker(events);
    holders(attempts, &answered, lives, &speakers, verdict);
    listed(events, &answered, lives, verdict);
    abandoned(attempts, lives, &speakers, verdict);
}

fn by_speaker(events: &[Event]) -> HashMap<u32, Vec<&Event>> {
    let mut speakers: HashMap<u32, Vec<&Event>> = HashMap::new();
    for event in events {
        speakers.entry(event.speaker).or_default().push(event);
    }
    speakers
}

/// A task is cancelled if and only if a client cancelled it in time.
fn finality(events: &[Event], stored: &[Stored], answered: &Cancels, verdict: &mut Verdict) {
    let asked: HashSet<u64> = events
        .iter()
        .filter(|event| !matches!(event.outcome, Outcome::Refused(_)))
        .filter_map(|event| match event.call {
            Call::Cancel { task } => Some(task),
            _ => None,
        })
        .collect();
    for task in stored {
        let cancelled = task.status == "cancelled";
        if answered.0.contains_key(&task.id) && !cancelled {
            verdict.violation(format!(
                "task {} was cancelled, the file says {}",
                task.id, task.status
            ));
        }
        if cancelled && !asked.contains(&task.id) {
            verdict.violation(format!("task {} is cancelled, by nobody", task.id));
        }
    }
}

/// After the answer to its cancel a task is neither handed out nor acked.
fn nothing_after(task: u64, cancelled: u64, life: &Life<'_>, verdict: &mut Verdict) {
    for (lease, leased) in life.certain_leases() {
        if lease.begun > cancelled {
            verdict.violation(format!(
                "task {task} was handed out with fence {} after it was cancelled",
                leased.fence
            ));
        }
    }
    for ack in &life.acks {
        let late = ack.event.begun > cancelled && ack.event.outcome == Outcome::Ok;
        if late && !sent_before(life, ack) {
            verdict.violation(format!(
                "an ack of task {task} was taken after it was cancelled"
            ));
        }
    }
}

/// The holder of a lease that a cancel ended was notified, or was refused with `stale_lease`, or came back without it.
fn holders(
    attempts: &[Attempt],
    answered: &Cancels,
    lives: &BTreeMap<u64, Life<'_>>,
    speakers: &HashMap<u32, Vec<&Event>>,
    verdict: &mut Verdict,
) {
    let (mut ended, mut notified) = (0_u64, 0_u64);
    for attempt in attempts.iter().filter(|it| it.outcome == "cancelled") {
        let (Some(cancelled), Some(life)) =
            (answered.0.get(&attempt.task), lives.get(&attempt.task))
        else {
            continue;
        };
        let lease = life.leases.iter().find(|(lease, leased)| {
            leased.fence == attempt.fence && matches!(lease.call, Call::Lease { session: true, .. })
        });
        let Some((lease, _)) = lease else {
            continue;
        };
        ended += 1;
        let seen = speakers.get(&lease.speaker).map_or(&[][..], Vec::as_slice);
        let is_notice = |event: &Event| {
            let Call::Notice { task, fence, .. } = event.call else {
                return false;
            };
            (task, fence) == (attempt.task, attempt.fence)
        };
        if seen.iter().any(|event| is_notice(event)) {
            notified += 1;
            continue;
        }
        let refused = life
            .acks
            .iter()
            .any(|ack| ack.fence == attempt.fence && ack.event.outcome == Outcome::Refused(STALE));
        let reconnected = seen
            .iter()
            .any(|event| matches!(event.call, Call::Hello { .. }) && event.begun > lease.begun);
        let later = seen.iter().filter(|event| {
            let own = matches!(
                event.call,
                Call::Lease { .. }
                    | Call::Heartbeat { .. }
                    | Call::Ack { .. }
                    | Call::Release { .. }
            );
            own && event.begun > *cancelled && event.outcome != Outcome::Unknown
        });
        if !refused && !reconnected && later.count() >= CALLS {
            verdict.violation(format!(
                "the holder of task {} under fence {} was not notified of its cancel",
                attempt.task, attempt.fence
            ));
        }
    }
    verdict.count("leases of sessions that a cancel ended", ended);
    verdict.count("their holders notified on the same connection", notified);
}

/// No `hello` lists a lease that was over before it.
fn listed(
    events: &[Event],
    answered: &Cancels,
    lives: &BTreeMap<u64, Life<'_>>,
    verdict: &mut Verdict,
) {
    let mut replaced = 0_u64;
    for event in events {
        let Call::Hello { replaces, leases } = &event.call else {
            continue;
        };
        replaced += u64::from(*replaces);
        for (task, fence) in leases {
            let life = lives.get(task);
            let acks = life.into_iter().flat_map(|life| &life.acks);
            let acks = acks.map(|ack| (ack.event, ack.fence));
            let releases = life
                .into_iter()
                .flat_map(|life| life.releases.iter().copied());
            let over = acks.chain(releases).any(|(end, of)| {
                of == *fence && end.outcome == Outcome::Ok && end.ended < event.begun
            });
            let cancelled = answered.0.get(task).is_some_and(|at| *at < event.begun);
            if over || cancelled {
                verdict.violation(format!(
                    "`hello` listed the lease of task {task} under fence {fence}, which was over"
                ));
            }
        }
    }
    verdict.count("connections replaced while a lease was asked for", replaced);
}

/// No lease whose answer was lost lasts until it expires, unless a connection broke in another way.
fn abandoned(
    attempts: &[Attempt],
    lives: &BTreeMap<u64, Life<'_>>,
    speakers: &HashMap<u32, Vec<&Event>>,
    verdict: &mut Verdict,
) {
    let seen: HashSet<Lease> = lives
        .iter()
        .flat_map(|(task, life)| life.leases.iter().map(|(_, leased)| (*task, leased.fence)))
        .collect();
    let mut expired = 0_u64;
    for attempt in attempts.iter().filter(|it| it.outcome == "lost") {
        let speaker = attempt
            .worker
            .strip_prefix('w')
            .and_then(|n| n.parse().ok());
        let Some(speaker) = speaker.filter(|_| !seen.contains(&(attempt.task, attempt.fence)))
        else {
            continue;
        };
        expired += 1;
        let said: &[&Event] = speakers.get(&speaker).map_or(&[][..], Vec::as_slice);
        let explains = |event: &Event| {
            let begun_ms = event.wall_ms - (event.ended - event.begun) as i64 / 1_000_000;
            match &event.call {
                // Cut off in another way than by a replaced connection.
                Call::Lease { .. } if event.outcome == Outcome::Unknown => {
                    !is_replaced(event, said)
                        && (begun_ms - 5..begun_ms + HELD_MS).contains(&attempt.started_ms)
                }
                // The hub went away (or the wire) before it could take the lease back.
                Call::Hello {
                    replaces: false, ..
                } => (attempt.started_ms..attempt.started_ms + BREAK_MS).contains(&event.wall_ms),
                _ => false,
            }
        };
        if !said.iter().any(|event| explains(event)) {
            verdict.violation(format!(
                "task {} was leased under fence {} for w{speaker}, which was given no answer, until the lease expired",
                attempt.task, attempt.fence
            ));
        }
    }
    verdict.count("leases that were lost and that nobody was given", expired);
}

fn is_replaced(lease: &Event, said: &[&Event]) -> bool {
    said.iter().any(|event| {
        matches!(event.call, Call::Hello { replaces: true, .. })
            && event.begun >= lease.begun
            && event.ended <= lease.ended
    })
}

#[cfg(test)]
mod tests;
