//! Events for targets of notifications: stored with the change, kept until each target has them.

use crate::common::{self, Bench};
use kirosu_protocol::{NewTask, NoticeInfo, NoticeKind, NotifyKind, NotifyTarget, TaskId};
use kirosu_store::{Command, NOTICES_PER_TARGET, Outcome, TakeNotices, TargetRow};
use std::sync::Arc;

fn target(name: &str) -> NotifyTarget {
    NotifyTarget {
        name: name.to_owned(),
        kind: NotifyKind::Webhook,
        events: NoticeKind::ALL.iter().fold(0, |all, kind| all | kind.bit()),
        queues: Vec::new(),
        types: Vec::new(),
        labels: Vec::new(),
    }
}

fn bench(names: &[&str]) -> Bench {
    let targets = names.iter().map(|name| target(name)).collect();
    Bench::with(|options| options.notify = Arc::new(targets))
}

/// Adds a task, and fails it for good.
fn failed(bench: &mut Bench) -> TaskId {
    let task = bench.enqueue(NewTask {
        max_attempts: Some(1),
        ..NewTask::chat("p")
    });
    let fence = bench.lease(1)[0].fence;
    bench.ack(common::failed(task, Some(fence))).unwrap();
    task
}

fn take(bench: &mut Bench, name: &str, done: Option<i64>) -> Vec<NoticeInfo> {
    let take = TakeNotices {
        name: name.to_owned(),
        done,
        limit: 10,
        ..TakeNotices::default()
    };
    match bench.one(Command::TakeNotices(Box::new(take))) {
        Ok(Outcome::Notices { notices, .. }) => notices,
        other => panic!("{other:?}"),
    }
}

fn row(bench: &mut Bench, name: &str) -> TargetRow {
    let rows = bench.reader.notify_targets().unwrap();
    rows.into_iter().find(|row| row.name == name).unwrap()
}

fn prune(bench: &mut Bench, before_ms: i64) -> u64 {
    let prune = Command::PruneNotices {
        before_ms,
        limit: 100,
    };
    match bench.one(prune) {
        Ok(Outcome::Counted { count, .. }) => count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_is_kept_over_restarts_until_each_target_has_it() {
    let mut bench = bench(&["a", "b"]);
    let tasks = [failed(&mut bench), failed(&mut bench)];
    let of_a = take(&mut bench, "a", None);
    let of_tasks: Vec<_> = of_a.iter().map(|notice| notice.data.task_id).collect();
    assert_eq!(of_tasks, tasks.map(Some));
    assert!(of_a.iter().all(|notice| notice.event == NoticeKind::Failed));
    assert_ne!(of_a[0].id, of_a[1].id);
    assert_eq!(take(&mut bench, "a", Some(of_a[0].number)), of_a[1..]);
    let mut bench = bench.reopen();
    assert_eq!(take(&mut bench, "a", None), of_a[1..]);
    assert_eq!(take(&mut bench, "b", None), of_a, "the same ids");
    assert_eq!(take(&mut bench, "a", Some(of_a[1].number)), []);
    // A repeated report changes nothing.
    assert_eq!(take(&mut bench, "a", Some(of_a[0].number)), []);
    assert_eq!(row(&mut bench, "a").delivered, Some(of_a[1].number));
    assert_eq!(take(&mut bench, "b", Some(of_a[1].number)), []);
    // Numbers are never used again, although every target has every event.
    let mut bench = bench.reopen();
    failed(&mut bench);
    let next = take(&mut bench, "a", None);
    assert_eq!(next[0].number, of_a[1].number + 1);
}

#[test]
fn without_a_target_that_wants_an_event_nothing_is_stored() {
    let mut bench = Bench::new();
    failed(&mut bench);
    let only = NotifyTarget {
        queues: vec!["other".to_owned()],
        ..target("a")
    };
    bench.options.notify = Arc::new(vec![only]);
    bench.store.tune(bench.options.clone());
    failed(&mut bench);
    assert_eq!(take(&mut bench, "a", None), []);
    let unknown = TakeNotices {
        name: "b".to_owned(),
        ..TakeNotices::default()
    };
    let refused = bench.one(Command::TakeNotices(Box::new(unknown)));
    let message = refused.unwrap_err().message;
    assert!(message.contains("there are: a"), "{message}");
}

#[test]
fn a_human_task_and_a_test_are_events() {
    let mut bench = bench(&["a", "b"]);
    let human = NewTask {
        task_type: "human".to_owned(),
        ..NewTask::chat("private?")
    };
    let task = bench.enqueue(human.clone());
    // One that is answered in the batch that adds it does not wait.
    let answer = Command::Answer {
        task: task + 1,
        text: "yes".to_owned(),
        by: None,
    };
    bench.batch(vec![Command::Enqueue(Box::new(human)), answer]);
    let test = bench.one(Command::TestTarget("a".to_owned()));
    assert_eq!(test, Ok(Outcome::Noticed(2)));
    let of_a = take(&mut bench, "a", None);
    let kinds: Vec<_> = of_a.iter().map(|it| (it.event, it.data.task_id)).collect();
    assert_eq!(
        kinds,
        [
            (NoticeKind::WaitsForPerson, Some(task)),
            (NoticeKind::Test, None)
        ]
    );
    assert_eq!(
        take(&mut bench, "b", None).len(),
        1,
        "a test is for one target"
    );
    assert!(!format!("{of_a:?}").contains("private?"));
}

#[test]
fn events_that_are_too_old_are_dropped_and_counted() {
    let mut bench = bench(&["a", "b"]);
    failed(&mut bench);
    let first = take(&mut bench, "b", None);
    take(&mut bench, "b", Some(first[0].number));
    bench.now += 1000;
    failed(&mut bench);
    let before = bench.now;
    assert_eq!(prune(&mut bench, before), 1);
    assert_eq!(prune(&mut bench, before), 0);
    let (a, b) = (row(&mut bench, "a"), row(&mut bench, "b"));
    assert_eq!((a.lost, a.pending), (1, 1));
    assert_eq!((b.lost, b.pending), (0, 1), "b had got it");
    assert_eq!(take(&mut bench, "a", None).len(), 1);
}

#[test]
fn the_oldest_of_too_many_events_are_dropped() {
    let mut bench = bench(&["a"]);
    let add = Command::AddNotice {
        kind: NoticeKind::Drained,
        data: Box::default(),
    };
    let surplus = 30;
    let batch = vec![add; 10_000];
    for _ in 0..NOTICES_PER_TARGET / 10_000 {
        bench.batch(batch.clone());
    }
    bench.batch(batch[..surplus].to_vec());
    assert_eq!(prune(&mut bench, 0), surplus as u64);
    assert_eq!(prune(&mut bench, 0), 0);
    let row = row(&mut bench, "a");
    assert_eq!(
        (row.lost, row.pending),
        (surplus as i64, NOTICES_PER_TARGET)
    );
    let next = take(&mut bench, "a", None);
    assert_eq!(next[0].number, surplus as i64 + 1);
}

#[test]
fn a_removed_target_loses_its_events_and_one_of_its_name_begins_anew() {
    let mut bench = bench(&["a", "b"]);
    failed(&mut bench);
    for names in [vec![target("b")], vec![target("a"), target("b")]] {
        bench.options.notify = Arc::new(names);
        bench.store.tune(bench.options.clone());
        assert!(bench.store.has_new_targets());
        bench.batch(Vec::new());
        assert!(!bench.store.has_new_targets());
    }
    assert_eq!(take(&mut bench, "a", None), []);
    assert_eq!(take(&mut bench, "b", None).len(), 1);
    assert_eq!(prune(&mut bench, 0), 1, "what is left of the first a");
    assert_eq!(prune(&mut bench, 0), 0);
}

#[test]
fn failures_are_recorded_until_a_delivery() {
    let mut bench = bench(&["a"]);
    failed(&mut bench);
    for (at, failures) in [(0, 1), (500, 2)] {
        bench.now += at;
        let take = TakeNotices {
            name: "a".to_owned(),
            error: Some("refused".to_owned()),
            next_ms: Some(bench.now + 1000),
            ..TakeNotices::default()
        };
        bench.one(Command::TakeNotices(Box::new(take))).unwrap();
        let failing = row(&mut bench, "a").failing().unwrap();
        assert_eq!(failing.failures, failures);
        assert_eq!(failing.error, "refused");
    }
    let failing = row(&mut bench, "a").failing().unwrap();
    assert_eq!(failing.next_at.unwrap() - failing.since, 1.5);
    let notices = take(&mut bench, "a", None);
    take(&mut bench, "a", Some(notices[0].number));
    assert_eq!(row(&mut bench, "a").failing(), None);
}
