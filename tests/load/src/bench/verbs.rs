//! Enqueue, lease and ack each by itself, with 1, 8 and 64 connections, singly, pipelined and batched.

use super::{Bench, Report, Row};
use crate::Fault;
use crate::pump::Pump;
use crate::talk::{OneVerb, Step, Style};

/// How tasks are grouped: the name, tasks a round, the requests' form.
const GROUPINGS: [(&str, usize, Style); 3] = [
    ("one in flight", 1, Style::Plain),
    ("50 pipelined", 50, Style::Plain),
    ("50 a request", 50, Style::Batched),
];

const STEPS: [(&str, Step); 3] = [
    ("enqueue", Step::Enqueue),
    ("lease", Step::Lease),
    ("ack", Step::Ack),
];

/// A fresh hub for each number of connections and grouping; all enqueues, then all leases, then all acks.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    for connections in [1, 8, 64] {
        for (grouping, batch, style) in GROUPINGS {
            let tasks = match (connections, batch) {
                (1, 1) => 4_000,
                (_, 1) => 16_000,
                _ => 64_000,
            };
            let rounds = (bench.scaled(tasks) / (connections * batch)).max(1);
            let hub = bench.hub()?;
            let talks = (1..=connections as u64).map(|n| OneVerb::new(n, batch, style));
            let mut pump = Pump::connect(hub.server.address, talks.collect())?;
            for (verb, step) in STEPS {
                pump.talks().for_each(|talk| talk.turn_to(step, rounds));
                let rate = pump.run_to_end()?.rate();
                let what = format!("{verb}, {connections} connections, {grouping}");
                report.add(Row::new(what, "tasks/s", rate));
            }
        }
    }
    Ok(())
}
