//! The slowest request of another client while the hub does one large piece of work, with a million tasks in its file.

use super::{Bench, Report, Row, Target, beside, fill, percentile};
use crate::Fault;
use crate::machine::raise_open_files;
use crate::wire::{CallError, Wire};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Tasks in the file.
const TASKS: usize = 1_000_000;
/// Tasks that one request changes.
const CHANGED: usize = 100_000;
/// Leases that expire at once.
const EXPIRING: usize = 50_000;
/// Connections that watch.
const WATCHERS: usize = 1000;
/// Enqueues that they watch.
const WATCHED: usize = 1000;

/// Tasks per `lease` or `ack`; a hub takes no more.
const PER_REQUEST: usize = 1000;
/// The most tasks of an `enqueue_batch`, and dependencies of a task; a hub takes no more.
const LARGEST: usize = 10_000;
/// Large requests of each kind.
const REPEATS: usize = 10;
/// The bytes of a long text.
const LONG_TEXT: usize = 8_000_000;
/// Tasks per `enqueue_batch`.
const PER_BATCH: usize = 5000;
/// Time for which another client is measured alone.
const ALONE: Duration = Duration::from_secs(2);
/// Lets the writing back of what came before end.
const REST: Duration = Duration::from_secs(1);
/// The longest request of another client, in milliseconds.
const TARGET: Target = Target::AtMost(20.0);
/// The longest that a piece of work may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Fan-out, cancel, retry, large requests, expiry, a backup, many watchers, retention.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    raise_open_files();
    let hub = bench.hub()?;
    let mut run = Run::new(hub.server.address, report)?;
    fill(&mut run.wire, bench.scaled(TASKS))?;
    std::thread::sleep(REST);
    run.beside("nothing", |_| {
        std::thread::sleep(ALONE);
        Ok(())
    })?;
    dependents(&mut run, bench.scaled(CHANGED))?;
    large_requests(&mut run)?;
    long_texts(&mut run)?;
    expiry(&mut run, bench.scaled(EXPIRING))?;
    run.beside("a backup", |wire| {
        wire.call("backup", json!({"name": "stalls.db"}))?;
        Ok(())
    })?;
    watchers(&mut run, bench.scaled(WATCHERS))?;
    drop(hub);

    // Retention looks for old tasks once per minute.
    let hub = bench.hub_with(&["store.retention=1m"])?;
    let mut run = Run::new(hub.server.address, report)?;
    retention(&mut run, bench.scaled(TASKS))
}

/// One hub under measurement.
struct Run<'a> {
    address: SocketAddr,
    wire: Wire,
    report: &'a mut Report,
}

impl<'a> Run<'a> {
    fn new(address: SocketAddr, report: &'a mut Report) -> Result<Run<'a>, Fault> {
        let wire = Wire::connect(address)?;
        Ok(Run {
            address,
            wire,
            report,
        })
    }

    /// Times the enqueues of another client while some work is done.
    fn beside(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Wire) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let enqueue = (
            "enqueue",
            "enqueue",
            json!({"prompt": "p", "queue": "other"}),
        );
        let begun = Instant::now();
        let mut seconds = 0.0;
        let times = beside(self.address, &[enqueue], || {
            work(&mut self.wire)?;
            seconds = begun.elapsed().as_secs_f64();
            Ok(())
        })?;
        let mut times = times.into_iter().next().unwrap_or_default();
        let p99 = percentile(&mut times, 0.99);
        let slowest = percentile(&mut times, 1.0);
        let what = format!("slowest enqueue beside {name} ({seconds:.1} s)");
        self.report.add(
            Row::new(what, "ms", slowest)
                .beside("p99", p99)
                .target(TARGET),
        );
        std::thread::sleep(REST);
        Ok(())
    }
}

/// Calls until an answer is as it should be.
fn until(
    wire: &mut Wire,
    method: &str,
    params: &Value,
    good: impl Fn(&Result<Value, CallError>) -> bool,
) -> Result<(), Fault> {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = wire.call(method, params.clone());
        if good(&answer) {
            return Ok(());
        }
        if Instant::now() > end {
            let why = format!("{method} {params} still answers {answer:?} after {PATIENCE:?}");
            return Err(Fault::new(why));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn until_none(wire: &mut Wire, state: &'static str) -> Result<(), Fault> {
    until(wire, "stats", &json!({}), |answer| {
        answer
            .as_ref()
            .is_ok_and(|answer| answer["stats"][state] == 0)
    })
}

/// Enqueues `count` copies of a task.
fn enqueue(wire: &mut Wire, task: &Value, count: usize) -> Result<(), Fault> {
    for begin in (0..count).step_by(PER_BATCH) {
        let tasks = vec![task; PER_BATCH.min(count - begin)];
        wire.call("enqueue_batch", json!({"tasks": tasks}))?;
    }
    Ok(())
}

/// Leases `count` tasks, of those that `which` asks for, and ends each as `ended` says. Returns the id of the last.
fn end(wire: &mut Wire, which: &Value, ended: &Value, count: usize) -> Result<Value, Fault> {
    let merged = |parts: [&Value; 2]| -> Value {
        let fields = parts.into_iter().filter_map(Value::as_object).flatten();
        Value::Object(
            fields
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        )
    };
    let lease = merged([
        which,
        &json!({"max_tasks": PER_REQUEST, "lease_seconds": 3600}),
    ]);
    let mut last = Value::Null;
    for _ in 0..count.div_ceil(PER_REQUEST) {
        let leased = wire.call("lease", lease.clone())?;
        let tasks = leased["tasks"].as_array().cloned().unwrap_or_default();
        let ack = |task: &Value| {
            let holds = json!({"task_id": task["task_id"], "fence": task["fence"]});
            merged([&holds, ended])
        };
        let acks: Vec<Value> = tasks.iter().map(ack).collect();
        wire.call("ack", json!({"acks": acks}))?;
        last = tasks.last().map_or(last, |task| task["task_id"].clone());
    }
    Ok(last)
}

/// A task with `count` dependents; its id and fence.
fn parent(wire: &mut Wire, queue: &str, count: usize) -> Result<(Value, Value), Fault> {
    let id = wire.call("enqueue", json!({"prompt": "p", "queue": queue}))?["task_id"].clone();
    let child = json!({"prompt": "c", "queue": "dependents", "depends_on": [id]});
    enqueue(wire, &child, count)?;
    let lease = json!({"queues": [queue], "lease_seconds": 3600});
    let leased = wire.call("lease", lease)?;
    Ok((id, leased["tasks"][0]["fence"].clone()))
}

/// All dependents of a task are released, fail with it, or come back.
fn dependents(run: &mut Run, count: usize) -> Result<(), Fault> {
    let (id, fence) = parent(&mut run.wire, "fan-out", count)?;
    run.beside(&format!("an ack that releases {count} tasks"), |wire| {
        let ack = json!({"task_id": id, "fence": fence, "status": "done", "result": ""});
        wire.call("ack", ack)?;
        until_none(wire, "blocked")
    })?;
    let (id, _) = parent(&mut run.wire, "cancelled", count)?;
    run.beside(&format!("a cancel that fails {count} tasks"), |wire| {
        wire.call("cancel", json!({"task_id": id}))?;
        until_none(wire, "blocked")
    })?;
    // A failed task comes back only when what it depends on does.
    run.wire.call("retry", json!({"task_id": id}))?;
    enqueue(
        &mut run.wire,
        &json!({"prompt": "f", "queue": "failing"}),
        count,
    )?;
    let ended = json!({"status": "failed", "error": "e", "class": "bad_input"});
    end(
        &mut run.wire,
        &json!({"queues": ["failing"]}),
        &ended,
        count,
    )?;
    run.beside(&format!("retry_failed of {count} tasks"), |wire| {
        wire.call("retry_failed", json!({"queue": "failing"}))?;
        Ok(())
    })
}

/// Single requests with the most entries that a hub takes, several of each kind.
fn large_requests(run: &mut Run) -> Result<(), Fault> {
    let mut ids = Value::Null;
    run.beside(&format!("an enqueue_batch of {LARGEST}"), |wire| {
        let tasks = vec![json!({"prompt": "p", "queue": "large"}); LARGEST];
        for _ in 0..REPEATS {
            ids = wire.call("enqueue_batch", json!({"tasks": tasks}))?["task_ids"].take();
        }
        Ok(())
    })?;
    run.beside(&format!("{LARGEST} dependencies"), |wire| {
        for _ in 0..REPEATS {
            let task = json!({"prompt": "p", "queue": "after", "depends_on": ids});
            wire.call("enqueue", task)?;
        }
        Ok(())
    })?;
    let mut leased = Vec::new();
    run.beside(&format!("a lease of {PER_REQUEST}"), |wire| {
        let lease = json!({"queues": ["large"], "max_tasks": PER_REQUEST, "lease_seconds": 3600});
        for _ in 0..REPEATS {
            leased.push(wire.call("lease", lease.clone())?["tasks"].take());
        }
        Ok(())
    })?;
    run.beside(&format!("an ack of {PER_REQUEST}"), |wire| {
        for tasks in &leased {
            let tasks = tasks.as_array().into_iter().flatten();
            let ack = |task: &Value| json!({"task_id": task["task_id"], "fence": task["fence"], "status": "done"});
            let acks = Value::from_iter(tasks.map(ack));
            wire.call("ack", json!({"acks": acks}))?;
        }
        Ok(())
    })
}

/// Tasks whose prompt and result are long texts.
fn long_texts(run: &mut Run) -> Result<(), Fault> {
    let text = "t".repeat(LONG_TEXT);
    let megabytes = LONG_TEXT / 1_000_000;
    run.beside(&format!("an enqueue of {megabytes} MB"), |wire| {
        for _ in 0..REPEATS {
            wire.call("enqueue", json!({"prompt": text, "queue": "long"}))?;
        }
        Ok(())
    })?;
    let mut leased = Vec::new();
    run.beside(&format!("a lease of {megabytes} MB"), |wire| {
        for _ in 0..REPEATS {
            let lease = json!({"queues": ["long"], "lease_seconds": 3600});
            leased.push(wire.call("lease", lease)?["tasks"][0].take());
        }
        Ok(())
    })?;
    run.beside(&format!("an ack of {megabytes} MB"), |wire| {
        for task in &leased {
            let (id, fence) = (&task["task_id"], &task["fence"]);
            let ack = json!({"task_id": id, "fence": fence, "status": "done", "result": text});
            wire.call("ack", ack)?;
        }
        Ok(())
    })
}

/// Many leases expire in the same second.
fn expiry(run: &mut Run, count: usize) -> Result<(), Fault> {
    let lease = json!({"max_tasks": PER_REQUEST, "lease_seconds": 5});
    for _ in 0..count.div_ceil(PER_REQUEST) {
        run.wire.call("lease", lease.clone())?;
    }
    run.beside(&format!("{count} leases that expire"), |wire| {
        until_none(wire, "leased")
    })
}

/// Another client's enqueues are what many connections watch.
fn watchers(run: &mut Run, count: usize) -> Result<(), Fault> {
    let mut watching = Vec::new();
    for _ in 0..count {
        let mut watcher = Wire::connect(run.address)?;
        watcher.call("watch", json!({"kinds": ["task"]}))?;
        watching.push(watcher);
    }
    run.beside(&format!("{count} connections that watch"), |wire| {
        for _ in 0..WATCHED {
            wire.call("enqueue", json!({"prompt": "p"}))?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    })
}

/// Everything in the file is done, and removed when it is old enough.
fn retention(run: &mut Run, count: usize) -> Result<(), Fault> {
    fill(&mut run.wire, count)?;
    let ended = json!({"status": "done", "result": "r"});
    let newest = end(&mut run.wire, &json!({}), &ended, count)?;
    let pruned = |id: Value| {
        move |wire: &mut Wire| {
            until(wire, "get", &json!({"task_id": id}), |answer| {
                matches!(answer, Err(CallError::Refused(..)))
            })
        }
    };
    // The oldest tasks go first: the measurement begins with them.
    pruned(json!(1))(&mut run.wire)?;
    run.beside(&format!("the removal of {count} old tasks"), pruned(newest))
}
