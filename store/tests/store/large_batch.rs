//! A large batch is stored part by part and made part by part: all or none, whatever happens between two commits.

use crate::common::*;
use kirosu_protocol::{ErrorCode, NewTask, OnLost, RetryPolicy, Status, Task, TaskId};
use kirosu_store::*;
use serde_json::json;
use std::sync::Arc;

/// Tasks per part.
const PART: usize = 3;
const PARTS: usize = 4;

/// The commands that enqueue these tasks as a large batch.
fn commands(b: &mut Bench, tasks: Vec<NewTask>) -> Vec<Command> {
    let (batch, all) = (b.store.new_batch(), Arc::new(tasks));
    let part = |begin| BatchPart {
        batch,
        all: all.clone(),
        long: Arc::default(),
        range: begin..(begin + PART).min(all.len()),
    };
    let begins = || (0..all.len()).step_by(PART);
    let stage = begins().map(part).map(Command::StagePart);
    let make = begins().map(part).map(Command::MakePart);
    stage.chain(make).collect()
}

fn keyed(count: usize) -> Vec<NewTask> {
    let task = |n: usize| NewTask {
        idempotency_key: Some(format!("k{n}")),
        ..NewTask::chat(format!("task {n}"))
    };
    (0..count).map(task).collect()
}

fn made(outcomes: Vec<Result<Outcome, kirosu_protocol::Error>>) -> Vec<EnqueuedTask> {
    let made = |outcome| match outcome {
        Ok(Outcome::Batch(made)) => made,
        Ok(Outcome::Ok) => Vec::new(),
        other => panic!("{other:?}"),
    };
    outcomes.into_iter().flat_map(made).collect()
}

#[test]
fn a_crash_between_any_two_commits_leaves_all_or_none() {
    let count = PART * PARTS - 1;
    for crash in 0..=2 * PARTS {
        let mut b = Bench::new();
        let first = b.chat("before");
        for command in commands(&mut b, keyed(count)).drain(..crash) {
            b.one(command).unwrap();
        }
        let mut b = b.reopen();
        let (stored, stats) = (crash >= PARTS, b.stats());
        let tasks = if stored { count as i64 } else { 0 };
        assert_eq!(stats.queued, 1 + tasks, "crash after {crash} commits");
        if stored {
            let prompts: Vec<_> = (1..=count as TaskId)
                .map(|n| b.task(first + n).prompt)
                .collect();
            let wanted: Vec<_> = (0..count).map(|n| format!("task {n}")).collect();
            assert_eq!(prompts, wanted, "in the order of the request");
        }
        // Sent again, it adds what is missing and nothing twice.
        let again = commands(&mut b, keyed(count));
        let again = made(b.batch(again));
        assert_eq!(again.len(), count);
        assert!(again.iter().all(|task| task.existed == stored));
        assert_eq!(b.reopen().stats().queued, 1 + count as i64);
    }
}

#[test]
fn a_refused_batch_changes_nothing() {
    let bound = NewTask {
        idempotency_key: Some("k9".into()),
        ..NewTask::chat("other")
    };
    let lost = NewTask {
        depends_on: vec![99],
        ..NewTask::chat("p")
    };
    for (at, bad) in [(9, keyed(10).remove(9)), (4, lost)] {
        for together in [true, false] {
            let mut b = Bench::new();
            b.enqueue(bound.clone());
            let mut tasks = keyed(9);
            tasks.insert(at, bad.clone());
            let all = commands(&mut b, tasks);
            let Command::StagePart(BatchPart { batch, .. }) = all[0] else {
                panic!("a part");
            };
            let outcomes = match together {
                true => b.batch(all),
                false => all.into_iter().map(|command| b.one(command)).collect(),
            };
            let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
            let codes: Vec<_> = refused.map(|error| error.code).collect();
            assert_eq!(codes[0], ErrorCode::InvalidParams);
            assert_eq!(b.stats().total_tasks, 1);
            b.one(Command::DropBatch(batch)).unwrap();
            let mut b = b.reopen();
            assert_eq!(b.stats().total_tasks, 1);
            // Its keys are free.
            let again = commands(&mut b, keyed(9));
            assert_eq!(made(b.batch(again)).len(), 9);
        }
    }
}

#[test]
fn conflicts_of_tasks_in_different_parts_are_found() {
    let mut b = Bench::with(|options| options.lane_limit = 8);
    let mut twins = keyed(9);
    twins[8].idempotency_key = Some("k0".into());
    let all = commands(&mut b, twins.clone());
    let refused = b.batch(all).remove(0).unwrap_err();
    assert!(
        refused.message.contains("`tasks[8].idempotency_key`"),
        "{refused}"
    );
    // The same request twice is one task.
    twins[8] = twins[0].clone();
    let all = commands(&mut b, twins);
    let twice = made(b.batch(all));
    assert_eq!(
        twice[8],
        EnqueuedTask {
            existed: true,
            ..twice[0]
        }
    );
    let queue = |n| NewTask {
        queue: format!("q{n}"),
        ..NewTask::chat("p")
    };
    let all = commands(&mut b, (0..8).map(queue).collect());
    let refused = b.batch(all).remove(0).unwrap_err();
    assert!(
        refused.message.contains("too many different pairs"),
        "{refused}"
    );
    let all = commands(&mut b, (0..7).map(queue).collect());
    assert_eq!(made(b.batch(all)).len(), 7);
}

#[test]
fn a_dependency_that_is_pruned_meanwhile_fails_the_task() {
    let mut b = Bench::new();
    let parent = b.chat("parent");
    let lease = b.lease(1).remove(0);
    b.ack(failed(parent, Some(lease.fence))).unwrap();
    let child = NewTask {
        depends_on: vec![parent],
        ..NewTask::chat("child")
    };
    let mut all = commands(&mut b, vec![child]);
    let make = all.pop().unwrap();
    b.one(all.remove(0)).unwrap();
    b.now += 1000;
    let prune = Command::Prune {
        before_ms: b.now,
        limit: 10,
    };
    b.one(prune).unwrap();
    let child = made(vec![b.one(make)])[0];
    assert_eq!(child.status, Status::Failed);
    let error = b.task(child.task_id).error.unwrap();
    assert_eq!(error, format!("dependency {parent} was pruned"));
}

#[test]
fn a_task_is_the_same_after_a_crash() {
    let mut b = Bench::new();
    let parent = b.chat("parent");
    let full = NewTask {
        system_prompt: Some("be brief".into()),
        task_type: "custom".into(),
        queue: "docs".into(),
        priority: -3,
        run_at_ms: Some(T0 + 60_123),
        max_attempts: Some(5),
        retry: Some(RetryPolicy {
            initial_ms: 1500,
            max_ms: 60_000,
            factor: 1.5,
        }),
        timeout_ms: Some(90_500),
        depends_on: vec![parent],
        parent_id: Some(parent),
        requires_approval: true,
        provider: Some("codex".into()),
        model: Some("m".into()),
        workdir: Some("w".into()),
        on_lost: OnLost::Ask,
        labels: vec!["l".into()],
        metadata: Some(json!({"a": [1, "ü\n", null]})),
        ..NewTask::chat("x".repeat(9_000_000))
    };
    // Most have 16 or 17 digits.
    let roots: Vec<f64> = (1..500).map(|n| f64::from(n).sqrt()).collect();
    let later = NewTask {
        delay_ms: 2500,
        run_at_ms: Some(T0 + 2500),
        idempotency_key: Some("later".into()),
        metadata: Some(json!({ "roots": roots })),
        ..NewTask::chat("later")
    };
    let usual = b.enqueue(full.clone());
    let mut all = commands(&mut b, vec![full, later.clone()]);
    all.pop();
    b.one(all.remove(0)).unwrap();
    let mut b = b.reopen();
    let (wanted, task) = (b.task(usual), b.task(usual + 1));
    assert_eq!(
        Task {
            task_id: usual,
            ..task
        },
        wanted
    );
    assert_eq!(b.task(usual + 2).run_at, Some((T0 + 2500) as f64 / 1000.0));
    let again = b.one(Command::Enqueue(Box::new(later)));
    assert!(matches!(again, Ok(Outcome::Enqueued(found)) if found.existed));
}

/// Dependencies of a task that has very many.
const DEPENDENCIES: usize = 2 * MANY_DEPENDENCIES + 10;

fn leased(b: &mut Bench, count: usize) -> Vec<(TaskId, kirosu_protocol::Fence)> {
    b.one(Command::EnqueueBatch(vec![NewTask::chat("p"); count]))
        .unwrap();
    let leased = b.lease(count as u32);
    assert_eq!(leased.len(), count);
    leased
        .iter()
        .map(|task| (task.task_id, task.fence))
        .collect()
}

/// The commands that enqueue a task with very many dependencies.
fn dependent(b: &mut Bench, depends_on: Vec<TaskId>) -> Vec<Command> {
    let count = depends_on.len();
    let child = NewTask {
        depends_on,
        ..NewTask::chat("child")
    };
    let mut all = commands(b, vec![child]);
    let Command::StagePart(BatchPart {
        batch, all: tasks, ..
    }) = all[0].clone()
    else {
        panic!("a part");
    };
    let parts = (0..count).step_by(MANY_DEPENDENCIES).map(|begin| {
        Command::InsertDependencies(DependencyPart {
            batch,
            all: tasks.clone(),
            task: 0,
            range: begin..(begin + MANY_DEPENDENCIES).min(count),
        })
    });
    let parts: Vec<_> = parts.collect();
    all.splice(1..1, parts);
    all
}

/// Acks these leases: the task is ready with the last of them, and not before.
fn ready_with_the_last(
    b: &mut Bench,
    child: TaskId,
    mut rest: Vec<(TaskId, kirosu_protocol::Fence)>,
    context: &str,
) {
    let last = rest.pop().unwrap();
    for (id, fence) in rest {
        b.ack(done(id, Some(fence))).unwrap();
    }
    // Work on dependents goes on with further batches.
    for _ in 0..1000 {
        if b.stats().blocked == 1 {
            break;
        }
        b.one(Command::Stats).unwrap();
    }
    assert_eq!(b.stats().blocked, 1, "{context}");
    assert_eq!(b.task(child).status, Status::Blocked, "{context}");
    b.ack(done(last.0, Some(last.1))).unwrap();
    assert_eq!(b.task(child).status, Status::Queued, "{context}");
}

#[test]
fn very_many_dependencies_are_stored_before_their_task_and_end_at_any_time() {
    for crash in 0..=6 {
        let mut b = Bench::new();
        let mut parents = leased(&mut b, DEPENDENCIES);
        let ids = parents.iter().map(|(id, _)| *id).collect();
        let all = dependent(&mut b, ids);
        assert_eq!(all.len(), 5);
        for (at, command) in all.into_iter().enumerate().take(crash) {
            b.one(command).unwrap();
            // One of each part ends between any two commits, and other tasks get ids.
            for part in [700, 300, 5] {
                let (id, fence) = parents.remove(part + at);
                b.ack(done(id, Some(fence))).unwrap();
            }
            b.chat("other");
        }
        let mut b = b.reopen();
        if crash == 0 {
            assert_eq!(b.stats().total_tasks, DEPENDENCIES as i64);
            continue;
        }
        // Its id was given out with the first commit.
        let child = DEPENDENCIES as TaskId + 1;
        assert_eq!(b.task(child).prompt, "child");
        assert_eq!(b.chat("next"), child + crash.min(5) as TaskId + 1);
        ready_with_the_last(&mut b, child, parents, &format!("crash after {crash}"));
    }
}

#[test]
fn a_dependency_whose_end_is_still_being_worked_on_is_counted_down_once() {
    let mut b = Bench::new();
    let mut parents = leased(&mut b, DEPENDENCIES);
    let first = parents.remove(0);
    let of_first = NewTask {
        depends_on: vec![first.0],
        ..NewTask::chat("of the first")
    };
    for _ in 0..10 {
        let batch = vec![of_first.clone(); 5000];
        b.one(Command::EnqueueBatch(batch)).unwrap();
    }
    let ids = parents.iter().map(|(id, _)| *id).chain([first.0]).collect();
    let mut all = dependent(&mut b, ids);
    let make = all.pop().unwrap();
    for command in all {
        b.one(command).unwrap();
    }
    let ack = Command::Ack(Box::new(done(first.0, Some(first.1))));
    let child = made(b.batch(vec![ack, make]).split_off(1))[0];
    let blocked = b.stats().blocked;
    assert!(blocked > 1, "the work on the first is over already");
    ready_with_the_last(&mut b, child.task_id, parents, "work");
}

#[test]
fn children_of_a_large_batch_whose_parent_has_ended_meanwhile_end_alone() {
    for prunes in [false, true] {
        let mut b = Bench::new();
        let (parent, other) = (b.chat("parent"), b.chat("other"));
        // A task on which an unfinished one depends is not pruned.
        let waiting = (!prunes).then(|| {
            b.enqueue(NewTask {
                depends_on: vec![parent, other],
                ..NewTask::chat("waits for both")
            })
        });
        let child = NewTask {
            parent_id: Some(parent),
            ends_with_parent: true,
            ..NewTask::chat("child")
        };
        let mut commands = commands(&mut b, vec![child; PART * PARTS]);
        for stage in commands.drain(..PARTS) {
            b.one(stage).unwrap();
        }
        let fence = b.lease(1)[0].fence;
        b.ack(done(parent, Some(fence))).unwrap();
        if prunes {
            b.now += 10_000;
            b.one(Command::Prune {
                before_ms: b.now,
                limit: 100,
            })
            .unwrap();
        }
        let made = made(b.batch(commands));
        assert_eq!(made.len(), PART * PARTS);
        assert!(made.iter().all(|task| task.status == Status::Cancelled));
        let why = b.task(made[0].task_id).error.unwrap();
        let end = if prunes { "was pruned" } else { "is done" };
        assert_eq!(why, format!("cancelled: its parent, task {parent}, {end}"));
        // The end of the parent does not count twice for those that depend on it.
        let waiting = waiting.map(|id| b.task(id).status);
        assert!(waiting.is_none_or(|status| status == Status::Blocked));
    }
}
