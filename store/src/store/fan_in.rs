//! The cost of ends and retries of the many dependencies of one task.

use super::tests::connection;
use crate::{Command, Store, StoreOptions};
use diesel::connection::{Connection, InstrumentationEvent};
use kirosu_protocol::{NewTask, Status, TaskId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const SOURCES: TaskId = 1000;

#[test]
fn not_all_dependencies_are_read_for_each_retried_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&StoreOptions::new(directory.path().join("db"), 0)).unwrap();
    let looks: Arc<AtomicUsize> = Arc::default();
    let seen = looks.clone();
    connection(&mut store).set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && query.to_string().contains("dependency d LEFT JOIN task")
        {
            seen.fetch_add(1, Ordering::Relaxed);
        }
    });
    let apply = |store: &mut Store, commands: Vec<Command>| {
        let applied = store.apply(1, commands);
        assert!(applied.outcomes.iter().all(Result::is_ok));
        while !store.core.works.is_empty() {
            store.apply(1, Vec::new());
        }
    };
    let sources = vec![NewTask::chat("source"); SOURCES as usize];
    apply(&mut store, vec![Command::EnqueueBatch(sources)]);
    let last = SOURCES + 1;
    let all = NewTask {
        depends_on: (1..=SOURCES).collect(),
        ..NewTask::chat("all")
    };
    apply(&mut store, vec![Command::Enqueue(Box::new(all))]);
    let cancel = |task| Command::Cancel {
        task,
        by: None,
        reason: None,
    };
    // From both ends, in small commits and large ones, with some that end again in between.
    let newest_first: Vec<TaskId> = (1..=SOURCES).rev().collect();
    let oldest_first: Vec<TaskId> = (1..=SOURCES).collect();
    for (order, page) in [(oldest_first, 100), (newest_first, 7)] {
        apply(&mut store, order.iter().copied().map(cancel).collect());
        assert_eq!(store.core.row(last).unwrap().unwrap().state, Status::Failed);
        looks.store(0, Ordering::Relaxed);
        for (number, tasks) in order.chunks(page).enumerate() {
            let retry = |task: &TaskId| Command::Retry { task: *task };
            apply(&mut store, tasks.iter().map(retry).collect());
            if number == 3 {
                apply(&mut store, vec![cancel(tasks[0])]);
                apply(&mut store, vec![retry(&tasks[0])]);
            }
        }
        let state = store.core.row(last).unwrap().unwrap().state;
        assert_eq!(state, Status::Blocked, "it waits for them again");
        let looks = looks.load(Ordering::Relaxed);
        assert!((1..10).contains(&looks), "{looks} looks at all of them");
    }
}
