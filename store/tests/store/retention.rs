//! Retention: tasks that unfinished ones need stay, old ones are deleted by the time of their end.

use crate::common::*;
use kirosu_protocol::{Budget, Fence, NewTask, ReserveParams, Status, TaskBudget, TaskId};
use kirosu_store::*;

fn cancel(b: &mut Bench, task: TaskId) {
    let command = Command::Cancel {
        task,
        by: None,
        reason: None,
    };
    b.one(command).unwrap();
}

/// Retries a task, on request after its dependencies.
fn retry(b: &mut Bench, task: TaskId, with_dependencies: bool) -> (Status, Option<String>) {
    if with_dependencies {
        let failed = b.reader.failed_dependencies(&[task], 0, 1000).unwrap();
        for task in failed {
            b.one(Command::Retry { task }).unwrap();
        }
    }
    match b.one(Command::Retry { task }).unwrap() {
        Outcome::Retried { status, error } => (status, error),
        other => panic!("{other:?}"),
    }
}

/// A sweep in small steps. Returns the number of deleted tasks.
fn sweep(b: &mut Bench, before_ms: i64) -> u64 {
    let mut removed = 0;
    for _ in 0..1000 {
        let command = Command::Prune {
            before_ms,
            limit: 7,
        };
        match b.one(command).unwrap() {
            Outcome::Counted { count, more } => {
                assert!(count <= 7);
                removed += count;
                if !more {
                    return removed;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("the sweep has no end");
}

fn after(depends_on: &[TaskId]) -> NewTask {
    NewTask {
        depends_on: depends_on.to_vec(),
        ..NewTask::chat("after")
    }
}

fn exists(b: &mut Bench, id: TaskId) -> bool {
    b.reader.get(id, 1).unwrap().is_some()
}

#[test]
fn dependencies_of_unfinished_tasks_stay_and_a_pruned_dependency_is_named() {
    let mut b = Bench::new();
    let (first, second) = (b.chat("done"), b.chat("waits"));
    let lease = b.lease(1).pop().unwrap();
    b.ack(done(first, Some(lease.fence))).unwrap();
    let waits = b.enqueue(after(&[first, second]));
    let lost = b.chat("lost");
    let child = b.enqueue(after(&[lost]));
    cancel(&mut b, lost);
    b.now += 100;
    let now = b.now;
    let (status, _) = retry(&mut b, child, false);
    assert_eq!(status, Status::Failed, "it ended once more");
    assert_eq!(
        sweep(&mut b, now),
        1,
        "the cancelled one without a child that waits"
    );
    assert!(exists(&mut b, first) && !exists(&mut b, lost));
    for along in [false, true] {
        let (status, error) = retry(&mut b, child, along);
        assert_eq!(status, Status::Failed);
        let error = error.unwrap();
        assert!(error.contains(&format!("dependency {lost}")), "{error}");
    }
    // The next one ends, and with it the last one that needed them.
    cancel(&mut b, waits);
    b.now += 100;
    let now = b.now;
    assert_eq!(sweep(&mut b, now), 3);
    assert_eq!(b.stats().total_tasks, 5);
    assert!(exists(&mut b, second));
}

#[test]
fn a_dependency_comes_along_on_demand_and_a_time_survives() {
    let mut b = Bench::new();
    let first = b.chat("first");
    let second = b.enqueue(after(&[first]));
    let at = b.now + 3_600_000;
    let third = b.enqueue(NewTask {
        run_at_ms: Some(at),
        ..after(&[second])
    });
    cancel(&mut b, first);
    let (status, error) = retry(&mut b, third, false);
    assert_eq!(status, Status::Failed);
    assert_eq!(
        error.as_deref(),
        Some(&*format!("dependency {second} failed"))
    );
    assert_eq!(retry(&mut b, third, true), (Status::Blocked, None));
    let states = [first, second, third].map(|id| b.task(id).status);
    assert_eq!(states, [Status::Queued, Status::Blocked, Status::Blocked]);
    for id in [first, second] {
        let lease = b.lease(1).pop().unwrap();
        b.ack(done(id, Some(lease.fence))).unwrap();
    }
    assert_eq!(b.task(third).status, Status::Scheduled);
    cancel(&mut b, third);
    assert_eq!(retry(&mut b, third, false), (Status::Scheduled, None));
    assert_eq!(b.task(third).run_at, Some(at as f64 / 1000.0));
}

#[test]
fn old_tasks_are_pruned_in_any_order_of_ids() {
    let mut b = Bench::new();
    // Low ids that end late, some of them needed; after them high ids that end early.
    let late: Vec<_> = (0..40).map(|_| b.chat("late")).collect();
    let early: Vec<_> = (0..60).map(|_| b.chat("early")).collect();
    let needed: Vec<_> = (0..30).map(|_| b.chat("needed")).collect();
    let lease = b.lease_as(ask(130), None);
    let fence = |id: TaskId| lease.iter().find(|task| task.task_id == id).unwrap().fence;
    for id in early.iter().chain(&needed) {
        b.ack(done(*id, Some(fence(*id)))).unwrap();
    }
    b.enqueue(after(&needed));
    b.now += 1_000;
    let mut b = b.reopen();
    let now = b.now;
    for id in &late {
        b.ack(done(*id, Some(fence(*id)))).unwrap();
    }
    assert_eq!(sweep(&mut b, now), 60);
    assert!(exists(&mut b, late[0]) && exists(&mut b, needed[29]));
    assert_eq!(sweep(&mut b, now), 0);
    assert_eq!(sweep(&mut b, now + 1), 40);
}

#[test]
fn ended_tasks_that_others_need_do_not_stop_the_deletion_of_those_behind_them() {
    let mut b = Bench::new();
    // More than a step looks at, and older than all that may go.
    let needed: Vec<_> = (0..50).map(|_| b.chat("needed")).collect();
    for task in b.lease(50) {
        b.ack(done(task.task_id, Some(task.fence))).unwrap();
    }
    let open = b.chat("open");
    for id in &needed {
        b.enqueue(after(&[*id, open]));
    }
    let others: Vec<_> = (0..100).map(|_| b.chat("other")).collect();
    for id in &others {
        cancel(&mut b, *id);
    }
    b.now += 1_000;
    let now = b.now;
    assert_eq!(sweep(&mut b, now), 100);
    assert!(needed.iter().all(|id| exists(&mut b, *id)));
    assert!(others.iter().all(|id| !exists(&mut b, *id)));
}

#[test]
fn long_texts_are_deleted_in_pieces() {
    const PIECE: usize = 256 << 10;
    const PIECES: usize = 16;
    let mut b = Bench::new();
    let one = b.chat("with much output, of several attempts");
    for fence in 1..=3 {
        b.lease(1);
        for _ in 0..PIECES {
            let output = Command::Output {
                task: one,
                fence,
                chunk: None,
                text: "o".repeat(PIECE),
            };
            b.one(output).unwrap();
        }
        match fence {
            3 => drop(b.ack(done(one, Some(fence))).unwrap()),
            _ => drop(b.one(Command::Release {
                task: one,
                fence,
                delay_ms: 0,
                reason: None,
            })),
        }
    }
    for _ in 0..20 {
        let id = b.chat(&"p".repeat(PIECE));
        cancel(&mut b, id);
    }
    b.now += 100;
    // Bytes of all rows.
    let kept = |b: &mut Bench| -> u64 {
        let of = |fence| b.reader.size_of(one, Some(fence), 10_000).unwrap();
        let output: u64 = (1..=3).map(of).sum();
        let prompts = (2..=21).map(|id| b.reader.size_of(id, None, 0).unwrap());
        output + prompts.collect::<Vec<_>>().iter().sum::<u64>()
    };
    let (mut before, mut removed, mut steps) = (kept(&mut b), 0, 0);
    assert!(before > (3 * PIECES * PIECE) as u64, "{before}");
    loop {
        let prune = Command::Prune {
            before_ms: b.now,
            limit: 100,
        };
        let Ok(Outcome::Counted { count, more }) = b.one(prune) else {
            panic!("a count");
        };
        let now = kept(&mut b);
        let freed = before - now;
        assert!(freed < 6 << 20, "{freed} bytes in one commit");
        (before, removed, steps) = (now, removed + count, steps + 1);
        if !more {
            break;
        }
        // An unfinished sweep continues after a restart.
        if steps == 2 {
            b = b.reopen();
        }
    }
    assert_eq!((removed, before), (21, 0));
    assert!(steps > 5, "{steps} steps");
}

const TREE: Budget = Budget {
    tokens: Some(100),
    micros: None,
};

/// The tokens that are granted to a run that asks for a million; `None` means that nothing limits it.
fn grant(b: &mut Bench, task_id: TaskId, fence: Fence) -> Option<u64> {
    let ask = ReserveParams {
        task_id,
        fence,
        want: Budget {
            tokens: Some(1_000_000),
            micros: None,
        },
        used: Budget::default(),
        scopes: Vec::new(),
    };
    match b.one(Command::Reserve(Box::new(ask))).unwrap() {
        Outcome::Reserved(answer) => answer.grant.tokens,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_budget_of_a_tree_lives_as_long_as_the_tree() {
    for root_first in [true, false] {
        let mut b = Bench::new();
        let root = b.enqueue(NewTask {
            budget: Some(TaskBudget {
                own: Budget::default(),
                tree: Some(TREE),
            }),
            ..NewTask::chat("root")
        });
        let of = |parent, queue: &str| NewTask {
            parent_id: Some(parent),
            queue: queue.into(),
            ..NewTask::chat("child")
        };
        let child = b.enqueue(of(root, "c"));
        let grandchild = b.enqueue(of(child, "g"));
        let take = |b: &mut Bench, queue: &str| {
            let ask = kirosu_protocol::LeaseParams {
                queues: vec![queue.into()],
                ..ask(1)
            };
            let task = b.lease_as(ask, None).pop().unwrap();
            (task.task_id, task.fence)
        };
        let (leased, fence) = take(&mut b, "g");
        assert_eq!(leased, grandchild);
        assert_eq!(grant(&mut b, grandchild, fence), Some(100));
        let order = match root_first {
            true => [root, child],
            false => [child, root],
        };
        for id in order {
            cancel(&mut b, id);
            b.now += 1;
            let now = b.now;
            assert_eq!(sweep(&mut b, now), 1);
            assert_eq!(grant(&mut b, grandchild, fence), Some(100));
        }
        // A child of a pruned task belongs to the tree, too.
        let late = b.enqueue(of(child, "late"));
        let mut b = b.reopen();
        let (leased, fence) = take(&mut b, "late");
        assert_eq!(leased, late);
        assert_eq!(grant(&mut b, late, fence), Some(0), "the other has it all");
        // With the last task the budget is deleted.
        cancel(&mut b, grandchild);
        cancel(&mut b, late);
        b.now += 1;
        let now = b.now;
        assert_eq!(sweep(&mut b, now), 2);
        let new = b.enqueue(of(root, "new"));
        let (_, fence) = take(&mut b, "new");
        assert_eq!(grant(&mut b, new, fence), None, "the tree is over");
    }
}

#[test]
fn no_task_is_put_off_for_years() {
    let mut b = Bench::new();
    let id = b.chat("p");
    let fence = b.lease(1)[0].fence;
    let mut parked = failed(id, Some(fence));
    parked.class = Some(kirosu_protocol::FailureClass::RateLimited);
    parked.retry_at_ms = Some(253_402_300_799_000);
    let refused = b.ack(parked.clone()).unwrap_err();
    assert!(refused.message.contains("366 days"), "{refused}");
    parked.retry_at_ms = Some(b.now + 30 * 86_400_000);
    assert_eq!(b.ack(parked).unwrap().status, Status::Scheduled);
}

#[test]
fn the_key_of_a_task_that_the_same_commit_prunes_is_free() {
    let mut b = Bench::new();
    let keyed = |key: &str| NewTask {
        idempotency_key: Some(key.to_owned()),
        ..NewTask::chat("keyed")
    };
    let old = b.enqueue(keyed("nightly"));
    cancel(&mut b, old);
    b.now += 1000;
    let prune = Command::Prune {
        before_ms: b.now,
        limit: 50,
    };
    let enqueue = |key| Command::Enqueue(Box::new(keyed(key)));
    // Several keys in one commit are read ahead, before the task is pruned.
    let answers = b.batch(vec![prune, enqueue("nightly"), enqueue("other")]);
    assert!(matches!(answers[0], Ok(Outcome::Counted { count: 1, .. })));
    for answer in &answers[1..] {
        match answer {
            Ok(Outcome::Enqueued(task)) => assert!(!task.existed && task.task_id != old),
            other => panic!("{other:?}"),
        }
    }
}
