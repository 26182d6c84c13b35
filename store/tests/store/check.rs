//! The check of a store without a hub finds what contradicts the rules of its rows.

use crate::common::*;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use kirosu_protocol::NewTask;
use kirosu_store::*;

/// A store with tasks in several states.
fn store() -> (StoreOptions, tempfile::TempDir) {
    let mut b = Bench::new();
    for key in ["a", "b", "c"] {
        b.enqueue(NewTask {
            labels: vec!["night".into()],
            idempotency_key: Some(key.into()),
            ..NewTask::chat(key)
        });
    }
    let waits = NewTask {
        depends_on: vec![3],
        ..NewTask::chat("d")
    };
    b.enqueue(waits);
    let leased = b.lease(2);
    b.ack(done(1, Some(leased[0].fence))).unwrap();
    let Bench {
        options, directory, ..
    } = b.reopen();
    (options, directory)
}

fn findings_after(change: &str) -> Vec<String> {
    let (options, _folder) = store();
    let mut conn = SqliteConnection::establish(&options.path.to_string_lossy()).unwrap();
    conn.batch_execute(change).unwrap();
    drop(conn);
    check(&options.path).unwrap().findings
}

#[test]
fn a_sound_store_has_no_findings_and_is_left_unchanged() {
    let (options, _folder) = store();
    let checked = check(&options.path).unwrap();
    assert_eq!(
        (checked.findings.len(), checked.pending, checked.tasks),
        (0, 0, 4)
    );
    let held = Store::open(&options).unwrap();
    let refused = check(&options.path).unwrap_err().to_string();
    assert!(refused.contains("another hub has it"), "{refused}");
    drop(held);
}

#[test]
fn each_contradiction_is_found() {
    for (change, finding) in [
        (
            "UPDATE lane SET done = done + 1",
            "lanes with wrong counts of their tasks: 1, such as 1",
        ),
        (
            "DELETE FROM task WHERE id = 4",
            "lanes with wrong counts of their tasks: 1, such as 1",
        ),
        (
            "DELETE FROM task_input WHERE task_id >= 2",
            "tasks without a prompt: 3, such as 2",
        ),
        (
            "UPDATE task SET fence = fence + 1 WHERE id = 1",
            "tasks with a result in an attempt that does not exist: 1, such as 1",
        ),
        (
            "UPDATE task SET flags = 2 WHERE id = 1",
            "tasks with a result in a note that does not exist: 1, such as 1",
        ),
        (
            "UPDATE task SET lane = 7 WHERE id = 2",
            "tasks in a lane that does not exist: 1, such as 2",
        ),
        (
            "UPDATE task SET state = 8 WHERE id = 2",
            "tasks with an unknown state: 1, such as 2",
        ),
        (
            "UPDATE task SET finished_at = 1 WHERE id = 2",
            "tasks that ended without a time, or have one and did not: 1, such as 2",
        ),
        (
            "UPDATE task SET blocked_by = 0",
            "tasks that wait for no other one: 1, such as 4",
        ),
        (
            "UPDATE task SET lease_until = NULL",
            "tasks with a lease without a deadline: 1, such as 2",
        ),
        (
            "UPDATE lane SET newest_done = 0",
            "lanes with done tasks above the highest id that they know: 1, such as 1",
        ),
        (
            "INSERT INTO task_label VALUES ('x', 9)",
            "labels of no task: 1, such as 9",
        ),
        (
            "INSERT INTO idempotency VALUES ('x', 9, 0)",
            "idempotency keys of no task: 1, such as 9",
        ),
        (
            "INSERT INTO note (task_id) VALUES (9)",
            "notes of no task: 1, such as 9",
        ),
        (
            "INSERT INTO long_text VALUES (5, 1, 10, 0)",
            "long texts without all of their pieces: 1, such as 5",
        ),
    ] {
        let findings = findings_after(change);
        assert!(
            findings.iter().any(|it| it == finding),
            "{change}: {findings:?}"
        );
    }
}
