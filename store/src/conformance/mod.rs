//! The conformance suite of [`Backend`]: every implementation must pass it. To add one, add a line to `backends!`.

mod records;
mod seam;

use crate::backend::{Backend, Changes, TaskChange};
use crate::lanes::Lanes;
use crate::row::{LongInput, TaskInput, TaskRow};
use crate::sql::attempt::{InsertAttempt, SelectAttemptEnd};
use crate::sql::cold::InsertKey;
use crate::sql::long_text::{DropLongText, InsertLongText, InsertPiece, UseLongText};
use crate::sql::sets::{SelectDue, SelectExpired, SelectFinished, SelectNextDue, SelectNextExpiry};
use crate::sql::task::SelectReady;
use crate::sqlite::SqliteBackend;
use crate::{Command, Outcome, Store, StoreOptions, SyncMode};
use kirosu_protocol::{Ack, Fence, LeaseParams, NewTask, Status, TaskId};
use records::{
    a_budget_is_read_as_written, a_permission_request_ends_once, a_schedule_is_read_as_written,
    credentials_are_loaded, dependencies_are_added_up, sessions_of_browsers_are_loaded,
};
use std::path::Path;

/// The time of every test, in Unix milliseconds.
const NOW: i64 = 1_000_000;

/// An empty database, and the directory that it needs.
struct Fixture {
    db: Box<dyn Backend>,
    options: StoreOptions,
    _directory: tempfile::TempDir,
}

fn sqlite(directory: tempfile::TempDir, durability: SyncMode) -> Fixture {
    let options = StoreOptions {
        durability,
        ..StoreOptions::new(directory.path().join("db"), NOW)
    };
    Fixture {
        db: Box::new(SqliteBackend::open(&options).unwrap()),
        options,
        _directory: directory,
    }
}

fn on_disk() -> Fixture {
    sqlite(tempfile::tempdir().unwrap(), SyncMode::Full)
}

fn in_memory() -> Fixture {
    let memory = Path::new("/dev/shm");
    let directory = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    sqlite(directory, SyncMode::Normal)
}

/// Runs each case of the suite on each backend.
macro_rules! backends {
    ($($backend:ident),*; $cases:tt) => { $(backends!(@ $backend $cases);)* };
    (@ $backend:ident { $($case:ident),* $(,)? }) => {
        mod $backend {
            $(#[test]
            fn $case() {
                super::$case(super::$backend());
            })*
        }
    };
}

backends! { on_disk, in_memory; {
    changes_are_read_before_the_commit_and_kept_after_it,
    what_is_not_committed_is_undone,
    a_guard_that_does_not_hold_is_a_fault,
    texts_are_read_with_their_pieces,
    rows_and_keys_that_exist_are_found,
    ready_tasks_come_by_priority_then_id,
    deadlines_are_the_earliest,
    dependencies_are_added_up,
    a_permission_request_ends_once,
    an_attempt_is_replaced_by_a_late_ack,
    a_budget_is_read_as_written,
    credentials_are_loaded,
    sessions_of_browsers_are_loaded,
    a_schedule_is_read_as_written,
    finished_tasks_come_by_id,
    a_store_runs_on_it,
} }

fn row(id: TaskId, state: Status) -> TaskRow {
    TaskRow {
        id,
        state,
        lane: 1,
        priority: 0,
        fence: 0,
        attempts: 0,
        max_attempts: Some(3),
        run_at: None,
        lease_until: None,
        lease_ms: None,
        leased_at: None,
        session: None,
        worker: None,
        leased_by: None,
        created_at: NOW,
        updated_at: NOW,
        finished_at: state.is_final().then_some(NOW),
        flags: Default::default(),
        blocked_by: 0,
    }
}

impl Fixture {
    /// Adds rows to the lane `q`/`chat` within the open transaction.
    fn insert(&mut self, rows: &[TaskRow]) {
        let input = TaskInput {
            prompt: "p".into(),
            ..TaskInput::default()
        };
        let change = |row| TaskChange {
            row,
            saved: None,
            input: Some(&input),
        };
        let changes = Changes {
            tasks: rows.iter().map(change).collect(),
            ..Changes::default()
        };
        self.db.apply(&changes).unwrap();
    }

    fn update(&mut self, row: &TaskRow, saved: (Status, Fence)) -> crate::backend::Result<()> {
        let change = TaskChange {
            row,
            saved: Some(saved),
            input: None,
        };
        self.db.apply(&Changes {
            tasks: vec![change],
            ..Changes::default()
        })
    }

    fn commit(&mut self) {
        self.db.commit(&Changes::default()).unwrap();
    }
}

fn changes_are_read_before_the_commit_and_kept_after_it(mut it: Fixture) {
    let mut lanes = Lanes::default();
    let lane = lanes.make("q", "chat");
    lanes.count(lane, Status::Queued, 1);
    let queued = row(1, Status::Queued);
    let queued = [queued];
    it.insert(&queued);
    assert_eq!(it.db.rows(&[1]).unwrap(), queued);
    assert_eq!(it.db.input(1).unwrap().unwrap().prompt, "p");
    assert_eq!(it.db.input(2).unwrap(), None);
    let changes = Changes {
        lanes: lanes.changes(),
        counters: vec![("last_id", 7)],
        ..Changes::default()
    };
    it.db.commit(&changes).unwrap();
    it.db.reopen(NOW).unwrap();
    assert_eq!(it.db.rows(&[1]).unwrap(), queued);
    let loaded = it.db.load(0).unwrap();
    assert_eq!((loaded.last_id, loaded.last_lane), (1, lane));
    assert_eq!(loaded.lanes[0].counts[0], 1);
    assert!(loaded.counters.contains(&("last_id".to_owned(), 7)));
}

fn what_is_not_committed_is_undone(mut it: Fixture) {
    it.insert(&[row(1, Status::Queued)]);
    it.commit();
    it.insert(&[row(2, Status::Queued)]);
    it.db.reopen(NOW).unwrap();
    assert!(!it.db.is_commit_in_doubt());
    assert_eq!(it.db.rows(&[1, 2]).unwrap().len(), 1);
    // Without changes and without a transaction a commit does nothing.
    it.commit();
}

fn a_guard_that_does_not_hold_is_a_fault(mut it: Fixture) {
    let mut changed = row(1, Status::Queued);
    it.insert(std::slice::from_ref(&changed));
    it.commit();
    (changed.state, changed.fence) = (Status::Leased, 5);
    it.update(&changed, (Status::Queued, 0)).unwrap();
    it.commit();
    changed.state = Status::Done;
    let fault = it.update(&changed, (Status::Leased, 4)).unwrap_err();
    assert!(!fault.is_of_the_disk(), "{fault}");
}

fn rows_and_keys_that_exist_are_found(mut it: Fixture) {
    it.insert(&[
        row(1, Status::Queued),
        row(2, Status::Done),
        row(3, Status::Queued),
    ]);
    for (key, task_id) in [("a", 1), ("b\"", 2)] {
        let body = 10 + task_id;
        it.db
            .write(InsertKey { key, task_id, body }.into())
            .unwrap();
    }
    let mut ids: Vec<TaskId> = it
        .db
        .rows(&[3, 9, 1])
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 3]);
    let mut keys = it.db.keys(&["b\"", "none", "a"]).unwrap();
    keys.sort();
    assert_eq!(
        keys,
        [
            ("a".to_owned(), 1, Some(11)),
            ("b\"".to_owned(), 2, Some(12))
        ]
    );
    assert_eq!(it.db.keys(&["a"]).unwrap().len(), 1);
}

fn texts_are_read_with_their_pieces(mut it: Fixture) {
    let id = 5;
    let (from, upto) = (id << 20, (id << 20) + (1 << 20) - 1);
    let second = from + (1 << 19);
    let texts = InsertLongText {
        id,
        state: 0,
        first: 4,
        second: 2,
    };
    it.db.write(texts.into()).unwrap();
    let mut used = Vec::new();
    for (id, text) in [(from, "b"), (from + 1, "éd"), (second, "yz")] {
        let complete = UseLongText { id: 5, from, upto };
        used.push(it.db.write(complete.into()).unwrap());
        it.db.write(InsertPiece { id, text }.into()).unwrap();
    }
    used.push(it.db.write(UseLongText { id, from, upto }.into()).unwrap());
    assert_eq!(used, [0, 0, 0, 1], "only with all of its pieces");
    let input = TaskInput {
        prompt: "a".into(),
        system_prompt: Some("x".into()),
        long: Some(LongInput {
            text: id,
            whole: None,
        }),
        ..TaskInput::default()
    };
    let row = row(1, Status::Queued);
    let change = TaskChange {
        row: &row,
        saved: None,
        input: Some(&input),
    };
    let changes = Changes {
        tasks: vec![change],
        ..Changes::default()
    };
    it.db.apply(&changes).unwrap();
    let whole = it.db.input(1).unwrap().unwrap();
    assert_eq!(whole.prompt, "abéd");
    assert_eq!(whole.system_prompt.as_deref(), Some("xyz"));
    // One that is used is not dropped.
    assert_eq!(it.db.write(DropLongText { id }.into()).unwrap(), 0);
}

fn ready_tasks_come_by_priority_then_id(mut it: Fixture) {
    let with = |id, priority| TaskRow {
        priority,
        ..row(id, Status::Queued)
    };
    it.insert(&[
        with(1, 0),
        with(2, 5),
        with(3, 5),
        with(4, -1),
        row(5, Status::Done),
    ]);
    let ready = it
        .db
        .tasks(SelectReady { lane: 1, limit: 3 }.into())
        .unwrap();
    assert_eq!(
        ready.iter().map(|row| row.id).collect::<Vec<_>>(),
        [2, 3, 1]
    );
    assert!(
        it.db
            .tasks(SelectReady { lane: 2, limit: 3 }.into())
            .unwrap()
            .is_empty()
    );
}

fn deadlines_are_the_earliest(mut it: Fixture) {
    assert_eq!(it.db.number(SelectNextExpiry {}.into()).unwrap(), None);
    let leased = |id, until| TaskRow {
        lease_until: Some(until),
        ..row(id, Status::Leased)
    };
    let scheduled = |id, at| TaskRow {
        run_at: Some(at),
        ..row(id, Status::Scheduled)
    };
    it.insert(&[
        leased(1, 30),
        leased(2, 20),
        scheduled(3, 50),
        scheduled(4, 40),
    ]);
    assert_eq!(it.db.number(SelectNextExpiry {}.into()).unwrap(), Some(20));
    assert_eq!(it.db.number(SelectNextDue {}.into()).unwrap(), Some(40));
    let expired = SelectExpired {
        until: 30,
        limit: 9,
    };
    assert_eq!(it.db.ids(expired.into()).unwrap(), [2, 1]);
    let due = SelectDue {
        until: 40,
        limit: 9,
    };
    assert_eq!(it.db.ids(due.into()).unwrap(), [4]);
}

fn an_attempt_is_replaced_by_a_late_ack(mut it: Fixture) {
    let query = || SelectAttemptEnd {
        task_id: 1,
        fence: 2,
    };
    assert!(it.db.attempt_end(query()).unwrap().is_none());
    for outcome in ["lost", "done"] {
        let attempt = InsertAttempt {
            text_id: None,
            task_id: 1,
            fence: 2,
            outcome,
            worker: Some("w"),
            started_at: NOW,
            ended_at: NOW,
            result: None,
            error: None,
            usage: None,
            provider: None,
        };
        it.db.write(attempt.into()).unwrap();
    }
    assert_eq!(it.db.attempt_end(query()).unwrap().unwrap().outcome, "done");
}

fn finished_tasks_come_by_id(mut it: Fixture) {
    it.insert(&[
        row(3, Status::Failed),
        row(1, Status::Done),
        row(2, Status::Queued),
    ]);
    let query = SelectFinished {
        after: 0,
        last: 9,
        limit: 9,
    };
    let found = it.db.finished(query).unwrap();
    let found: Vec<_> = found.iter().map(|task| (task.id, task.state)).collect();
    assert_eq!(found, [(1, Status::Done), (3, Status::Failed)]);
}

fn a_store_runs_on_it(it: Fixture) {
    let mut store = Store::with(it.db, &it.options).unwrap();
    let mut one = |command| store.apply(NOW, vec![command]).outcomes.remove(0).unwrap();
    let tasks = ["a", "b", "c"].map(|key| NewTask {
        idempotency_key: Some(key.to_owned()),
        ..NewTask::chat(key)
    });
    one(Command::EnqueueBatch(tasks.to_vec()));
    let again = one(Command::EnqueueBatch(tasks.to_vec()));
    assert!(matches!(again, Outcome::Batch(made) if made.iter().all(|made| made.existed)));
    let leased = one(Command::Lease {
        ask: LeaseParams {
            max_tasks: 9,
            ..LeaseParams::one("w")
        },
        session: None,
        park: None,
        spent: 0,
    });
    let Outcome::Leased(leased) = leased else {
        panic!("{leased:?}");
    };
    let acks = leased
        .iter()
        .map(|task| Ack::done(task.task_id, Some(task.fence), "r"));
    one(Command::Acks(acks.collect()));
    assert_eq!(store.stats(NOW).done, 3);
}
