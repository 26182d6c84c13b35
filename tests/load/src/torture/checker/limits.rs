//! Limits are never exceeded, and a request that arrives twice gets one answer.

use crate::torture::Verdict;
use crate::torture::history::{Call, Event};

/// No lease hands out more than was asked for; no more requests are under way than the settings allow.
pub(super) fn limits(events: &[Event], verdict: &mut Verdict) {
    let (mut asked, mut highest) = (0_u64, 0);
    let (mut leased, mut enqueued) = (0, 0);
    for event in events {
        match &event.call {
            Call::Lease { most, tasks, .. } if tasks.len() as u64 > *most => {
                verdict.violation(format!(
                    "a lease of at most {most} was answered with {} tasks",
                    tasks.len()
                ));
            }
            Call::Lease { tasks, .. } => leased = leased.max(tasks.len()),
            Call::Enqueue { ids, .. } => enqueued = enqueued.max(ids.len()),
            Call::Load { in_flight, most } => {
                (asked, highest) = (asked + 1, highest.max(*in_flight));
                if in_flight > most {
                    verdict.violation(format!(
                        "{in_flight} requests were under way, of at most {most}"
                    ));
                }
            }
            _ => {}
        }
    }
    verdict.count("most tasks of one lease", leased);
    verdict.count("most tasks of one batch", enqueued);
    verdict.count("looks at the requests under way", asked);
    verdict.count("most requests under way", highest);
}

/// Two copies of one request get one answer, where both were answered.
pub(super) fn doubles(events: &[Event], verdict: &mut Verdict) {
    let mut compared = 0_u64;
    for event in events {
        let Call::Twice {
            method,
            first: Some(first),
            second: Some(second),
            ..
        } = &event.call
        else {
            continue;
        };
        compared += 1;
        if first != second {
            verdict.violation(format!(
                "{method}, sent twice at once, was answered with {first} and with {second}"
            ));
        }
    }
    verdict.count("requests sent twice at once", compared);
}
