//! Tasks that continue the conversation of another: what they inherit, who may continue whom, and what a restart keeps.

use crate::common::{Bench, ask, done};
use diesel::sql_types::BigInt;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use kirosu_protocol::{
    AccessScope, Ack, ErrorCode, FailureClass, LeaseParams, NewTask, Task, TaskConversation, TaskId,
};
use kirosu_store::{Command, Outcome};
use serde_json::json;
use std::sync::Arc;

fn conversation(session: &str) -> Option<Box<TaskConversation>> {
    Some(Box::new(TaskConversation {
        session: session.into(),
        provider: "codex".into(),
        pool: Some("coders".into()),
        workdir: Some("/w".into()),
        data: Some(json!({"n": 1})),
        ..TaskConversation::default()
    }))
}

/// A task that is done, with a conversation.
fn finished(bench: &mut Bench, session: &str) -> TaskId {
    let id = bench.enqueue(NewTask {
        system_prompt: Some("be brief".into()),
        model: Some("m".into()),
        workdir: Some("sub".into()),
        labels: vec!["red".into()],
        timeout_ms: Some(60_000),
        priority: 3,
        ..NewTask::chat("first")
    });
    end(bench, id, conversation(session));
    id
}

fn lease(bench: &mut Bench) -> Vec<Task> {
    let queues = ["default", "coders", "other"].map(str::to_owned).to_vec();
    bench.lease_as(LeaseParams { queues, ..ask(1) }, None)
}

fn end(bench: &mut Bench, id: TaskId, conversation: Option<Box<TaskConversation>>) {
    let task = lease(bench).pop().unwrap();
    assert_eq!(task.task_id, id);
    let ack = Ack {
        conversation,
        ..done(id, Some(task.fence))
    };
    bench.ack(ack).unwrap();
}

/// Rows of the table of a store that is closed for it.
fn conversations(bench: Bench) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    let Bench {
        store,
        reader,
        options,
        directory,
        ..
    } = bench;
    drop((store, reader));
    let path = options.path.to_str().unwrap();
    let mut conn = SqliteConnection::establish(path).unwrap();
    let query = diesel::sql_query("SELECT count(*) AS n FROM conversation");
    let count = query.get_result::<Count>(&mut conn).unwrap().n;
    drop(directory);
    count
}

fn next(earlier: TaskId) -> NewTask {
    NewTask {
        prompt: "go on".into(),
        continues: Some(earlier),
        ..NewTask::default()
    }
}

fn refused(bench: &mut Bench, new: NewTask) -> String {
    let error = bench.one(Command::Enqueue(Box::new(new))).unwrap_err();
    error.message
}

#[test]
fn a_new_task_has_the_conversation_and_all_that_it_does_not_set_itself() {
    let mut bench = Bench::new();
    let first = finished(&mut bench, "s-1");
    let second = bench.enqueue(next(first));
    let mut bench = bench.reopen();
    let task = lease(&mut bench).pop().unwrap();
    assert_eq!(task.task_id, second);
    assert_eq!(
        (task.prompt.as_str(), task.queue.as_str()),
        ("go on", "coders")
    );
    assert_eq!(task.task_type, "chat");
    assert_eq!(task.system_prompt.as_deref(), Some("be brief"));
    assert_eq!(task.model.as_deref(), Some("m"));
    assert_eq!(task.workdir.as_deref(), Some("sub"));
    assert_eq!(task.timeout_ms, Some(60_000));
    assert_eq!(task.labels, ["red"]);
    assert_eq!(
        task.priority, 0,
        "the importance of the new prompt is its own"
    );
    let continued = task.continues.unwrap();
    assert_eq!(continued.task_id, first);
    assert_eq!(Some(Box::new(continued.conversation)), conversation("s-1"));
    assert_eq!(bench.task(second).continues.unwrap().task_id, first);
}

#[test]
fn what_the_new_task_sets_counts() {
    let mut bench = Bench::new();
    let first = finished(&mut bench, "s-1");
    let second = bench.enqueue(NewTask {
        queue: "other".into(),
        system_prompt: Some("be long".into()),
        model: Some("n".into()),
        labels: vec!["blue".into()],
        timeout_ms: Some(1000),
        ..next(first)
    });
    let task = bench.task(second);
    assert_eq!(task.queue, "other");
    assert_eq!(task.system_prompt.as_deref(), Some("be long"));
    assert_eq!(task.model.as_deref(), Some("n"));
    assert_eq!(task.labels, ["blue"]);
    assert_eq!(task.timeout_ms, Some(1000));
}

#[test]
fn a_conversation_is_a_line_of_one_task_after_another() {
    let mut bench = Bench::new();
    let first = finished(&mut bench, "s-1");
    let second = bench.enqueue(next(first));
    let why = refused(&mut bench, next(first));
    assert!(
        why.contains(&format!("task {second}, which is queued, continues it")),
        "{why}"
    );
    let why = refused(&mut bench, next(second));
    assert!(why.contains("when it has ended"), "{why}");
    // A task that ends without a conversation leaves the earlier one as the end of the line.
    end(&mut bench, second, None);
    let why = refused(&mut bench, next(second));
    assert!(why.contains("no conversation"), "{why}");
    let third = bench.enqueue(next(first));
    end(&mut bench, third, conversation("s-2"));
    let why = refused(&mut bench, next(first));
    assert!(why.contains(&format!("continue task {third}")), "{why}");
    let fourth = bench.enqueue(next(third));
    let of = bench.task(fourth).continues.unwrap();
    assert_eq!(
        (of.task_id, of.conversation.session.as_str()),
        (third, "s-2")
    );
    assert_eq!(refused(&mut bench, next(99)), "unknown task 99");
}

#[test]
fn only_the_conversation_of_the_newest_attempt_counts() {
    let mut bench = Bench::new();
    let id = bench.enqueue(NewTask {
        max_attempts: Some(2),
        ..NewTask::chat("x")
    });
    let task = lease(&mut bench).pop().unwrap();
    let failed = Ack::failed(id, Some(task.fence), FailureClass::Timeout, "slow");
    let with = Ack {
        conversation: conversation("old"),
        ..failed
    };
    bench.ack(with).unwrap();
    bench.now += 600_000;
    bench.one(Command::PromoteDue { limit: 10 }).unwrap();
    let task = lease(&mut bench).pop().unwrap();
    bench
        .ack(Ack::failed(
            id,
            Some(task.fence),
            FailureClass::Timeout,
            "slow",
        ))
        .unwrap();
    let why = refused(&mut bench, next(id));
    assert!(
        why.contains("no conversation of its newest attempt"),
        "{why}"
    );
    // A retry ends with one; a failed task can be continued as well.
    bench.one(Command::Retry { task: id }).unwrap();
    let task = lease(&mut bench).pop().unwrap();
    let failed = Ack::failed(id, Some(task.fence), FailureClass::BadInput, "no");
    let with = Ack {
        conversation: conversation("new"),
        ..failed
    };
    bench.ack(with).unwrap();
    let second = bench.enqueue(next(id));
    let of = bench.task(second).continues.unwrap();
    assert_eq!(of.conversation.session, "new");
    // It is not queued again meanwhile, alone or with others.
    let error = bench.one(Command::Retry { task: id }).unwrap_err();
    assert_eq!(error.code, ErrorCode::WrongState);
    assert!(
        error
            .message
            .contains(&format!("task {second}, which continues it")),
        "{error}"
    );
    let outcome = bench.one(Command::RetryFailed { queue: None }).unwrap();
    assert!(
        matches!(outcome, Outcome::Counted { count: 0, .. }),
        "{outcome:?}"
    );
}

#[test]
fn tasks_without_a_way_to_go_on_are_refused_at_once() {
    let mut bench = Bench::new();
    let id = bench.chat("x");
    let gone = TaskConversation {
        folder_removed: true,
        ..*conversation("s").unwrap()
    };
    end(&mut bench, id, Some(Box::new(gone)));
    let why = refused(&mut bench, next(id));
    assert!(why.contains("its folder was removed"), "{why}");
    let first = finished(&mut bench, "s-1");
    let other = NewTask {
        provider: Some("claude".into()),
        ..next(first)
    };
    let why = refused(&mut bench, other);
    assert!(why.contains("is one with 'codex'"), "{why}");
    let other = NewTask {
        task_type: "review".into(),
        ..next(first)
    };
    let why = refused(&mut bench, other);
    assert!(why.contains("`type` is 'review'"), "{why}");
    let error = bench
        .one(Command::EnqueueBatch(vec![next(first), NewTask::chat("y")]))
        .unwrap_err();
    assert!(
        error
            .message
            .contains("`tasks[0].continues` is for `enqueue` only"),
        "{error}"
    );
    let python = bench.enqueue(NewTask {
        task_type: "python".into(),
        ..NewTask::chat("1")
    });
    end(&mut bench, python, conversation("s"));
    let why = refused(&mut bench, next(python));
    assert!(why.contains("of the type 'python'"), "{why}");
}

#[test]
fn the_same_request_finds_its_task() {
    let mut bench = Bench::new();
    let first = finished(&mut bench, "s-1");
    let keyed = || NewTask {
        idempotency_key: Some("k".into()),
        ..next(first)
    };
    let second = bench.enqueue(keyed());
    assert_eq!(bench.enqueue(keyed()), second);
    let mut bench = bench.reopen();
    assert_eq!(bench.enqueue(keyed()), second);
}

#[test]
fn a_pruned_task_takes_its_conversation_along() {
    let mut bench = Bench::new();
    let first = finished(&mut bench, "s-1");
    let second = bench.enqueue(next(first));
    bench.now += 1000;
    let before_ms = bench.now;
    let prune = Command::Prune {
        before_ms,
        limit: 100,
    };
    while matches!(
        bench.one(prune.clone()),
        Ok(Outcome::Counted { more: true, .. })
    ) {}
    assert!(bench.reader.get(first, 1).unwrap().is_none());
    let task = lease(&mut bench).pop().unwrap();
    assert_eq!(task.task_id, second);
    assert_eq!(task.continues.unwrap().conversation.session, "s-1");
    assert_eq!(conversations(bench), 0);
}

#[test]
fn a_limited_key_needs_both_tasks_within_its_limits() {
    let mut bench = Bench::new();
    let first = finished(&mut bench, "s-1");
    let mut within = |queues: &[&str], labels: &[&str], new: NewTask| {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        let scope = AccessScope {
            queues: names(queues),
            labels: names(labels),
            ..AccessScope::default()
        };
        let command = Command::InScope {
            scope: Arc::new(scope),
            command: Box::new(Command::Enqueue(Box::new(new))),
        };
        bench.one(command).map_err(|error| error.code)
    };
    let forbidden = Err(ErrorCode::Forbidden);
    // The earlier task is in the queue `default`, the new one would be in that of the pool.
    assert_eq!(within(&["coders"], &[], next(first)), forbidden);
    assert_eq!(within(&["default"], &[], next(first)), forbidden);
    assert_eq!(within(&[], &["blue"], next(first)), forbidden);
    let here = NewTask {
        queue: "default".into(),
        ..next(first)
    };
    within(&["default"], &["red"], here).unwrap();
}
