//! Bulk work continues over several commits, and over restarts.

use crate::common::*;
use kirosu_protocol::{ErrorCode, LeaseParams, NewTask, Status, TaskId};
use kirosu_store::*;

/// More tasks than one commit changes.
const MANY: usize = 700;

fn fan_out(b: &mut Bench) -> (TaskId, Vec<TaskId>) {
    let parent = b.chat("parent");
    let child = NewTask {
        depends_on: vec![parent],
        queue: "children".into(),
        ..NewTask::chat("child")
    };
    let batch = Command::EnqueueBatch(vec![child; MANY]);
    let Ok(Outcome::Batch(made)) = b.one(batch) else {
        panic!("a batch");
    };
    (parent, made.iter().map(|made| made.task_id).collect())
}

fn retry(task: TaskId) -> Command {
    Command::Retry { task }
}

/// Commits until nothing is left, each of a bounded size. Returns their number.
fn go_on(b: &mut Bench) -> usize {
    let mut commits = 0;
    while b.store.next_deadline().is_some_and(|at| at <= b.now) {
        let before = b.stats();
        b.batch(vec![]);
        let moved = (before.blocked - b.stats().blocked).abs();
        assert!(moved < 300, "{moved} tasks in one commit");
        commits += 1;
        assert!(commits < 50);
    }
    commits
}

#[test]
fn a_fan_out_goes_on_in_steps_over_a_restart() {
    let mut b = Bench::new();
    let (parent, children) = fan_out(&mut b);
    let lease = b.lease(1).pop().unwrap();
    b.ack(done(parent, Some(lease.fence))).unwrap();
    let after_one = b.stats().blocked;
    assert!(after_one > 0 && after_one < MANY as i64);
    let mut b = b.reopen();
    // A task that is added in between counts the dependencies that are done already.
    let late = b.enqueue(NewTask {
        depends_on: vec![parent, children[MANY - 1]],
        ..NewTask::chat("late")
    });
    assert!(go_on(&mut b) > 0);
    assert_eq!(b.stats().blocked, 1, "nothing but the late one");
    assert_eq!(b.task(late).status, Status::Blocked);
    assert_eq!(b.stats().queued, MANY as i64);
}

#[test]
fn a_retry_in_the_middle_of_a_cascade_leaves_no_child_behind() {
    let mut b = Bench::new();
    let (parent, children) = fan_out(&mut b);
    let cancel = Command::Cancel {
        task: parent,
        by: None,
        reason: None,
    };
    b.one(cancel).unwrap();
    let failed = b.stats().failed;
    assert!(failed > 0 && failed < MANY as i64);
    b.one(retry(parent)).unwrap();
    go_on(&mut b);
    assert_eq!((b.stats().blocked, b.stats().failed), (MANY as i64, 0));
    let lease = b.lease(1).pop().unwrap();
    b.ack(done(parent, Some(lease.fence))).unwrap();
    let mut b = b.reopen();
    go_on(&mut b);
    assert_eq!(b.stats().queued, MANY as i64);
    assert_eq!(b.task(children[MANY - 1]).status, Status::Queued);
}

#[test]
fn all_failed_tasks_come_back_in_steps_and_are_counted_at_the_end() {
    let mut b = Bench::new();
    let (parent, children) = fan_out(&mut b);
    let lease = b.lease(1).pop().unwrap();
    b.ack(failed(parent, Some(lease.fence))).unwrap();
    go_on(&mut b);
    assert_eq!(b.stats().failed, MANY as i64 + 1);
    let work = match b.one(Command::RetryFailed { queue: None }) {
        Ok(Outcome::Begun(work)) => work,
        other => panic!("{other:?}"),
    };
    let mut b = b.reopen();
    let mut finished = Vec::new();
    while finished.is_empty() {
        finished = b.store.apply(b.now, vec![]).finished;
    }
    let counted = Outcome::Counted {
        count: MANY as u64 + 1,
        more: false,
    };
    assert_eq!(finished, [(work, counted)]);
    assert_eq!((b.stats().queued, b.stats().blocked), (1, MANY as i64));
    assert_eq!(b.task(children[5]).status, Status::Blocked);
}

#[test]
fn failed_tasks_of_a_queue_come_back_with_those_of_others_that_failed_for_their_sake() {
    let mut b = Bench::new();
    let in_queue = |queue: &str, depends_on: Vec<TaskId>| NewTask {
        queue: queue.into(),
        depends_on,
        ..NewTask::chat("p")
    };
    let a = b.enqueue(in_queue("default", vec![]));
    let other = b.enqueue(in_queue("other", vec![a]));
    let again = b.enqueue(in_queue("default", vec![other]));
    let elsewhere = b.enqueue(in_queue("elsewhere", vec![]));
    let lost = b.enqueue(in_queue("default", vec![elsewhere]));
    for id in [a, elsewhere] {
        let cancel = Command::Cancel {
            task: id,
            by: None,
            reason: None,
        };
        b.one(cancel).unwrap();
    }
    b.one(retry(a)).unwrap();
    let lease = b.lease(1).pop().unwrap();
    b.ack(failed(a, Some(lease.fence))).unwrap();
    let queue = Some("default".to_owned());
    let counted = b.one(Command::RetryFailed { queue }).unwrap();
    assert_eq!(
        counted,
        Outcome::Counted {
            count: 2,
            more: false
        }
    );
    let states = [a, other, again, lost].map(|id| b.task(id).status);
    let blocked = Status::Blocked;
    assert_eq!(states, [Status::Queued, blocked, blocked, Status::Failed]);
}

#[test]
fn thousands_of_waiters_are_served_in_order_over_several_commits() {
    const WAITING: u64 = 1500;
    let mut b = Bench::new();
    let park = |number| Command::Lease {
        ask: waiting(1),
        session: None,
        park: Some(number),
        spent: 0,
    };
    for number in 0..WAITING {
        assert_eq!(b.one(park(number)), Ok(Outcome::Parked));
    }
    let tasks = vec![NewTask::chat("x"); WAITING as usize + 2];
    let mut woken = apply(&mut b, vec![Command::EnqueueBatch(tasks)]).woken;
    assert!(woken.len() < 500, "{} in one commit", woken.len());
    // A request that is parked now waits behind them; one that does not wait is answered at once.
    let at_once = Command::Lease {
        ask: ask(1),
        session: None,
        park: None,
        spent: 0,
    };
    let applied = apply(&mut b, vec![park(WAITING), at_once]);
    assert_eq!(applied.outcomes[0], Ok(Outcome::Parked));
    assert!(matches!(&applied.outcomes[1], Ok(Outcome::Leased(tasks)) if tasks.len() == 1));
    woken.extend(applied.woken);
    while b.store.next_deadline().is_some_and(|at| at <= b.now) {
        let next = apply(&mut b, vec![]).woken;
        assert!(
            (1..500).contains(&next.len()),
            "{} in one commit",
            next.len()
        );
        woken.extend(next);
    }
    assert!(woken.iter().map(|(park, _)| *park).eq(0..=WAITING));
    assert_eq!((b.stats().queued, b.store.parked()), (0, 0));
}

#[test]
fn a_waiter_for_a_thousand_tasks_gets_those_of_one_short_commit() {
    let mut b = Bench::new();
    b.one(Command::Pause(None)).unwrap();
    b.batch(vec![Command::EnqueueBatch(vec![NewTask::chat("x"); 1000])]);
    let park = Command::Lease {
        ask: waiting(1000),
        session: None,
        park: Some(1),
        spent: 0,
    };
    assert_eq!(b.one(park), Ok(Outcome::Parked));
    b.one(Command::Resume(None)).unwrap();
    let (park, tasks) = b.woken.pop().unwrap();
    assert_eq!(park, 1);
    assert!((1..500).contains(&tasks.len()), "{}", tasks.len());
    assert_eq!(b.stats().queued, 1000 - tasks.len() as i64);
}

fn apply(b: &mut Bench, commands: Vec<Command>) -> Applied {
    b.store.apply(b.now, commands)
}

#[test]
fn children_end_with_their_parent_in_steps_over_a_restart() {
    let mut b = Bench::new();
    let parent = b.chat("parent");
    let lease = b.lease(1).pop().unwrap();
    let child = |ends_with_parent| NewTask {
        parent_id: Some(parent),
        ends_with_parent,
        queue: "children".into(),
        ..NewTask::chat("child")
    };
    let stays = b.enqueue(child(false));
    let batch = Command::EnqueueBatch(vec![child(true); MANY]);
    b.one(batch).unwrap();
    let ask = LeaseParams {
        queues: vec!["children".into()],
        ..ask(3)
    };
    let running = b.lease_as(ask, None);
    let ended_before = b.enqueue(child(true));
    b.one(Command::Cancel {
        task: ended_before,
        by: None,
        reason: Some("not needed".into()),
    })
    .unwrap();
    b.ack(done(parent, Some(lease.fence))).unwrap();
    let after_one = b.stats().cancelled;
    assert!(after_one > 1 && after_one < MANY as i64, "{after_one}");
    // The child that stays is among the running ones, as the oldest.
    let fences = |leases: &[EndedLease]| leases.iter().map(|l| (l.task_id, l.fence)).collect();
    let ended: Vec<_> = fences(&b.ended);
    let held: Vec<_> = running[1..].iter().map(|t| (t.task_id, t.fence)).collect();
    assert_eq!(ended, held);
    let mut b = b.reopen();
    assert!(go_on(&mut b) > 0);
    assert_eq!(b.stats().cancelled, MANY as i64 + 1);
    assert_eq!(b.task(stays).status, Status::Leased);
    let reason = b.task(running[1].task_id).error.unwrap();
    assert_eq!(
        reason,
        format!("cancelled: its parent, task {parent}, is done")
    );
    assert_eq!(b.task(ended_before).error.unwrap(), "cancelled: not needed");
    // A parent that has ended gets no further ones.
    let late = b.one(Command::Enqueue(Box::new(child(true))));
    assert_eq!(late.unwrap_err().code, ErrorCode::WrongState);
    for (parent_id, message) in [
        (None, "needs `parent_id`"),
        (Some(9_999), "unknown task 9999"),
    ] {
        let new = NewTask {
            parent_id,
            ..child(true)
        };
        let error = b.one(Command::Enqueue(Box::new(new))).unwrap_err();
        assert!(error.message.contains(message), "{error:?}");
    }
}

#[test]
fn a_retry_of_the_parent_in_the_middle_saves_none_of_its_children() {
    let mut b = Bench::new();
    let parent = b.chat("parent");
    let lease = b.lease(1).pop().unwrap();
    let child = NewTask {
        parent_id: Some(parent),
        ends_with_parent: true,
        queue: "children".into(),
        ..NewTask::chat("child")
    };
    b.one(Command::EnqueueBatch(vec![child.clone(); MANY]))
        .unwrap();
    b.ack(failed(parent, Some(lease.fence))).unwrap();
    assert!(b.stats().cancelled < MANY as i64);
    b.one(retry(parent)).unwrap();
    // That of the next attempt stays.
    let next = b.enqueue(child);
    let mut b = b.reopen();
    go_on(&mut b);
    assert_eq!(b.stats().cancelled, MANY as i64);
    assert_eq!(b.task(next).status, Status::Queued);
}
