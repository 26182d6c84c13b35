//! Of one task: its leases follow one upon the other, and the right acks are taken.

use super::{Ended, Life, STALE, refused, took_or_may_have};
use crate::torture::Verdict;
use crate::torture::history::{Call, Event, Outcome, number_of};
use crate::torture::stored::Stored;
use std::collections::HashSet;

/// Deadlines travel as seconds in floating point, and the hub's clock is read before ours.
const CLOCK_SLACK_MS: i64 = 5;

/// Leased tasks equal the enqueued ones.
pub(super) fn prompts(task: &Stored, life: &Life<'_>, verdict: &mut Verdict) {
    let number = number_of(&task.prompt);
    for (_, leased) in life.leases.iter().filter(|(_, it)| it.number != number) {
        verdict.violation(format!(
            "task {} was handed out with the prompt of number {:?}, it is {number:?}",
            task.id, leased.number
        ));
    }
}

/// Fences are positive, never used twice, and grow with time, whatever was restored in between.
pub(super) fn fences(task: u64, life: &Life<'_>, verdict: &mut Verdict) {
    for pair in life.leases.windows(2) {
        let [(first, a), (second, b)] = pair else {
            continue;
        };
        if a.fence == b.fence {
            verdict.violation(format!(
                "task {task} was leased twice with fence {}",
                a.fence
            ));
        } else if second.ended < first.begun {
            verdict.violation(format!(
                "task {task}: fence {} was issued before fence {}",
                b.fence, a.fence
            ));
        }
    }
}

/// The file's fence is the greatest.
pub(super) fn newest_fence(task: &Stored, life: &Life<'_>, verdict: &mut Verdict) {
    for (_, leased) in life.certain_leases() {
        if leased.fence < 1 || leased.fence > task.fence {
            verdict.violation(format!(
                "task {} was leased with fence {}, the file's newest is {}",
                task.id, leased.fence, task.fence
            ));
        }
    }
}

/// At most one fence's `done` is taken, it is the newest then, and what the file holds is what it said.
pub(super) fn acks(task: &Stored, life: &Life<'_>, verdict: &mut Verdict) {
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
        let newer = life.certain_leases().find(|(lease, leased)| {
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

pub(super) fn sent_before(life: &Life<'_>, ack: &Ended<'_>) -> bool {
    life.acks.iter().any(|other| {
        other.fence == ack.fence && other.event.ended <= ack.event.begun && took_or_may_have(other)
    })
}

/// A lease without a session is live until its time is over, or it is ended: an ack in time is taken.
pub(super) fn live(task: u64, life: &Life<'_>, events: &[Event], verdict: &mut Verdict) {
    for ack in life
        .acks
        .iter()
        .filter(|ack| ack.event.outcome == Outcome::Refused(STALE))
    {
        let lease = life.certain_leases().find(|(lease, leased)| {
            leased.fence == ack.fence
                && lease.ended < ack.event.begun
                && matches!(lease.call, Call::Lease { session: false, .. })
        });
        let in_time = |until: i64| ack.event.wall_ms + CLOCK_SLACK_MS < until;
        let Some((_, leased)) = lease.filter(|(_, leased)| in_time(leased.until_ms)) else {
            continue;
        };
        let before = |event: &Event| event.begun < ack.event.ended && !refused(event);
        let given_back = life
            .releases
            .iter()
            .any(|(event, fence)| *fence == ack.fence && before(event));
        let acked = life
            .acks
            .iter()
            .any(|other| other.fence == ack.fence && before(other.event));
        let cancelled = events.iter().any(|event| {
            matches!(event.call, Call::Cancel { task: of } if of == task) && before(event)
        });
        if !given_back && !acked && !cancelled {
            verdict.violation(format!(
                "task {task}: an ack was refused {} ms before its lease under fence {} ran out",
                leased.until_ms - ack.event.wall_ms,
                ack.fence
            ));
        }
    }
}

/// A lease begins only after the one before it was ended, given back, or ran out (or its session was lost).
pub(super) fn overlaps(task: &Stored, life: &Life<'_>, verdict: &mut Verdict) {
    let leases: Vec<_> = life.certain_leases().collect();
    for pair in leases.windows(2) {
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
