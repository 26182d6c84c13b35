//! How long a start takes with a million tasks in the file: until the hub answers, after a clean stop and after a kill.

use super::{Bench, Report, Row, Target, fill, median};
use crate::Fault;
use crate::server::{Plan, Server};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::time::Instant;

const TASKS: usize = 1_000_000;
const STARTS: usize = 3;

/// Fills a file, then stops and starts the hub on it.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let tasks = bench.scaled(TASKS);
    eprintln!("  filling a hub with {tasks} tasks");
    let hub = bench.hub()?;
    let (plan, mut server, _folder) = (hub.plan, hub.server, hub._folder);
    fill(&mut Wire::connect(server.address)?, tasks)?;
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        server.stop()?;
        server = timed_start(&plan, tasks, &mut clean)?;
        server.kill()?;
        server = timed_start(&plan, tasks, &mut killed)?;
    }
    for (how, times) in [("a clean stop", &mut clean), ("kill -9", &mut killed)] {
        let what = format!("start to first answer with {tasks} tasks, after {how}");
        report.add(Row::new(what, "s", median(times)).target(Target::AtMost(0.5)));
    }
    Ok(())
}

fn timed_start(plan: &Plan, tasks: usize, times: &mut Vec<f64>) -> Result<Server, Fault> {
    let begun = Instant::now();
    let server = Server::hub(plan)?;
    let stats = Wire::connect(server.address)?.call("stats", json!({}))?;
    times.push(begun.elapsed().as_secs_f64());
    let queued = stats.pointer("/stats/queued").and_then(Value::as_u64);
    if queued != Some(tasks as u64) {
        return Err(Fault::new(format!(
            "{tasks} tasks were enqueued, after the restart {queued:?} are there"
        )));
    }
    Ok(server)
}
