//! Waits of tasks for their children without a lease.

use crate::common::*;
use kirosu_protocol::{
    Ack, FailureClass, NewTask, OnLost, Status, Task, TaskConversation, TaskId, TaskRun,
};
use kirosu_store::*;

/// The next task, leased.
fn leased(b: &mut Bench) -> Task {
    b.lease(1).remove(0)
}

fn child(b: &mut Bench, parent: &Task) -> TaskId {
    b.enqueue(NewTask {
        parent_id: Some(parent.task_id),
        run: Some(TaskRun {
            task_id: parent.task_id,
            fence: parent.fence,
        }),
        ..NewTask::chat("part")
    })
}

fn wait(lease: &Task) -> Command {
    Command::WaitChildren {
        task: lease.task_id,
        fence: lease.fence,
    }
}

fn parked(lease: &Task) -> Ack {
    let (task, fence) = (lease.task_id, Some(lease.fence));
    Ack::failed(task, fence, FailureClass::Parked, "waits for children")
}

fn cancel(task: TaskId) -> Command {
    Command::Cancel {
        task,
        by: None,
        reason: None,
    }
}

/// A task with one attempt at most, whose run waits for two children.
fn with_two(b: &mut Bench) -> (Task, [TaskId; 2]) {
    b.enqueue(NewTask {
        max_attempts: Some(1),
        ..NewTask::chat("whole")
    });
    let lease = leased(b);
    let children = [child(b, &lease), child(b, &lease)];
    b.one(wait(&lease)).unwrap();
    b.ack(parked(&lease)).unwrap();
    (lease, children)
}

#[test]
fn the_task_comes_back_with_the_ends_of_its_children_and_no_attempt_is_used() {
    let mut b = Bench::new();
    let (lease, [one, two]) = with_two(&mut b);
    let id = lease.task_id;
    assert_eq!(b.task(id).status, Status::Blocked);
    assert_eq!(b.task(id).attempts, 0);
    let first = leased(&mut b);
    assert_eq!(first.task_id, one, "the task itself is not leased");
    b.ack(Ack::done(one, Some(first.fence), "first part"))
        .unwrap();
    let mut b = b.reopen();
    assert_eq!(b.task(id).status, Status::Blocked);
    let second = leased(&mut b);
    b.ack(failed(two, Some(second.fence))).unwrap();
    assert_eq!(
        b.task(id).status,
        Status::Queued,
        "a failed child ends the wait, too"
    );
    let again = leased(&mut b);
    assert_eq!((again.task_id, again.attempts), (id, 1));
    assert!(again.fence > lease.fence);
    let ends: Vec<_> = again
        .children
        .iter()
        .map(|it| (it.task_id, it.status))
        .collect();
    assert_eq!(ends, [(one, Status::Done), (two, Status::Failed)]);
    assert_eq!(again.children[0].result.as_deref(), Some("first part"));
    assert!(again.children[1].error.is_some());
    b.ack(done(id, Some(again.fence))).unwrap();
    assert_eq!(b.task(id).status, Status::Done);
}

#[test]
fn it_goes_on_with_its_conversation_also_after_a_lost_lease() {
    let mut b = Bench::new();
    b.chat("whole");
    let lease = leased(&mut b);
    let part = child(&mut b, &lease);
    b.one(wait(&lease)).unwrap();
    let conversation = TaskConversation {
        session: "s-1".to_owned(),
        provider: "codex".to_owned(),
        pool: Some("p".to_owned()),
        workdir: None,
        folder_removed: false,
        data: None,
    };
    let ack = Ack {
        conversation: Some(Box::new(conversation.clone())),
        ..parked(&lease)
    };
    b.ack(ack).unwrap();
    b.one(cancel(part)).unwrap();
    for _ in 0..2 {
        let again = leased(&mut b);
        let continued = again.continues.as_deref().unwrap();
        assert_eq!(continued.task_id, lease.task_id);
        assert_eq!(continued.conversation, conversation);
        assert_eq!(again.children[0].status, Status::Cancelled);
        b.now += 3_600_000;
        assert_eq!(b.expire().len(), 1);
        b = b.reopen();
    }
}

#[test]
fn a_second_wait_is_for_the_children_since_the_first() {
    let mut b = Bench::new();
    let (_, [one, two]) = with_two(&mut b);
    b.one(cancel(one)).unwrap();
    b.one(cancel(two)).unwrap();
    let again = leased(&mut b);
    let refused = b.one(wait(&again)).unwrap_err();
    assert!(
        refused.message.contains("added no children since"),
        "{refused}"
    );
    let third = child(&mut b, &again);
    // A child of the first wait that a person retries is not waited for again.
    b.one(Command::Retry { task: one }).unwrap();
    b.one(wait(&again)).unwrap();
    b.ack(parked(&again)).unwrap();
    b.one(cancel(third)).unwrap();
    let last = leased(&mut b);
    assert_eq!(last.task_id, again.task_id);
    let ends: Vec<_> = last.children.iter().map(|it| it.task_id).collect();
    assert_eq!(ends, [third]);
}

#[test]
fn a_child_that_ends_is_counted_once_also_if_it_is_retried() {
    let mut b = Bench::new();
    let (lease, [one, two]) = with_two(&mut b);
    b.one(cancel(one)).unwrap();
    b.one(Command::Retry { task: one }).unwrap();
    b.one(cancel(one)).unwrap();
    assert_eq!(b.task(lease.task_id).status, Status::Blocked);
    b.one(cancel(two)).unwrap();
    assert_eq!(b.task(lease.task_id).status, Status::Queued);
}

#[test]
fn children_that_end_before_the_run_does_let_it_go_on_at_once() {
    let mut b = Bench::new();
    b.enqueue(NewTask {
        max_attempts: Some(1),
        ..NewTask::chat("whole")
    });
    let lease = leased(&mut b);
    let part = child(&mut b, &lease);
    b.one(wait(&lease)).unwrap();
    b.one(cancel(part)).unwrap();
    let acked = b.ack(parked(&lease)).unwrap();
    assert_eq!(acked.status, Status::Queued);
    assert_eq!(leased(&mut b).children.len(), 1);
}

#[test]
fn a_run_that_waits_neither_is_done_nor_hands_over() {
    let mut b = Bench::new();
    b.chat("whole");
    let lease = leased(&mut b);
    let refused = b.one(wait(&lease)).unwrap_err();
    assert!(refused.message.contains("added no children"), "{refused}");
    let refused = b.ack(parked(&lease)).unwrap_err();
    assert!(refused.message.contains("has not called"), "{refused}");
    let part = child(&mut b, &lease);
    b.one(wait(&lease)).unwrap();
    let heartbeat = Command::Heartbeat {
        task: lease.task_id,
        fence: lease.fence,
        lease_ms: None,
    };
    let Outcome::Extended { waits_children, .. } = b.one(heartbeat).unwrap() else {
        panic!();
    };
    assert!(waits_children);
    let refused = b.ack(done(lease.task_id, Some(lease.fence))).unwrap_err();
    assert!(refused.message.contains("class parked"), "{refused}");
    let handed = NewTask {
        handoff: true,
        parent_id: Some(lease.task_id),
        run: Some(TaskRun {
            task_id: lease.task_id,
            fence: lease.fence,
        }),
        ..NewTask::chat("go on")
    };
    let refused = b.one(Command::Enqueue(Box::new(handed))).unwrap_err();
    assert!(refused.message.contains("cannot hand over"), "{refused}");
    b.one(cancel(part)).unwrap();
    // A failure of the run is one of the task.
    b.ack(failed(lease.task_id, Some(lease.fence))).unwrap();
    assert_eq!(b.task(lease.task_id).status, Status::Failed);
}

#[test]
fn a_task_that_is_cancelled_while_it_waits_begins_anew_with_a_retry() {
    let mut b = Bench::new();
    let (lease, [one, two]) = with_two(&mut b);
    b.one(cancel(lease.task_id)).unwrap();
    b.one(cancel(one)).unwrap();
    b.one(Command::Retry {
        task: lease.task_id,
    })
    .unwrap();
    b.one(cancel(two)).unwrap();
    let mut b = b.reopen();
    let again = leased(&mut b);
    assert_eq!((again.task_id, again.children.len()), (lease.task_id, 0));
    assert!(again.continues.is_none());
}

#[test]
fn a_lease_that_was_lost_before_the_report_is_taken_back() {
    let mut b = Bench::new();
    b.enqueue(NewTask {
        max_attempts: Some(1),
        on_lost: OnLost::Ask,
        ..NewTask::chat("whole")
    });
    let lease = leased(&mut b);
    let part = child(&mut b, &lease);
    b.one(wait(&lease)).unwrap();
    b.now += 3_600_000;
    assert_eq!(b.expire().len(), 1);
    assert_eq!(b.task(lease.task_id).status, Status::AwaitingApproval);
    let mut b = b.reopen();
    let refused = b.ack(done(lease.task_id, Some(lease.fence))).unwrap_err();
    assert_eq!(refused.data.unwrap()["waits_children"], true);
    b.ack(parked(&lease)).unwrap();
    b.ack(parked(&lease)).unwrap();
    let task = b.task(lease.task_id);
    assert_eq!((task.status, task.attempts), (Status::Blocked, 0));
    b.one(cancel(part)).unwrap();
    assert_eq!(b.task(lease.task_id).status, Status::Queued);
    assert_eq!(leased(&mut b).task_id, lease.task_id);
}

#[test]
fn a_task_waits_only_for_what_its_runs_have_added() {
    let mut b = Bench::new();
    b.chat("whole");
    let lease = leased(&mut b);
    // Of other clients: also one that cannot end before the task does.
    let others = [vec![], vec![lease.task_id]].map(|depends_on| {
        b.enqueue(NewTask {
            parent_id: Some(lease.task_id),
            depends_on,
            priority: -1,
            ..NewTask::chat("of another client")
        })
    });
    let refused = b.one(wait(&lease)).unwrap_err();
    assert!(refused.message.contains("added no children"), "{refused}");
    let part = child(&mut b, &lease);
    b.one(wait(&lease)).unwrap();
    b.ack(parked(&lease)).unwrap();
    b.one(cancel(part)).unwrap();
    let again = leased(&mut b);
    let ends: Vec<_> = again.children.iter().map(|it| it.task_id).collect();
    assert_eq!(ends, [part]);
    assert_eq!(b.task(others[0]).status, Status::Queued);
}

#[test]
fn a_handoff_of_an_earlier_attempt_is_no_child() {
    let mut b = Bench::new();
    b.chat("whole");
    let first = leased(&mut b);
    b.enqueue(NewTask {
        handoff: true,
        ..handed(&first)
    });
    b.now += 3_600_000;
    b.expire();
    let lease = leased(&mut b);
    let refused = b.one(wait(&lease)).unwrap_err();
    assert!(refused.message.contains("added no children"), "{refused}");
}

fn handed(lease: &Task) -> NewTask {
    NewTask {
        handoff: true,
        parent_id: Some(lease.task_id),
        run: Some(TaskRun {
            task_id: lease.task_id,
            fence: lease.fence,
        }),
        ..NewTask::chat("go on")
    }
}

#[test]
fn a_child_that_hands_over_is_waited_for_to_the_end_of_its_work() {
    for known_before in [false, true] {
        let mut b = Bench::new();
        b.chat("whole");
        let lease = leased(&mut b);
        let part = child(&mut b, &lease);
        let mut held = None;
        if known_before {
            let run = leased(&mut b);
            let next = b.enqueue(handed(&run));
            held = Some((run, next));
        }
        b.one(wait(&lease)).unwrap();
        b.ack(parked(&lease)).unwrap();
        let (run, next) = held.unwrap_or_else(|| {
            let run = leased(&mut b);
            let next = b.enqueue(handed(&run));
            (run, next)
        });
        assert_eq!(run.task_id, part);
        b.ack(Ack::done(part, Some(run.fence), "handed over"))
            .unwrap();
        let mut b = b.reopen();
        assert_eq!(b.task(lease.task_id).status, Status::Blocked);
        let last = leased(&mut b);
        assert_eq!(last.task_id, next);
        b.ack(Ack::done(next, Some(last.fence), "the end")).unwrap();
        let again = leased(&mut b);
        let ends: Vec<_> = again
            .children
            .iter()
            .map(|it| (it.task_id, it.result.as_deref()))
            .collect();
        assert_eq!(ends, [(part, Some("handed over")), (next, Some("the end"))]);
    }
}

#[test]
fn results_stay_until_the_task_has_got_them() {
    let mut b = Bench::new();
    let (lease, [one, two]) = with_two(&mut b);
    b.one(cancel(one)).unwrap();
    let prune = |b: &mut Bench| {
        b.now += 1000 * 86_400_000;
        let before_ms = b.now;
        b.one(Command::Prune {
            before_ms,
            limit: 100,
        })
        .unwrap();
    };
    prune(&mut b);
    b.one(cancel(two)).unwrap();
    prune(&mut b);
    let again = leased(&mut b);
    assert_eq!((again.task_id, again.children.len()), (lease.task_id, 2));
    b.ack(done(lease.task_id, Some(again.fence))).unwrap();
    prune(&mut b);
    prune(&mut b);
    assert!(
        b.reader
            .list(&ListQuery::default())
            .unwrap()
            .tasks
            .is_empty()
    );
}

#[test]
fn code_does_not_wait_without_a_lease() {
    let mut b = Bench::new();
    b.enqueue(NewTask {
        task_type: "python".to_owned(),
        ..NewTask::chat("print(1)")
    });
    let lease = leased(&mut b);
    child(&mut b, &lease);
    let refused = b.one(wait(&lease)).unwrap_err();
    assert!(refused.message.contains("is code"), "{refused}");
}
