//! Whether a change of state pays for the size of the prompt.
//!
//! A lease carries the prompt to the worker, so a large prompt makes it slower; an ack does not carry it. After a megabyte was
//! moved, the CPU caches are full of it, and the next request that writes is slower, whatever it is: so there are two heartbeats,
//! and the first is reported separately.

use super::latency::{expect, number_after};
use super::{Bench, Report, Row, Target, median};
use crate::Fault;
use crate::talk::prompt;
use crate::wire::Wire;
use std::time::Instant;

const SAMPLES: usize = 200;

/// Life cycles with both prompts in turn.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let hub = bench.hub()?;
    let mut wire = Wire::connect(hub.server.address)?;
    let prompts = [prompt(0, 100), prompt(0, 1_000_000)];
    let mut times = [Times::default(), Times::default()];
    for _ in 0..bench.scaled(SAMPLES) {
        for (prompt, times) in prompts.iter().zip(&mut times) {
            one(&mut wire, prompt, times)?;
        }
    }
    let [small, large] = &mut times;
    let mut add = |what: &str, large: &mut [f64], small: &mut [f64], target| {
        let mut row = Row::new(what, "us", median(large)).beside("100 bytes", median(small));
        row.target = target;
        report.add(row);
    };
    add(
        "ack of a task with a prompt of 1 MB",
        &mut large.ack,
        &mut small.ack,
        Some(Target::RatioAtMost(1.3)),
    );
    add(
        "heartbeat of a task with a prompt of 1 MB",
        &mut large.heartbeat,
        &mut small.heartbeat,
        Some(Target::RatioAtMost(1.3)),
    );
    add(
        "the first heartbeat after a lease that carried 1 MB",
        &mut large.first,
        &mut small.first,
        None,
    );
    add(
        "lease and ack, the prompt carried to the worker, 1 MB",
        &mut large.both,
        &mut small.both,
        None,
    );
    Ok(())
}

#[derive(Default)]
struct Times {
    ack: Vec<f64>,
    heartbeat: Vec<f64>,
    first: Vec<f64>,
    both: Vec<f64>,
}

fn one(wire: &mut Wire, prompt: &str, times: &mut Times) -> Result<(), Fault> {
    let enqueue =
        format!("{{\"id\":1,\"method\":\"enqueue\",\"params\":{{\"prompt\":\"{prompt}\"}}}}\n");
    timed(wire, &enqueue, "\"task_id\":")?;
    let sent = Instant::now();
    wire.send(b"{\"id\":2,\"method\":\"lease\",\"params\":{\"worker_id\":\"bench\"}}\n")?;
    let task = number_after(wire.line()?, b"\"task_id\":")?;
    let lease = sent.elapsed().as_secs_f64() * 1e6;
    let heartbeat =
        format!("{{\"id\":3,\"method\":\"heartbeat\",\"params\":{{\"task_id\":{task}}}}}\n");
    times.first.push(timed(wire, &heartbeat, "\"ok\":true")?);
    times
        .heartbeat
        .push(timed(wire, &heartbeat, "\"ok\":true")?);
    let ack = format!(
        "{{\"id\":4,\"method\":\"ack\",\"params\":{{\"task_id\":{task},\"status\":\"done\"}}}}\n"
    );
    let ack = timed(wire, &ack, "\"ok\":true")?;
    times.ack.push(ack);
    times.both.push(lease + ack);
    Ok(())
}

/// Sends a line, reads its answer: microseconds.
fn timed(wire: &mut Wire, line: &str, words: &str) -> Result<f64, Fault> {
    let sent = Instant::now();
    wire.send(line.as_bytes())?;
    expect(wire.line()?, words)?;
    Ok(sent.elapsed().as_secs_f64() * 1e6)
}
