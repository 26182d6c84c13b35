//! Time of one batch of commands, without the sync of the disk (`durability = "normal"`). `cargo bench -p kirosu-store`.
#![allow(clippy::unwrap_used)]

use divan::Bencher;
use kirosu_protocol::{Ack, LeaseParams, NewTask, Task};
use kirosu_store::{Command, Outcome, Store, StoreOptions, SyncMode};

const NOW_MS: i64 = 1_700_000_000_000;
const BATCHES: [usize; 3] = [1, 50, 500];

fn main() {
    divan::main();
}

struct Bench {
    store: Store,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(folder.path().join("kirosu.db"), NOW_MS);
        options.durability = SyncMode::Normal;
        Bench {
            store: Store::open(&options).unwrap(),
            _folder: folder,
        }
    }

    fn apply(&mut self, commands: Vec<Command>) -> Vec<Outcome> {
        let applied = self.store.apply(NOW_MS, commands);
        applied.outcomes.into_iter().map(Result::unwrap).collect()
    }

    fn enqueue(&mut self, count: usize) {
        self.apply(tasks(count));
    }

    fn lease(&mut self, count: usize) -> Vec<Task> {
        match self.apply(vec![lease(count)]).pop() {
            Some(Outcome::Leased(tasks)) => tasks,
            other => panic!("lease: {other:?}"),
        }
    }
}

fn tasks(count: usize) -> Vec<Command> {
    let prompt = "x".repeat(200);
    let task = |_| Command::Enqueue(Box::new(NewTask::chat(&prompt)));
    (0..count).map(task).collect()
}

fn lease(count: usize) -> Command {
    Command::Lease {
        ask: LeaseParams {
            max_tasks: u32::try_from(count).unwrap(),
            lease_ms: Some(60_000),
            ..LeaseParams::one("bench")
        },
        session: None,
        park: None,
        spent: 0,
    }
}

#[divan::bench(args = BATCHES)]
fn enqueue(bencher: Bencher<'_, '_>, count: usize) {
    let mut bench = Bench::new();
    bencher
        .counter(count)
        .with_inputs(|| tasks(count))
        .bench_local_values(|batch| bench.apply(batch));
}

/// Enqueue, lease and ack of `count` tasks, each one batch.
#[divan::bench(args = BATCHES)]
fn life_cycle(bencher: Bencher<'_, '_>, count: usize) {
    let mut bench = Bench::new();
    bencher.counter(count).bench_local(|| {
        bench.enqueue(count);
        let leased = bench.lease(count).into_iter();
        let acks = leased
            .map(|task| Command::Ack(Box::new(Ack::done(task.task_id, Some(task.fence), "ok"))));
        let acks = acks.collect();
        bench.apply(acks)
    });
}
