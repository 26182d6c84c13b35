//! Pairs of queue and type: any number over time, a bounded number at a time.

use crate::common::*;
use kirosu_protocol::{NewTask, Stats, Status, TaskId};
use kirosu_store::*;

/// More lanes than stay in memory without unfinished tasks.
const MANY: usize = 1_500;

fn in_queue(number: usize) -> NewTask {
    NewTask {
        queue: format!("branch-{number}"),
        ..NewTask::chat("p")
    }
}

fn batch(b: &mut Bench, tasks: Vec<NewTask>) -> Vec<TaskId> {
    match b.one(Command::EnqueueBatch(tasks)) {
        Ok(Outcome::Batch(made)) => made.iter().map(|made| made.task_id).collect(),
        other => panic!("{other:?}"),
    }
}

fn cancel(task: TaskId) -> Command {
    Command::Cancel {
        task,
        by: None,
        reason: None,
    }
}

fn retry(task: TaskId) -> Command {
    Command::Retry { task }
}

#[test]
fn pairs_without_unfinished_tasks_leave_room_for_others_and_come_back() {
    let mut b = Bench::with(|options| options.lane_limit = MANY);
    let made = batch(&mut b, (0..MANY).map(in_queue).collect());
    b.one(Command::Enqueue(Box::new(NewTask::chat("one more"))))
        .unwrap_err();
    b.batch(made.iter().map(|id| cancel(*id)).collect());
    let counted = |stats: Stats| (stats.queued, stats.cancelled, stats.total_tasks);
    for round in 0..2 {
        assert_eq!(counted(b.stats()), (0, MANY as i64, MANY as i64));
        // One of them is used again, and dropped again.
        b.one(retry(made[7])).unwrap();
        assert_eq!(b.task(made[7]).queue, "branch-7");
        assert_eq!(counted(b.stats()), (1, MANY as i64 - 1, MANY as i64));
        b.one(cancel(made[7])).unwrap();
        if round == 0 {
            b = b.reopen();
        }
    }
    let again = batch(&mut b, vec![in_queue(7), NewTask::chat("one more")]);
    assert_eq!(b.task(again[0]).queue, "branch-7");
    assert_eq!(b.lease(1)[0].task_id, again[1]);
    b = b.reopen();
    assert_eq!(
        counted(b.stats()),
        (1, MANY as i64, MANY as i64 + 2),
        "nothing was counted twice"
    );
}

#[test]
fn lanes_without_any_task_are_deleted_and_the_counters_stay() {
    let mut b = Bench::new();
    let id = b.enqueue(in_queue(1));
    let ask = kirosu_protocol::LeaseParams {
        queues: vec!["branch-1".into()],
        ..ask(1)
    };
    b.lease_as(ask.clone(), None);
    b.now += 2_000;
    b.ack(done(id, None)).unwrap();
    let before = b.stats();
    assert_eq!(before.avg_completion_time_sec, 2.0);
    b.now += 1;
    b.one(Command::Prune {
        before_ms: b.now,
        limit: 10,
    })
    .unwrap();
    assert!(b.store.lanes().is_empty(), "{:?}", b.store.lanes());
    assert_eq!(b.stats(), before);
    let mut b = b.reopen();
    assert_eq!(b.stats(), before);
    let next = b.enqueue(in_queue(1));
    assert_eq!(b.lease_as(ask, None)[0].task_id, next);
    assert_eq!(b.task(next).status, Status::Leased);
}
