//! The plain life of a task, and its state after a restart.

use crate::common::*;
use kirosu_protocol::{NewTask, Status};
use kirosu_store::*;

#[test]
fn a_task_is_enqueued_leased_acked_and_shown() {
    let mut b = Bench::new();
    let id = b.enqueue(NewTask {
        system_prompt: Some("be short".into()),
        ..NewTask::chat("hello")
    });
    assert_eq!(b.stats().queued, 1);
    b.now += 500;
    let tasks = b.lease(5);
    assert_eq!(tasks.len(), 1);
    let task = &tasks[0];
    assert_eq!(
        (task.task_id, task.fence, task.attempts, task.status),
        (id, 1, 1, Status::Leased)
    );
    assert_eq!(
        (task.prompt.as_str(), task.system_prompt.as_deref()),
        ("hello", Some("be short"))
    );
    assert_eq!(task.leased_until, Some((b.now + 10_000) as f64 / 1000.0));
    assert_eq!(b.task(id), *task);
    b.now += 500;
    let acked = b.ack(done(id, Some(1))).unwrap();
    assert_eq!((acked.status, acked.newly), (Status::Done, true));
    let shown = b.task(id);
    assert_eq!(shown.result.as_deref(), Some(&*format!("result of {id}")));
    assert_eq!(
        (shown.worker_id.as_deref(), shown.leased_until),
        (Some("w1"), None)
    );
    let stats = b.stats();
    assert_eq!(
        (stats.done, stats.completed_last_hour, stats.total_tasks),
        (1, 1, 1)
    );
    assert_eq!(stats.avg_completion_time_sec, 1.0);
    assert!(b.lease(5).is_empty());
    let again = b.reopen();
    assert_eq!(again.stats(), stats);
}

#[test]
fn an_expired_lease_goes_first_and_its_late_ack_counts_until_the_next_lease() {
    let mut b = Bench::new();
    let (first, _second) = (b.chat("1"), b.chat("2"));
    assert_eq!(b.lease(1)[0].task_id, first);
    b.now += 10_001;
    assert!(b.store.next_deadline().is_some_and(|at| at <= b.now));
    let lost = b.expire();
    assert_eq!(
        (lost[0].task_id, lost[0].fence, lost[0].status),
        (first, 1, Status::Queued)
    );
    assert!(b.expire().is_empty());
    assert_eq!(b.store.next_deadline(), None);
    let mut b = b.reopen();
    assert_eq!(b.ack(done(first, Some(1))).unwrap().status, Status::Done);
    assert_eq!(b.detail(first).attempts.len(), 1);
    let again = b.lease(5);
    assert_eq!(again.len(), 1);
    b.now += 10_001;
    b.expire();
    let id = again[0].task_id;
    let (before, now) = (again[0].fence, b.lease(1)[0].fence);
    assert_eq!(now, before + 1);
    let refused = b.ack(done(id, Some(before))).unwrap_err();
    assert_eq!(refused.code, kirosu_protocol::ErrorCode::StaleLease);
    assert_eq!(b.ack(done(id, Some(now))).unwrap().fence, now);
}

#[test]
fn one_batch_may_enqueue_and_lease_the_same_task() {
    let mut b = Bench::new();
    let outcomes = b.batch(vec![
        Command::Lease {
            ask: waiting(2),
            session: None,
            park: Some(7),
            spent: 0,
        },
        Command::Enqueue(Box::new(NewTask::chat("a"))),
        Command::Enqueue(Box::new(NewTask::chat("b"))),
        Command::Enqueue(Box::new(NewTask::chat("c"))),
        Command::Lease {
            ask: ask(5),
            session: None,
            park: None,
            spent: 0,
        },
    ]);
    assert_eq!(outcomes[0], Ok(Outcome::Parked));
    assert_eq!(b.woken.len(), 1);
    let prompts: Vec<_> = b.woken[0].1.iter().map(|t| t.prompt.as_str()).collect();
    assert_eq!(prompts, ["a", "b"], "who waited first is served first");
    match &outcomes[4] {
        Ok(Outcome::Leased(tasks)) => assert_eq!(tasks[0].prompt, "c"),
        other => panic!("{other:?}"),
    }
    assert_eq!((b.store.parked(), b.stats().leased), (0, 3));
    assert_eq!(b.store.live_leases(None).unwrap().len(), 3);
}

#[test]
fn a_store_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Store>();
    is_send::<StoreReader>();
}
