//! The statements of a plain task: budgets, approvals and acceptance cost nothing when they are not used.

use super::tests::connection;
use crate::{Command, Outcome, Store, StoreOptions};
use diesel::connection::{Connection, InstrumentationEvent};
use kirosu_protocol::{Ack, FailureClass, LeaseParams, NewTask};
use std::sync::{Arc, Mutex};

/// The first words of each statement, up to the table's name.
fn head(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let table = words
        .iter()
        .position(|w| ["INTO", "FROM", "UPDATE"].contains(w));
    let table = table.and_then(|at| words.get(at + 1)).copied();
    format!("{} {}", words[0], table.unwrap_or_default())
        .trim()
        .to_owned()
}

#[test]
fn a_plain_task_runs_no_statement_of_unused_features() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&StoreOptions::new(directory.path().join("db"), 0)).unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let into = seen.clone();
    connection(&mut store).set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            into.lock().unwrap().push(head(&query.to_string()));
        }
    });
    let cost = |store: &mut Store, command: Command| {
        seen.lock().unwrap().clear();
        let mut applied = store.apply(1, vec![command]);
        let outcome = applied.outcomes.pop().unwrap().unwrap();
        (outcome, seen.lock().unwrap().join(", "))
    };
    let lease = || Command::Lease {
        ask: LeaseParams {
            max_tasks: 1,
            ..LeaseParams::one("w")
        },
        session: None,
        park: None,
        spent: 0,
    };
    let new = || Command::Enqueue(Box::new(NewTask::chat("p")));
    let mut told = Vec::new();
    // Once to warm up: the first task adds the lane.
    for _ in 0..2 {
        told.clear();
        let mut step = |name: &str, command| {
            let (outcome, said) = cost(&mut store, command);
            told.push(format!("{name}: {said}"));
            outcome
        };
        let live = |step: &mut dyn FnMut(&str, Command) -> Outcome| {
            step("enqueue", new());
            match step("lease", lease()) {
                Outcome::Leased(tasks) => (tasks[0].task_id, tasks[0].fence),
                other => panic!("{other:?}"),
            }
        };
        let (task, fence) = live(&mut step);
        step(
            "heartbeat",
            Command::Heartbeat {
                task,
                fence,
                lease_ms: None,
            },
        );
        step(
            "done",
            Command::Ack(Box::new(Ack::done(task, Some(fence), "r"))),
        );
        let (task, fence) = live(&mut step);
        let class = FailureClass::ProviderError;
        step(
            "failed",
            Command::Ack(Box::new(Ack::failed(task, Some(fence), class, "e"))),
        );
    }
    // The statements of the version before budgets, approvals and acceptance.
    let enqueue = "enqueue: BEGIN, INSERT task, INSERT task_input, UPDATE lane, COMMIT";
    let lease = "lease: BEGIN, UPDATE task, UPDATE lane, COMMIT";
    let expected = [
        enqueue,
        lease,
        "heartbeat: BEGIN, UPDATE task, COMMIT",
        "done: BEGIN, INSERT attempt, UPDATE task, UPDATE lane, COMMIT",
        enqueue,
        lease,
        "failed: BEGIN, INSERT attempt, SELECT task_input, UPDATE task, UPDATE lane, COMMIT",
    ];
    assert_eq!(told, expected);
}
