//! Leases that expire together take effect in the order of their deadlines, as if each were noticed on time.

use crate::common::*;
use kirosu_protocol::{Fence, NewTask, OnLost, Status, TaskId};
use kirosu_store::*;

/// A task in a queue of its own that fails when its run is lost.
fn fragile(queue: &str) -> NewTask {
    NewTask {
        queue: queue.into(),
        on_lost: OnLost::Fail,
        ..NewTask::chat("p")
    }
}

/// Leases the next task of a queue for 10 s.
fn lease_of(b: &mut Bench, queue: &str) -> TaskId {
    let mut ask = ask(1);
    ask.queues = vec![queue.into()];
    b.lease_as(ask, None)[0].task_id
}

fn fences(leases: &[EndedLease]) -> Vec<(TaskId, Fence)> {
    leases.iter().map(|l| (l.task_id, l.fence)).collect()
}

/// A parent and a child that ends with it, both leased: the child's lease expires at the same time as that of its parent, or
/// `earlier` by some milliseconds. Both have expired.
fn family(earlier: i64, on_lost: OnLost) -> (Bench, TaskId, TaskId) {
    let mut b = Bench::new();
    let parent = b.enqueue(fragile("parents"));
    let child = b.enqueue(NewTask {
        parent_id: Some(parent),
        ends_with_parent: true,
        on_lost,
        ..fragile("children")
    });
    assert_eq!(lease_of(&mut b, "children"), child);
    b.now += earlier;
    assert_eq!(lease_of(&mut b, "parents"), parent);
    b.now += 10_000;
    (b, parent, child)
}

#[test]
fn a_child_whose_lease_expired_before_that_of_its_parent_was_lost() {
    let (mut b, parent, child) = family(1, OnLost::Retry);
    let lost = b.expire();
    assert_eq!(fences(&lost), [(child, 1), (parent, 1)]);
    assert_eq!(b.ended, []);
    // It was queued again, and then its parent failed.
    let detail = b.detail(child);
    assert_eq!(detail.task.status, Status::Cancelled);
    assert_eq!(detail.attempts[0].outcome, "lost");

    let (mut b, parent, child) = family(1, OnLost::Fail);
    let lost = b.expire();
    assert_eq!(fences(&lost), [(child, 1), (parent, 1)]);
    assert_eq!(b.task(child).status, Status::Failed);
}

#[test]
fn a_child_whose_lease_expires_with_that_of_its_parent_is_cancelled() {
    let (mut b, parent, child) = family(0, OnLost::Fail);
    let lost = b.expire();
    assert_eq!(fences(&lost), [(parent, 1)]);
    assert_eq!(fences(&b.ended), [(child, 1)]);
    let detail = b.detail(child);
    assert_eq!(detail.task.status, Status::Cancelled);
    assert_eq!(detail.attempts[0].outcome, "cancelled");
}

#[test]
fn a_child_that_waits_ends_by_what_expired_first() {
    for (first, then, status) in [
        ("parents", "dependencies", Status::Cancelled),
        ("dependencies", "parents", Status::Failed),
    ] {
        let mut b = Bench::new();
        let parent = b.enqueue(fragile("parents"));
        let dependency = b.enqueue(fragile("dependencies"));
        let child = b.enqueue(NewTask {
            parent_id: Some(parent),
            ends_with_parent: true,
            depends_on: vec![dependency],
            ..NewTask::chat("p")
        });
        lease_of(&mut b, first);
        b.now += 1;
        lease_of(&mut b, then);
        b.now += 10_000;
        assert_eq!(b.expire().len(), 2);
        assert_eq!(b.task(child).status, status, "{first} first");
    }
}
