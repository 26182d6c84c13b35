//! Statistics of tasks, compared with times that the test sets.

use crate::common::{Bench, T0, ask, done, failed};
use kirosu_protocol::{Ack, NewTask, Status};
use kirosu_store::{Command, QueueStats};

/// The statistics of one queue.
fn queue(bench: &Bench, name: &str) -> QueueStats {
    let task_stats = bench.store.task_stats();
    let found = task_stats.queues().find(|(queue, _)| *queue == name);
    found.unwrap_or_else(|| panic!("no queue {name}")).1.clone()
}

#[test]
fn each_step_of_a_life_is_counted_once_with_its_time() {
    let mut bench = Bench::new();
    let task = bench.chat("x");
    bench.now += 2_000;
    let fence = bench.lease(1)[0].fence;
    bench.now += 30_000;
    let ack = Ack {
        provider: Some("codex".into()),
        ..done(task, Some(fence))
    };
    bench.ack(ack.clone()).unwrap();
    // A repeated ack is answered but not counted.
    bench.ack(ack).unwrap();
    let other = bench.chat("y");
    let fence = bench.lease(1)[0].fence;
    bench.ack(failed(other, Some(fence))).unwrap();
    let cancelled = bench.chat("z");
    bench
        .one(Command::Cancel {
            task: cancelled,
            by: None,
            reason: None,
        })
        .unwrap();

    let task_stats = queue(&bench, "default");
    assert_eq!(
        (task_stats.enqueued, task_stats.failed, task_stats.cancelled),
        (3, 1, 1)
    );
    assert_eq!(
        (task_stats.waited.count(), task_stats.waited.sum()),
        (2, 2.0)
    );
    assert_eq!((task_stats.ran.count(), task_stats.ran.sum()), (2, 30.0));
    assert_eq!(
        (task_stats.completed.count(), task_stats.completed.sum()),
        (1, 32.0)
    );
    let runs = bench.store.task_stats();
    let runs: Vec<_> = runs.runs().collect();
    assert_eq!(
        runs,
        [("codex", "done", 1), ("unknown", "provider_error", 1)]
    );
}

#[test]
fn lost_and_released_leases_are_distinguished_and_the_next_wait_starts_again() {
    let mut bench = Bench::new();
    bench.chat("x");
    bench.lease(1);
    bench.now += 60_000;
    assert_eq!(bench.expire().len(), 1);
    bench.now += 500;
    bench.lease_as(ask(1), Some("s"));
    bench
        .one(Command::ReleaseSession {
            session: "s".into(),
            counted: true,
        })
        .unwrap();
    bench.lease_as(ask(1), Some("s"));
    bench
        .one(Command::ReleaseSession {
            session: "s".into(),
            counted: false,
        })
        .unwrap();
    let task_stats = bench.store.task_stats();
    assert_eq!(task_stats.lost(), [("expired", 1), ("session_lost", 1)]);
    assert_eq!(task_stats.released(), 1);
    let waited = queue(&bench, "default").waited;
    assert_eq!((waited.count(), waited.sum()), (3, 0.5));
}

#[test]
fn the_oldest_of_each_queue_and_state_is_found() {
    let mut bench = Bench::new();
    let new = |queue: &str, priority: i32| NewTask {
        queue: queue.into(),
        priority,
        ..NewTask::chat("x")
    };
    let first = bench.enqueue(new("a", 0));
    bench.now += 10;
    // Ahead of it in the index, but younger.
    bench.enqueue(new("a", 9));
    bench.enqueue(NewTask {
        run_at_ms: Some(T0 + 5_000),
        ..new("a", 0)
    });
    bench.enqueue(NewTask {
        depends_on: vec![first],
        ..new("b", 0)
    });
    bench.now += 10;
    bench.enqueue(new("default", 0));
    bench.lease(1);
    let oldest = bench.reader.oldest().unwrap();
    let found: Vec<_> = oldest
        .iter()
        .map(|one| (one.queue.as_str(), one.status, one.since_ms - T0))
        .collect();
    assert_eq!(
        found,
        [
            ("a", Status::Queued, 0),
            ("default", Status::Leased, 20),
            ("b", Status::Blocked, 10),
            ("a", Status::Scheduled, 10),
        ]
    );
    let depths = bench.store.depths();
    let queued = depths.iter().find(|depth| &*depth.queue == "a").unwrap();
    assert_eq!(
        &queued.tasks[..3],
        [
            (Status::Queued, 2),
            (Status::Blocked, 0),
            (Status::Scheduled, 1)
        ]
    );
}

#[test]
fn queues_beyond_the_bound_are_one() {
    let mut bench = Bench::new();
    for number in 0..100 {
        bench.enqueue(NewTask {
            queue: format!("q{number}"),
            ..NewTask::chat("x")
        });
    }
    assert_eq!(bench.store.task_stats().queues().count(), 65);
    assert_eq!(queue(&bench, "other").enqueued, 36);
    let depths = bench.store.depths();
    let tasks: i64 = depths.iter().map(|depth| depth.tasks[0].1).sum();
    assert_eq!((depths.len(), tasks), (65, 100));
}
