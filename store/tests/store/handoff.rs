//! Handoffs: the run of a task adds the one that goes on with its work.

use crate::common::*;
use kirosu_protocol::{
    Budget, Error, ErrorCode, NewTask, Status, Task, TaskBudget, TaskId, TaskRun,
};
use kirosu_store::*;

fn handed(task: &Task) -> NewTask {
    NewTask {
        handoff: true,
        parent_id: Some(task.task_id),
        run: Some(TaskRun {
            task_id: task.task_id,
            fence: task.fence,
        }),
        ..NewTask::chat("go on")
    }
}

/// The next task, leased.
fn leased(b: &mut Bench) -> Task {
    b.lease(1).remove(0)
}

fn refused(b: &mut Bench, new: NewTask) -> Error {
    b.one(Command::Enqueue(Box::new(new))).unwrap_err()
}

#[test]
fn the_task_begins_in_the_commit_that_ends_the_own_one() {
    let mut b = Bench::new();
    let first = b.chat("p");
    let lease = leased(&mut b);
    let next = b.enqueue(handed(&lease));
    assert_eq!(b.task(next).status, Status::Blocked);
    assert!(b.lease(1).is_empty());
    let again = refused(&mut b, handed(&lease));
    assert!(
        again.message.contains(&format!("to task {next} already")),
        "{again}"
    );
    let mut b = b.reopen();
    b.ack(done(first, Some(lease.fence))).unwrap();
    assert_eq!(b.task(next).status, Status::Queued);
    assert_eq!(leased(&mut b).task_id, next);
}

#[test]
fn an_attempt_that_did_not_succeed_hands_nothing_over() {
    let mut b = Bench::new();
    let first = b.enqueue(NewTask {
        max_attempts: Some(3),
        ..NewTask::chat("p")
    });
    let lease = leased(&mut b);
    let earlier = b.enqueue(handed(&lease));
    b.ack(failed(first, Some(lease.fence))).unwrap();
    b.now += 3_600_000;
    b.one(Command::PromoteDue { limit: 10 }).unwrap();
    let lease = leased(&mut b);
    assert_eq!(lease.task_id, first);
    // The second attempt does the work itself.
    b.ack(done(first, Some(lease.fence))).unwrap();
    assert_eq!(b.task(earlier).status, Status::Cancelled);
    assert!(b.lease(1).is_empty());
}

#[test]
fn it_counts_for_the_tree_of_the_own_task_and_ends_with_its_parent() {
    let mut b = Bench::new();
    let parent = b.chat("parent");
    b.lease(1);
    let own = b.enqueue(NewTask {
        parent_id: Some(parent),
        ends_with_parent: true,
        budget: Some(TaskBudget {
            tree: Some(Budget {
                tokens: Some(9),
                micros: None,
            }),
            ..TaskBudget::default()
        }),
        ..NewTask::chat("own")
    });
    let lease = leased(&mut b);
    let next = b.enqueue(handed(&lease));
    b.ack(done(own, Some(lease.fence))).unwrap();
    let task = b.task(next);
    assert_eq!(
        (task.parent_id, task.ends_with_parent),
        (Some(parent), true)
    );
    assert_eq!(task.budget_trees, [own]);
    let cancel = Command::Cancel {
        task: parent,
        by: None,
        reason: None,
    };
    b.one(cancel).unwrap();
    assert_eq!(b.task(next).status, Status::Cancelled);
}

#[test]
fn only_the_run_itself_hands_over_and_only_one_task() {
    let mut b = Bench::new();
    b.chat("p");
    let lease = leased(&mut b);
    let without = NewTask {
        run: None,
        ..handed(&lease)
    };
    let with_parent = NewTask {
        ends_with_parent: true,
        ..handed(&lease)
    };
    let other: TaskId = b.chat("other");
    let dependent = NewTask {
        depends_on: vec![other],
        ..handed(&lease)
    };
    for new in [without, with_parent, dependent] {
        assert_eq!(refused(&mut b, new).code, ErrorCode::InvalidParams);
    }
    let batch = vec![handed(&lease), handed(&lease)];
    let error = b.one(Command::EnqueueBatch(batch)).unwrap_err();
    assert!(
        error.message.contains("not for a task of a batch"),
        "{error}"
    );
}
