//! Bounds in bytes: the texts that readers read at once, the input that a lease returns, the names in parked leases.

use crate::common::{Bench, ask};
use kirosu_protocol::{ErrorCode, LeaseParams, NewTask, Task};
use kirosu_store::{Command, Outcome, Texts, leased_bytes};
use serde_json::json;

fn visit(
    b: &mut Bench,
    ids: &[i64],
    texts: Texts,
    room: u64,
    most: usize,
) -> (Vec<Task>, usize, Option<u64>) {
    let mut seen = Vec::new();
    let see = |task| {
        seen.push(task);
        seen.len() < most
    };
    let visited = b.reader.visit(ids, texts, room, see).unwrap();
    (seen, visited.ids, visited.needs)
}

fn ids(tasks: &[Task]) -> Vec<i64> {
    tasks.iter().map(|task| task.task_id).collect()
}

#[test]
fn tasks_are_seen_in_the_order_asked_until_one_is_too_large() {
    let mut b = Bench::new();
    for number in 1..=1000_usize {
        b.chat(&"x".repeat(if number == 700 { 5000 } else { 10 }));
    }
    let asked: Vec<i64> = (0..1200).map(|n| (n * 7) % 1201 + 1).collect();
    let exist: Vec<i64> = asked.iter().copied().filter(|id| *id <= 1000).collect();
    let (seen, done, needs) = visit(&mut b, &asked, Texts::Whole, 10_000, usize::MAX);
    assert_eq!((ids(&seen), done, needs), (exist.clone(), 1200, None));
    let (seen, done, needs) = visit(&mut b, &asked, Texts::Whole, 1000, usize::MAX);
    let large = asked.iter().position(|id| *id == 700).unwrap();
    assert_eq!((done, needs), (large, Some(5000)));
    assert_eq!(ids(&seen), exist[..seen.len()]);
    let (seen, done, needs) = visit(&mut b, &asked[large..], Texts::Whole, 5000, 1);
    assert_eq!((ids(&seen), done, needs), (vec![700], 1, None));
    assert_eq!(seen[0].prompt.len(), 5000);
}

#[test]
fn a_preview_is_cut_between_characters_and_says_so() {
    let mut b = Bench::new();
    let id = b.enqueue(NewTask {
        system_prompt: Some("short".into()),
        metadata: Some(json!({"numbers": vec![7; 100]})),
        workdir: Some("/somewhere".into()),
        ..NewTask::chat("aüüü")
    });
    let (seen, ..) = visit(&mut b, &[id], Texts::Preview(6), 0, 1);
    let task = &seen[0];
    assert_eq!(
        task.prompt,
        "aüü\n[cut here: 5 of 7 bytes; `get` answers all of it]"
    );
    assert_eq!(task.system_prompt.as_deref(), Some("short"));
    assert_eq!(
        (&task.metadata, task.workdir.as_deref()),
        (&None, Some("/somewhere"))
    );
    assert_eq!(task.cut.keys().collect::<Vec<_>>(), ["metadata", "prompt"]);
    assert_eq!(task.cut["prompt"], 7);
    let (seen, ..) = visit(&mut b, &[id], Texts::Preview(1000), 0, 1);
    assert_eq!(seen[0], b.task(id));
    assert!(b.reader.size_of(id, None, 0).unwrap() > 200);
    assert_eq!(b.reader.size_of(99, None, 10).unwrap(), 0);
}

#[test]
fn a_lease_ends_with_the_task_that_reaches_the_bound() {
    let mut b = Bench::with(|options| options.lease_bytes = 10_000);
    for _ in 0..6 {
        b.chat(&"x".repeat(4000));
    }
    b.enqueue(NewTask {
        metadata: Some(json!(vec![0; 1000])),
        ..NewTask::chat("small, but for what it takes")
    });
    b.chat("last");
    assert_eq!(ids(&b.lease(100)), [1, 2, 3]);
    assert_eq!(ids(&b.lease(100)), [4, 5, 6]);
    assert_eq!(ids(&b.lease(100)), [7]);
    assert_eq!(ids(&b.lease(100)), [8]);
}

#[test]
fn the_parts_of_a_lease_share_its_bound() {
    let mut b = Bench::with(|options| options.lease_bytes = 10_000);
    for _ in 0..6 {
        b.chat(&"x".repeat(4000));
    }
    let mut part = |max_tasks, spent| {
        let leased = b.one(Command::Lease {
            ask: ask(max_tasks),
            session: None,
            park: None,
            spent,
        });
        match leased {
            Ok(Outcome::Leased(tasks)) => tasks,
            other => panic!("lease: {other:?}"),
        }
    };
    let first = part(2, 0);
    let spent = first.iter().map(leased_bytes).sum();
    assert_eq!((first.len(), spent), (2, 8512));
    let second = part(2, spent);
    assert_eq!(ids(&second), [3]);
    let spent = spent + leased_bytes(&second[0]);
    assert_eq!(part(2, spent), []);
}

fn waits(number: u64, queues: Vec<String>) -> Command {
    Command::Lease {
        ask: LeaseParams {
            wait_ms: 1000,
            queues,
            ..ask(1)
        },
        session: None,
        park: Some(number),
        spent: 0,
    }
}

#[test]
fn waiting_leases_name_so_many_bytes_at_the_most() {
    let mut b = Bench::with(|options| options.waiting_names_bytes = 1000);
    let names = |from: usize| {
        (from..from + 10)
            .map(|n| format!("queue-{n}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(b.one(waits(1, names(0))).unwrap(), Outcome::Parked);
    let refused = b.one(waits(2, names(10))).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Busy);
    assert!(refused.message.contains("1000 bytes"), "{refused}");
    // Equal names are stored once.
    let bytes = b.store.waiting_names_bytes();
    b.one(Command::Unpark(1)).unwrap();
    assert_eq!(b.store.waiting_names_bytes(), 0);
    for number in 3..10 {
        assert_eq!(
            b.one(waits(number, vec!["one".into()])).unwrap(),
            Outcome::Parked
        );
    }
    assert!(b.store.waiting_names_bytes() < bytes);
}

#[test]
fn waiters_for_many_and_for_new_queues_are_served_in_order_of_arrival() {
    let mut b = Bench::new();
    let many = |more: &str| {
        let queues = (0..100).map(|n| format!("queue-{n}"));
        queues.chain([more.to_owned()]).collect::<Vec<_>>()
    };
    for queue in 0..100 {
        b.enqueue(NewTask {
            queue: format!("queue-{queue}"),
            ..NewTask::chat("x")
        });
    }
    let everything = LeaseParams {
        queues: many("default"),
        ..ask(1000)
    };
    assert_eq!(b.lease_as(everything, None).len(), 100);
    // Narrow, wide, narrow, wide: all of them wait for `common`, which does not exist yet.
    b.one(waits(1, vec!["own".into(), "common".into()]))
        .unwrap();
    b.one(waits(2, many("common"))).unwrap();
    b.one(waits(3, vec!["common".into()])).unwrap();
    b.one(waits(4, many("common"))).unwrap();
    let enqueue = |queue: &str| {
        Command::Enqueue(Box::new(NewTask {
            queue: queue.into(),
            ..NewTask::chat("x")
        }))
    };
    b.one(enqueue("queue-7")).unwrap();
    b.batch(vec![enqueue("common"), enqueue("common"), enqueue("own")]);
    let woken: Vec<u64> = b.woken.iter().map(|(park, _)| *park).collect();
    assert_eq!(woken, [2, 1, 3]);
    b.one(enqueue("common")).unwrap();
    assert_eq!(b.woken.len(), 4, "the fourth waited for its turn");
    assert_eq!(b.store.parked(), 0);
}
