//! Measures the writer: life cycles per second, and the cost of a lease with few or many tasks in the store.
//!
//! `cargo run --release -p kirosu-store --example life_cycles [DIRECTORY]`
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kirosu_protocol::{Ack, AckStatus, LeaseParams, NewTask, Status, Task};
use kirosu_store::{Command, ListQuery, Outcome, Store, StoreOptions, StoreReader, SyncMode};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
}

fn ask(max_tasks: u32) -> LeaseParams {
    LeaseParams {
        worker_id: "worker".into(),
        max_tasks,
        lease_ms: None,
        wait_ms: 0,
        queues: vec!["default".into()],
        types: vec![],
        exclude_types: vec![],
    }
}

fn lease(max_tasks: u32) -> Command {
    Command::Lease {
        ask: ask(max_tasks),
        session: None,
        park: None,
        spent: 0,
    }
}

fn ack(task: &Task) -> Command {
    Command::Ack(Box::new(Ack {
        task_id: task.task_id,
        fence: Some(task.fence),
        worker_id: None,
        status: AckStatus::Done,
        result: Some("the result of it, some words long".into()),
        error: None,
        class: None,
        retry_at_ms: None,
        usage: None,
        accepted: false,
        provider: None,
        pool: None,
        model: None,
        conversation: None,
    }))
}

fn open(directory: &Path, name: &str, durability: SyncMode) -> Store {
    let mut options = StoreOptions::new(directory.join(name), now());
    options.durability = durability;
    Store::open(&options).unwrap()
}

/// Processor time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn leased(outcomes: Vec<Result<Outcome, kirosu_protocol::Error>>) -> Vec<Task> {
    outcomes
        .into_iter()
        .flat_map(|outcome| match outcome.unwrap() {
            Outcome::Leased(tasks) => tasks,
            _ => Vec::new(),
        })
        .collect()
}

/// Batches of `clients` clients with one request in flight each: a third enqueues, a third leases, a third acks.
fn plain(directory: &Path, durability: SyncMode, clients: usize, prompt: usize) {
    let mut store = open(
        directory,
        &format!("plain-{durability:?}-{clients}-{prompt}.db"),
        durability,
    );
    let third = clients / 3;
    let (mut held, mut cycles) = (Vec::new(), 0);
    let mut commits = Vec::new();
    let (start, cpu_start) = (Instant::now(), cpu());
    while start.elapsed() < Duration::from_secs(3) {
        let mut batch: Vec<Command> = held.drain(..).map(|task| ack(&task)).collect();
        cycles += batch.len();
        batch.extend((0..third).map(|_| lease(1)));
        batch.extend(
            (0..third).map(|_| Command::Enqueue(Box::new(NewTask::chat("x".repeat(prompt))))),
        );
        let one = Instant::now();
        held = leased(store.apply(now(), batch).outcomes);
        commits.push(one.elapsed());
    }
    report(
        &format!("{clients} plain clients, {durability:?}, prompt {prompt} B"),
        cycles,
        start,
        cpu_start,
        commits,
        &store,
    );
}

/// 50 enqueues, one lease of 50, 50 acks, in batches of one client or several.
fn pipelined(directory: &Path, durability: SyncMode) {
    let mut store = open(directory, &format!("piped-{durability:?}.db"), durability);
    let (mut held, mut cycles) = (Vec::new(), 0);
    let mut commits = Vec::new();
    let (start, cpu_start) = (Instant::now(), cpu());
    while start.elapsed() < Duration::from_secs(3) {
        let mut batch: Vec<Command> = held.drain(..).map(|task| ack(&task)).collect();
        cycles += batch.len();
        batch.push(lease(50));
        batch.extend((0..50).map(|_| {
            Command::Enqueue(Box::new(NewTask::chat(
                "do something, a hundred bytes or so",
            )))
        }));
        let one = Instant::now();
        held = leased(store.apply(now(), batch).outcomes);
        commits.push(one.elapsed());
    }
    report(
        &format!("pipelined 50/1/50, {durability:?}"),
        cycles,
        start,
        cpu_start,
        commits,
        &store,
    );
}

fn report(
    name: &str,
    cycles: usize,
    start: Instant,
    cpu_start: Duration,
    mut commits: Vec<Duration>,
    store: &Store,
) {
    let (wall, used) = (start.elapsed(), cpu() - cpu_start);
    commits.sort();
    let at = |share: f64| commits[((commits.len() - 1) as f64 * share) as usize];
    println!(
        "{name}: {:.0} cycles/s, {:.2} us CPU each, batch p50 {:?} p99 {:?} p99.9 {:?} max {:?}, log {} KiB",
        cycles as f64 / wall.as_secs_f64(),
        used.as_secs_f64() * 1e6 / cycles as f64,
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        store.wal_bytes() / 1024,
    );
}

/// One client with one request in flight: each of the three is a commit of its own.
fn alone(directory: &Path, durability: SyncMode) {
    let mut store = open(directory, &format!("alone-{durability:?}.db"), durability);
    let (mut cycles, mut commits) = (0, Vec::new());
    let (start, cpu_start) = (Instant::now(), cpu());
    let mut one = |store: &mut Store, command| {
        let one = Instant::now();
        let held = leased(store.apply(now(), vec![command]).outcomes);
        commits.push(one.elapsed());
        held
    };
    while start.elapsed() < Duration::from_secs(3) {
        let task = NewTask::chat("x".repeat(200));
        one(&mut store, Command::Enqueue(Box::new(task)));
        for task in one(&mut store, lease(1)) {
            one(&mut store, ack(&task));
            cycles += 1;
        }
    }
    let name = format!("one plain client, {durability:?}");
    report(&name, cycles, start, cpu_start, commits, &store);
}

/// The cost of single steps with many tasks in the store.
fn behind(directory: &Path, tasks: usize) {
    let mut store = open(directory, &format!("behind-{tasks}.db"), SyncMode::Normal);
    let path = directory.join(format!("behind-{tasks}.db"));
    for _ in 0..tasks / 1000 {
        let batch = (0..1000).map(|i| {
            Command::Enqueue(Box::new(NewTask {
                priority: i % 5,
                ..NewTask::chat("a prompt")
            }))
        });
        store.apply(now(), batch.collect());
    }
    store.checkpoint().unwrap();
    drop(store);
    let opening = Instant::now();
    let mut store = open(directory, &format!("behind-{tasks}.db"), SyncMode::Normal);
    let opening = opening.elapsed();
    let mut times = Vec::new();
    for _ in 0..2000 {
        let one = Instant::now();
        let held = leased(store.apply(now(), vec![lease(1)]).outcomes);
        times.push(one.elapsed());
        store.apply(now(), held.iter().map(ack).collect());
    }
    times.sort();
    let mut reader = StoreReader::open(&path).unwrap();
    let mut lists = String::new();
    for status in [
        None,
        Some(Status::Queued),
        Some(Status::Done),
        Some(Status::Failed),
        Some(Status::Leased),
    ] {
        let one = Instant::now();
        let query = ListQuery {
            status,
            limit: 50,
            ..ListQuery::default()
        };
        reader.list(&query).unwrap();
        lists += &format!(
            " {} {:?}",
            status.map_or("all", Status::as_str),
            one.elapsed()
        );
    }
    println!(
        "{tasks} tasks behind: open {opening:?}, lease and its commit p50 {:?} p99 {:?}, list of 50:{lists}",
        times[1000], times[1980]
    );
}

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = std::env::args()
        .nth(1)
        .map_or(temporary.path().to_owned(), Into::into);
    for durability in [SyncMode::Full, SyncMode::Normal] {
        alone(&directory, durability);
        plain(&directory, durability, 48, 100);
        pipelined(&directory, durability);
    }
    plain(&directory, SyncMode::Full, 12, 100);
    plain(&directory, SyncMode::Full, 48, 100_000);
    behind(&directory, 1_000);
    behind(&directory, 1_000_000);
}
