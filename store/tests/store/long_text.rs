//! Long texts are stored in pieces before their row: read back whole, all or nothing, and deleted in steps.

use crate::common::*;
use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use kirosu_protocol::{Ack, ErrorCode, FailureClass, NewTask, Status, TaskId};
use kirosu_store::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A text of about 1.3 MB whose characters have 4, 3, 2 and 1 bytes, so that the borders of pieces are within some.
fn text(salt: usize) -> String {
    let begin = "x".repeat(salt);
    begin + &"😀€éa".repeat(130_000)
}

fn human(prompt: String) -> NewTask {
    NewTask {
        task_type: "human".into(),
        ..NewTask::chat(prompt)
    }
}

/// The commands that enqueue tasks, the texts of all of which are long.
fn enqueue_all(b: &mut Bench, mut tasks: Vec<NewTask>) -> Vec<Command> {
    let (mut commands, mut long) = (Vec::new(), BTreeMap::new());
    for (at, new) in tasks.iter_mut().enumerate() {
        let (task, stage) = LongTask::shorten(new, None, b.store.new_text());
        long.insert(at, task);
        commands.extend(stage);
    }
    let part = BatchPart {
        batch: b.store.new_batch(),
        range: 0..tasks.len(),
        all: Arc::new(tasks),
        long: Arc::new(long),
    };
    commands.extend([Command::StagePart(part.clone()), Command::MakePart(part)]);
    commands
}

fn enqueue(b: &mut Bench, new: NewTask) -> Vec<Command> {
    enqueue_all(b, vec![new])
}

/// Carries the commands out, one commit each. Returns the last outcome, or the first refusal.
fn each(b: &mut Bench, commands: Vec<Command>) -> Result<Outcome, kirosu_protocol::Error> {
    let mut last = Ok(Outcome::Ok);
    for command in commands {
        last = b.one(command);
        last.as_ref().map_err(Clone::clone)?;
    }
    last
}

fn made(outcome: Result<Outcome, kirosu_protocol::Error>) -> EnqueuedTask {
    match outcome {
        Ok(Outcome::Batch(made)) => made[0],
        other => panic!("{other:?}"),
    }
}

fn long_enqueue(b: &mut Bench, new: NewTask) -> TaskId {
    let commands = enqueue(b, new);
    made(each(b, commands)).task_id
}

fn keyed(salt: usize) -> NewTask {
    NewTask {
        idempotency_key: Some("k".into()),
        ..NewTask::chat(text(salt))
    }
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

/// The numbers of long texts and of pieces in the file of a store that is closed for it.
fn stored(b: Bench) -> ([i64; 2], Bench) {
    let path = b.options.path.clone();
    let b = closed(b, || counts(&path));
    (b.0, b.1)
}

fn counts(path: &Path) -> [i64; 2] {
    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    ["long_text", "text_piece"].map(|table| {
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM {table}"));
        query.get_result::<Count>(&mut conn).unwrap().count
    })
}

/// Runs something while the store is closed, and opens it again.
fn closed<T>(b: Bench, run: impl FnOnce() -> T) -> (T, Bench) {
    let Bench {
        store,
        reader,
        now,
        options,
        woken,
        ended,
        directory,
    } = b;
    drop((reader, store));
    let result = run();
    let b = Bench {
        store: Store::open(&options).unwrap(),
        reader: StoreReader::open(&options.path).unwrap(),
        now,
        options,
        woken,
        ended,
        directory,
    };
    (result, b)
}

/// Lets commits delete what no row refers to. Returns their number.
fn settle(b: &mut Bench) -> usize {
    for commits in 0..1000 {
        if b.store.next_deadline().is_none_or(|at| at > b.now) {
            return commits;
        }
        b.one(Command::Stats).unwrap();
    }
    panic!("the work has no end");
}

#[test]
fn every_text_is_read_back_whole() {
    for salt in 0..4 {
        let mut b = Bench::new();
        let new = NewTask {
            system_prompt: Some(text(salt + 1)),
            ..NewTask::chat(text(salt))
        };
        let id = long_enqueue(&mut b, new.clone());
        let same = |task: &kirosu_protocol::Task| {
            assert!(task.prompt == new.prompt, "{} bytes", task.prompt.len());
            assert!(task.system_prompt == new.system_prompt);
        };
        same(&b.task(id));
        let lease = b.lease(1).remove(0);
        same(&lease);
        let ack = Ack {
            error: Some(text(salt + 3)),
            ..Ack::done(id, Some(lease.fence), text(salt + 2))
        };
        let text_id = b.store.new_text();
        let acked = each(&mut b, long_ack(ack.clone(), text_id)).unwrap();
        assert!(matches!(acked, Outcome::Acked(acked) if acked.newly));
        let mut b = b.reopen();
        let detail = b.detail(id);
        same(&detail.task);
        assert_eq!(detail.task.status, Status::Done);
        assert!(detail.task.result == ack.result && detail.task.error == ack.error);
        assert!(detail.attempts[0].error == ack.error);
        let all = [&new.prompt, &new.system_prompt.unwrap()].map(String::len);
        let bytes =
            all.iter().sum::<usize>() + ack.result.unwrap().len() + ack.error.unwrap().len();
        assert_eq!(b.reader.size_of(id, None, 0).unwrap(), bytes as u64);
        // Texts that are longer than the caller allows are not read.
        let seen = b
            .reader
            .visit(&[id], Texts::Whole, bytes as u64 - 1, |_| true);
        assert_eq!(seen.unwrap().needs, Some(bytes as u64));
    }
}

#[test]
fn a_lease_after_a_start_reads_both_texts_from_the_file() {
    let mut b = Bench::new();
    let other = "s".repeat(1_300_000);
    let new = NewTask {
        system_prompt: Some(other.clone()),
        ..NewTask::chat(text(0))
    };
    long_enqueue(&mut b, new);
    let mut b = b.reopen();
    let lease = b.lease(1).remove(0);
    assert!(lease.prompt == text(0));
    assert!(lease.system_prompt == Some(other));
}

#[test]
fn a_task_is_leased_in_the_commit_that_makes_it() {
    let mut b = Bench::new();
    let park = Command::Lease {
        ask: waiting(1),
        session: None,
        park: Some(7),
        spent: 0,
    };
    b.one(park).unwrap();
    long_enqueue(&mut b, NewTask::chat(text(0)));
    let (_, tasks) = b.woken.pop().unwrap();
    assert!(tasks[0].prompt == text(0));
}

#[test]
fn previews_have_the_beginning_and_the_whole_length() {
    let mut b = Bench::new();
    let new = NewTask::chat(text(1));
    let id = long_enqueue(&mut b, new.clone());
    for max_bytes in [10, 64 << 10, 300 << 10] {
        let mut shown = None;
        let see = |task| {
            shown = Some(task);
            true
        };
        b.reader
            .visit(&[id], Texts::Preview(max_bytes), 0, see)
            .unwrap();
        let task = shown.unwrap();
        assert_eq!(task.cut["prompt"], new.prompt.len() as u64);
        let begin = kirosu_protocol::text::head(&new.prompt, max_bytes);
        assert!(task.prompt.starts_with(begin), "{max_bytes}");
        let mark = format!(
            "\n[cut here: {} of {} bytes;",
            begin.len(),
            new.prompt.len()
        );
        assert!(task.prompt[begin.len()..].starts_with(&mark), "{max_bytes}");
    }
    let page = b.reader.approvals(&Default::default()).unwrap();
    assert!(page.approvals.is_empty());
}

#[test]
fn a_result_that_was_not_accepted_ends_with_its_end() {
    let mut b = Bench::new();
    let accept = serde_json::json!({"prompt": "p", "max_attempts": 3, "accept": {"regex": "x"}});
    let new = kirosu_protocol::Params::parse(&accept.to_string())
        .and_then(|params| {
            <NewTask as kirosu_protocol::Verb>::read(&params, &kirosu_protocol::Limits::default())
        })
        .unwrap();
    let id = b.enqueue(new);
    let lease = b.lease(1).remove(0);
    let ack = Ack {
        status: kirosu_protocol::AckStatus::Failed,
        class: Some(FailureClass::NotAccepted),
        error: Some("why".into()),
        ..Ack::done(id, Some(lease.fence), text(0))
    };
    let text_id = b.store.new_text();
    each(&mut b, long_ack(ack, text_id)).unwrap();
    let detail = b.detail(id);
    let kept = detail.attempts[0].result.as_ref().unwrap();
    assert!(text(0).ends_with(kept) && kept.chars().count() == 4096);
    b.now += 3_600_000;
    b.one(Command::PromoteDue { limit: 10 }).unwrap();
    let not_accepted = b.lease(1).remove(0).not_accepted.unwrap();
    assert!(text(0).ends_with(&not_accepted.answer) && not_accepted.cut);
    assert_eq!(not_accepted.answer.chars().count(), 8192);
    assert_eq!(not_accepted.reason, "why");
}

#[test]
fn a_long_answer_of_a_person_is_the_result_and_may_be_repeated() {
    let mut b = Bench::new();
    let id = long_enqueue(&mut b, human("\n\nWhich one?\n".to_owned() + &text(0)));
    let page = b.reader.approvals(&Default::default()).unwrap();
    assert_eq!(page.approvals[0].title, "Which one?");
    let answer = |b: &mut Bench, salt| {
        let text_id = b.store.new_text();
        let commands = long_answer(id, text(salt), Some("ada".into()), text_id);
        let outcome = each(b, commands);
        if outcome.is_err() {
            b.one(Command::DropText(text_id)).unwrap();
        }
        outcome
    };
    let plain = b.chat("p");
    let text_id = b.store.new_text();
    let mut commands = long_answer(plain, text(0), None, text_id);
    let refused = b.one(commands.remove(0)).unwrap_err();
    assert_eq!(
        refused.code,
        ErrorCode::WrongState,
        "before any piece is stored"
    );
    assert_eq!(answer(&mut b, 0).unwrap(), Outcome::Ok);
    assert_eq!(answer(&mut b, 0).unwrap(), Outcome::Ok, "the same again");
    let other = answer(&mut b, 1).unwrap_err();
    assert!(other.message.contains("another answer"), "{other}");
    settle(&mut b);
    assert!(b.task(id).result == Some(text(0)));
    let (counts, _) = stored(b);
    assert_eq!(counts[0], 2, "prompt and answer");
}

#[test]
fn a_crash_between_any_two_commits_leaves_all_or_nothing() {
    let tasks = || vec![keyed(0), NewTask::chat(text(1))];
    let mut b = Bench::new();
    let count = enqueue_all(&mut b, tasks()).len();
    for crash in 0..=count {
        let mut b = Bench::new();
        b.chat("before");
        let commands = enqueue_all(&mut b, tasks());
        each(&mut b, commands.into_iter().take(crash).collect()).unwrap();
        let mut b = b.reopen();
        let decided = crash + 1 >= count;
        let tasks = if decided { 3 } else { 1 };
        assert_eq!(b.stats().queued, tasks, "crash after {crash} of {count}");
        settle(&mut b);
        if decided {
            assert!(b.task(2).prompt == text(0) && b.task(3).prompt == text(1));
            let commands = enqueue(&mut b, keyed(0));
            let again = made(each(&mut b, commands));
            assert!(again.existed && again.task_id == 2);
            let commands = enqueue(&mut b, keyed(1));
            let refused = each(&mut b, commands).unwrap_err();
            assert!(refused.message.contains("other parameters"), "{refused}");
        }
        let mut b = b.reopen();
        settle(&mut b);
        let (counts, mut b) = stored(b);
        assert_eq!(counts[0], if decided { 2 } else { 0 }, "{crash}");
        assert_eq!(counts[1] > 0, decided);
        // The ids of texts are not used twice.
        let id = long_enqueue(&mut b, NewTask::chat(text(2)));
        assert!(b.task(id).prompt == text(2));
    }
}

#[test]
fn a_refused_request_leaves_nothing() {
    let mut b = Bench::new();
    let id = b.chat("p");
    let fence = b.lease(1)[0].fence;
    let lost = NewTask {
        depends_on: vec![99],
        ..NewTask::chat(text(0))
    };
    let mut commands = enqueue(&mut b, lost);
    let refused = b.one(commands.remove(0)).unwrap_err();
    assert!(refused.message.contains("99"), "{refused}");
    let text_id = b.store.new_text();
    let mut stale = long_ack(Ack::done(id, Some(fence + 1), text(0)), text_id);
    let refused = b.one(stale.remove(0)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::StaleLease);
    // The lease is lost while the pieces are stored.
    let text_id = b.store.new_text();
    let mut commands = long_ack(Ack::done(id, Some(fence), text(0)), text_id);
    let last = commands.pop().unwrap();
    each(&mut b, commands).unwrap();
    let cancel = Command::Cancel {
        task: id,
        by: None,
        reason: None,
    };
    b.one(cancel).unwrap();
    assert_eq!(b.one(last).unwrap_err().code, ErrorCode::StaleLease);
    b.one(Command::DropText(text_id)).unwrap();
    assert_eq!(b.task(id).result, None);
    assert!(settle(&mut b) >= 2, "in steps");
    assert_eq!(stored(b).0, [0, 0]);
}

#[test]
fn a_row_never_refers_to_missing_pieces() {
    let mut b = Bench::new();
    let id = b.chat("p");
    let fence = b.lease(1)[0].fence;
    let text_id = b.store.new_text();
    let mut commands = long_ack(Ack::done(id, Some(fence), text(0)), text_id);
    let left_out = commands.remove(2);
    assert!(matches!(left_out, Command::StagePiece(_)));
    let refused = each(&mut b, commands).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Internal);
    assert_eq!(b.task(id).status, Status::Leased);
    // An ack that is repeated while the first one is being stored.
    let again = |b: &mut Bench| {
        let text_id = b.store.new_text();
        long_ack(Ack::done(id, Some(fence), text(0)), text_id)
    };
    let (mut first, second) = (again(&mut b), again(&mut b));
    let last = first.pop().unwrap();
    each(&mut b, first).unwrap();
    each(&mut b, second).unwrap();
    assert!(matches!(b.one(last), Ok(Outcome::Acked(acked)) if !acked.newly));
    b.one(Command::DropText(text_id)).unwrap();
    settle(&mut b);
    assert!(b.task(id).result == Some(text(0)));
    assert_eq!(stored(b).0[0], 1);
}

#[test]
fn pruning_deletes_pieces_in_steps() {
    let mut b = Bench::new();
    let id = long_enqueue(&mut b, NewTask::chat(text(0)));
    let lease = b.lease(1).remove(0);
    let text_id = b.store.new_text();
    each(
        &mut b,
        long_ack(Ack::done(id, Some(lease.fence), text(1)), text_id),
    )
    .unwrap();
    let (before, mut b) = stored(b);
    assert_eq!(before[0], 2);
    b.now += 10;
    let (mut steps, mut pruned) = (0, 0);
    loop {
        let prune = Command::Prune {
            before_ms: b.now,
            limit: 50,
        };
        steps += 1;
        match b.one(prune).unwrap() {
            Outcome::Counted { count, more } => {
                pruned += count;
                if !more {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pruned, 1);
    assert!(b.reader.get(id, 0).unwrap().is_none());
    assert!(steps >= before[1] / 2, "{steps} steps for {before:?}");
    assert_eq!(stored(b).0, [0, 0]);
}

#[test]
fn a_backup_taken_in_the_middle_has_all_or_nothing() {
    let mut b = Bench::new();
    let whole = long_enqueue(&mut b, NewTask::chat(text(0)));
    let mut commands = enqueue(&mut b, NewTask::chat(text(1)));
    commands.truncate(3);
    each(&mut b, commands).unwrap();
    let copy = b.directory.path().join("copy.db");
    backup(&b.options.path, &copy).unwrap();
    let path = b.options.path.clone();
    let (report, mut b) = closed(b, || restore(&copy, &path, "1"));
    report.unwrap();
    settle(&mut b);
    assert_eq!(b.stats().queued, 1);
    assert!(b.task(whole).prompt == text(0));
    assert_eq!(stored(b).0[0], 1);
}

#[test]
fn a_file_from_before_has_its_texts_in_one_piece() {
    let mut b = Bench::new();
    let old = b.chat(&text(0));
    let id = b.chat("p");
    let leases = b.lease(2);
    b.ack(Ack::done(id, Some(leases[1].fence), text(1)))
        .unwrap();
    let path = b.options.path.clone();
    let ((), mut b) = closed(b, || {
        let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        let down = include_str!("../../../migrations/00000000000012_long_texts/down.sql");
        conn.batch_execute(down).unwrap();
        let forget = "DELETE FROM __diesel_schema_migrations WHERE version = '00000000000012'";
        conn.batch_execute(forget).unwrap();
    });
    assert!(b.task(old).prompt == text(0) && b.task(id).result == Some(text(1)));
    let new = long_enqueue(&mut b, NewTask::chat(text(2)));
    assert!(b.task(new).prompt == text(2));
    let path = b.options.path.clone();
    closed(b, || {
        let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        let whole = "SELECT sum(length(prompt)) AS count FROM task_view";
        let seen: Count = diesel::sql_query(whole).get_result(&mut conn).unwrap();
        let wanted = text(0).chars().count() + 1 + text(2).chars().count();
        assert_eq!(seen.count, wanted as i64, "people see whole texts");
    });
}
