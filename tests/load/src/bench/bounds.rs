//! The cost of long answers, large texts and many clients for other clients: each figure is compared with the same without them,
//! on the same hub, in the same run.

use super::{Bench, Report, Row, Target, beside, fill, median, percentile};
use crate::Fault;
use crate::machine::{cpu_time, raise_open_files, resident_bytes};
use crate::wire::Wire;
use serde_json::json;
use std::io::Read;
use std::time::{Duration, Instant};

/// Tasks that are listed at once.
const LISTED: usize = 1_000_000;
/// Time for which others are measured alone.
const ALONE: Duration = Duration::from_secs(2);
/// Lease requests that wait, each for a queue of its own.
const INBOXES: [usize; 2] = [500, 3000];
/// Connections that watch.
const WATCHERS: usize = 1000;

/// A long list, many different leases, many watchers, large notes.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    raise_open_files();
    long_list(bench, report)?;
    inboxes(bench, report)?;
    watchers(bench, report)?;
    notes(bench, report)
}

/// Latency of other clients, alone and while one client lists all tasks.
fn long_list(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let hub = bench.hub()?;
    let (address, pid) = (hub.server.address, hub.server.pid());
    let mut wire = Wire::connect(address)?;
    let tasks = bench.scaled(LISTED);
    fill(&mut wire, tasks)?;
    let lease = wire.call("lease", json!({"worker_id": "w", "lease_seconds": 3600}))?;
    let id = lease["tasks"][0]["task_id"].clone();
    let others = [
        (
            "heartbeat in a worker's name",
            "heartbeat",
            json!({"task_id": id, "worker_id": "w"}),
        ),
        ("get", "get", json!({"task_id": id})),
        (
            "enqueue",
            "enqueue",
            json!({"prompt": "p", "queue": "other"}),
        ),
    ];
    let mut alone = beside(address, &others, || {
        std::thread::sleep(ALONE);
        Ok(())
    })?;
    let before = resident_bytes(pid)?;
    let mut most = before;
    let begun = Instant::now();
    let mut listed = beside(address, &others, || {
        let mut greedy = std::net::TcpStream::connect(address)?;
        std::io::Write::write_all(
            &mut greedy,
            b"{\"id\":1,\"method\":\"list\",\"params\":{\"limit\":0}}\n",
        )?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = greedy.read(&mut buffer)?;
            most = most.max(resident_bytes(pid)?);
            if read == 0 || buffer[..read].ends_with(b"\n") {
                return Ok(());
            }
        }
    })?;
    let took = begun.elapsed().as_secs_f64();
    report.add(Row::new(format!("list of {tasks} tasks"), "s", took));
    let grown = most.saturating_sub(before) as f64 / 1e6;
    report.add(Row::new("memory it takes", "MB", grown).target(Target::AtMost(20.0)));
    for ((name, ..), (alone, listed)) in others.iter().zip(alone.iter_mut().zip(&mut listed)) {
        for (figure, p) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let row = Row::new(
                format!("{name} beside it, {figure}"),
                "ms",
                percentile(listed, p),
            );
            report.add(row.beside("alone", percentile(alone, p)));
        }
    }
    Ok(())
}

/// An empty lease while few and while many other leases wait, each for another queue.
fn inboxes(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let hub = bench.hub()?;
    let mut wire = Wire::connect(hub.server.address)?;
    let (mut parked, mut few) = (Vec::new(), None);
    for count in INBOXES.map(|count| bench.scaled(count)) {
        while parked.len() < count {
            let queue = format!("inbox-{}", parked.len());
            let mut worker = Wire::connect(hub.server.address)?;
            worker.call("enqueue", json!({"prompt": "x", "queue": queue}))?;
            let leased = worker.call("lease", json!({"queues": [queue]}))?;
            let id = &leased["tasks"][0]["task_id"];
            worker.call("ack", json!({"task_id": id, "status": "done"}))?;
            worker.ask("lease", &json!({"queues": [queue], "wait_seconds": 600}))?;
            parked.push(worker);
        }
        let mut times = Vec::new();
        for _ in 0..bench.scaled(400) {
            let begun = Instant::now();
            wire.call("lease", json!({"queues": ["none"]}))?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let cost = median(&mut times);
        let row = Row::new(
            format!("a lease that finds nothing, {count} wait for other queues, p50"),
            "ms",
            cost,
        );
        report.add(match few.replace((count, cost)) {
            Some((count, cost)) => row
                .beside(format!("{count} wait"), cost)
                .target(Target::RatioAtMost(1.5)),
            None => row,
        });
    }
    Ok(())
}

/// CPU time of the hub for an enqueue without watchers and with many.
fn watchers(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let hub = bench.hub()?;
    let (address, pid) = (hub.server.address, hub.server.pid());
    let mut wire = Wire::connect(address)?;
    let mut watching = Vec::new();
    let mut alone = None;
    for count in [0, bench.scaled(WATCHERS)] {
        while watching.len() < count {
            let mut watcher = Wire::connect(address)?;
            watcher.call("watch", json!({"kinds": ["task"]}))?;
            watching.push(watcher);
        }
        let (events, before) = (bench.scaled(2000), cpu_time(pid));
        for _ in 0..events {
            wire.call("enqueue", json!({"prompt": "p"}))?;
            std::thread::sleep(Duration::from_millis(1));
        }
        let cost = (cpu_time(pid) - before).as_secs_f64() * 1e3 / events as f64;
        let row = Row::new(
            format!("processor time of an enqueue, {count} watch"),
            "ms",
            cost,
        );
        report.add(match alone.replace(cost) {
            Some(alone) => row
                .beside("0 watch", alone)
                .target(Target::AtMost(alone + 0.5)),
            None => row,
        });
    }
    Ok(())
}

/// Memory after a run has reported its progress again and again, each time with many numbers.
fn notes(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let hub = bench.hub()?;
    let mut wire = Wire::connect(hub.server.address)?;
    wire.call("enqueue", json!({"prompt": "p"}))?;
    let lease = wire.call("lease", json!({"lease_seconds": 3600}))?;
    let task = &lease["tasks"][0];
    let note = json!({"task_id": task["task_id"], "fence": task["fence"], "data": vec![0; 32_000]});
    let before = resident_bytes(hub.server.pid())?;
    let notes = bench.scaled(4000);
    for _ in 0..notes {
        wire.call("progress", note.clone())?;
    }
    let grown = resident_bytes(hub.server.pid())?.saturating_sub(before);
    let row = Row::new(
        format!("memory of {notes} progress notes of 64 kB"),
        "MB",
        grown as f64 / 1e6,
    );
    report.add(row.target(Target::AtMost(100.0)));
    Ok(())
}
