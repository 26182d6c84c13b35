//! Failing statements and panics.

use crate::sqlite::SqliteBackend;
use crate::{Applied, Command, Outcome, Store, StoreOptions};
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use kirosu_protocol::{Ack, ErrorCode, LeaseParams, NewTask, Task};
use std::any::Any;

/// The connection of a store.
pub(super) fn connection(store: &mut Store) -> &mut SqliteConnection {
    let backend: &mut dyn Any = &mut *store.core.db;
    &mut backend.downcast_mut::<SqliteBackend>().unwrap().conn
}

/// The prompt that makes `enqueue` panic.
const PANIC: &str = "\u{1}panic";

/// Panics on the prompt that asks for it.
pub(crate) fn failpoint(prompt: &str) {
    assert!(prompt != PANIC, "asked to panic");
}

fn enqueue(prompt: &str) -> Command {
    Command::Enqueue(Box::new(NewTask::chat(prompt)))
}

fn park(park: u64) -> Command {
    Command::Lease {
        ask: LeaseParams {
            worker_id: "w".into(),
            max_tasks: 1,
            lease_ms: None,
            wait_ms: 1000,
            queues: vec!["default".into()],
            types: vec![],
            exclude_types: vec![],
        },
        session: None,
        park: Some(park),
        spent: 0,
    }
}

fn open(directory: &tempfile::TempDir) -> Store {
    Store::open(&StoreOptions::new(directory.path().join("db"), 0)).unwrap()
}

fn woken(applied: &Applied) -> Vec<(u64, &str)> {
    let prompt = |tasks: &'_ [Task]| tasks[0].prompt.clone();
    applied
        .woken
        .iter()
        .map(|(park, tasks)| (*park, prompt(tasks).leak() as &str))
        .collect()
}

#[test]
fn a_panic_refuses_the_guilty_command_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(&directory);
    store.apply(1, vec![park(1)]);
    let applied = store.apply(1, vec![enqueue("a"), park(2), enqueue(PANIC), enqueue("b")]);
    let codes: Vec<_> = applied
        .outcomes
        .iter()
        .map(|o| o.as_ref().err().map(|e| e.code))
        .collect();
    assert_eq!(codes, [None, None, Some(ErrorCode::Internal), None]);
    assert_eq!(woken(&applied), [(1, "a"), (2, "b")]);
    assert_eq!(store.stats(1).total_tasks, 2);
    drop(store);
    assert_eq!(open(&directory).stats(1).leased, 2);
}

#[test]
fn an_undone_batch_reports_the_leases_that_its_commands_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(&directory);
    let child = Command::Enqueue(Box::new(NewTask {
        parent_id: Some(1),
        ends_with_parent: true,
        ..NewTask::chat("child")
    }));
    let leased = store.apply(1, vec![park(1), enqueue("parent"), park(2), child]);
    assert_eq!(woken(&leased), [(1, "parent"), (2, "child")]);
    let lease = |at: usize| (leased.woken[at].1[0].task_id, leased.woken[at].1[0].fence);
    let (parent, fence) = lease(0);
    let ack = Command::Ack(Box::new(Ack::done(parent, Some(fence), "r")));
    let applied = store.apply(2, vec![ack, enqueue(PANIC), enqueue("after")]);
    let is_done: Vec<bool> = applied.outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(is_done, [true, false, true]);
    let ended = applied.ended.iter();
    let ended: Vec<_> = ended.map(|it| (it.task_id, it.fence)).collect();
    assert_eq!(ended, [lease(1)], "once, and the child's alone");
}

#[test]
fn a_full_disk_refuses_the_batch_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(&directory);
    store.apply(1, vec![park(1), enqueue("a"), park(2)]);
    let before = store.stats(1);
    let conn = connection(&mut store);
    conn.batch_execute("PRAGMA max_page_count = 1").unwrap();
    let large = "x".repeat(1_000_000);
    let applied = store.apply(1, vec![enqueue("b"), enqueue(&large), park(3)]);
    for outcome in &applied.outcomes {
        let error = outcome.as_ref().unwrap_err();
        assert!(error.message.contains("full"), "{error}");
    }
    assert!(applied.woken.is_empty() && applied.changes.is_empty());
    assert_eq!(
        (store.stats(1), store.parked()),
        (before, 1),
        "who waited waits on"
    );
    let applied = store.apply(1, vec![enqueue("c")]);
    assert_eq!(woken(&applied), [(2, "c")]);
    assert!(matches!(applied.outcomes[0], Ok(Outcome::Enqueued(made)) if made.task_id == 2));
}

#[test]
fn a_file_that_cannot_be_opened_again_is_tried_with_each_batch() {
    let directory = tempfile::tempdir().unwrap();
    let (path, aside) = (directory.path().join("db"), directory.path().join("aside"));
    let mut store = open(&directory);
    store.apply(1, vec![park(1), enqueue("a"), park(2), park(3)]);
    let conn = connection(&mut store);
    conn.batch_execute("PRAGMA max_page_count = 1").unwrap();
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir(&path).unwrap();
    let large = enqueue(&"x".repeat(1_000_000));
    for batch in [vec![large, park(4)], vec![enqueue("b"), Command::Unpark(2)]] {
        let applied = store.apply(1, batch);
        let refused = applied.outcomes[0].as_ref().unwrap_err();
        assert!(refused.message.contains("send it again"), "{refused}");
        assert!(applied.woken.is_empty() && applied.changes.is_empty());
    }
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    let applied = store.apply(1, vec![enqueue("c")]);
    assert_eq!(woken(&applied), [(3, "c")], "who waited waits on");
    assert_eq!(store.stats(1).total_tasks, 2);
}
