//! The cost of a lease with growing queue depth.
//!
//! One hub for each depth, all alive, measured in turns: a machine that slows down for a while then slows all of them.

use super::latency::{expect, number_after};
use super::{Bench, Fresh, Report, Row, Target, fill, median, percentile};
use crate::Fault;
use crate::talk::prompt;
use crate::wire::Wire;
use std::time::Instant;

const ROUNDS: usize = 5;
const LEASES_A_ROUND: usize = 400;

struct Depth {
    tasks: usize,
    _hub: Fresh,
    wire: Wire,
    times: Vec<f64>,
}

/// 1k, 100k, 1M and, where asked for, 10M tasks behind.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let mut depths = vec![1_000, 100_000, 1_000_000];
    if bench.full {
        depths.push(10_000_000);
    }
    let mut depths = depths
        .into_iter()
        .map(|tasks| prepare(bench, bench.scaled(tasks)))
        .collect::<Result<Vec<_>, Fault>>()?;
    for _ in 0..ROUNDS {
        for depth in &mut depths {
            let leases = bench.scaled(LEASES_A_ROUND);
            depth.times.extend(leases_at(&mut depth.wire, leases)?);
        }
    }
    let (mut base, mut base_name) = (0.0, String::new());
    for depth in &mut depths {
        let cost = median(&mut depth.times);
        let p99 = percentile(&mut depth.times, 0.99);
        let behind = depth.tasks;
        let mut row = Row::new(
            format!("a lease with {behind} tasks behind, p50"),
            "us",
            cost,
        );
        if base > 0.0 {
            row = row
                .beside(base_name.clone(), base)
                .target(Target::RatioAtMost(1.3));
        } else {
            base = cost;
            base_name = format!("{behind} behind");
        }
        report.add(row);
        report.add(Row::new(
            format!("a lease with {behind} tasks behind, p99"),
            "us",
            p99,
        ));
    }
    Ok(())
}

fn prepare(bench: &Bench, tasks: usize) -> Result<Depth, Fault> {
    eprintln!("  filling a hub with {tasks} tasks");
    let hub = bench.hub()?;
    let mut wire = Wire::connect(hub.server.address)?;
    fill(&mut wire, tasks)?;
    Ok(Depth {
        tasks,
        _hub: hub,
        wire,
        times: Vec::new(),
    })
}

/// Times leases; each task taken is acked and replaced, so the depth stays.
fn leases_at(wire: &mut Wire, leases: usize) -> Result<Vec<f64>, Fault> {
    let lease = b"{\"id\":1,\"method\":\"lease\",\"params\":{\"worker_id\":\"bench\"}}\n";
    let enqueue = format!(
        "{{\"id\":2,\"method\":\"enqueue\",\"params\":{{\"prompt\":\"{}\"}}}}\n",
        prompt(0, 200)
    );
    let mut times = Vec::with_capacity(leases);
    for _ in 0..leases {
        let sent = Instant::now();
        wire.send(lease)?;
        let task = number_after(wire.line()?, b"\"task_id\":")?;
        times.push(sent.elapsed().as_secs_f64() * 1e6);
        let ack = format!(
            "{{\"id\":3,\"method\":\"ack\",\"params\":{{\"task_id\":{task},\"status\":\"done\"}}}}\n"
        );
        wire.send(ack.as_bytes())?;
        expect(wire.line()?, "\"ok\":true")?;
        wire.send(enqueue.as_bytes())?;
        expect(wire.line()?, "\"task_id\":")?;
    }
    Ok(times)
}
