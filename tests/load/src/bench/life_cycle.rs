//! Whole life cycles per second, compared with Redis in the same run.

use super::{Bench, Report, Row, Target, median};
use crate::Fault;
use crate::machine::cpu_time;
use crate::pump::{Pump, Pumped};
use crate::server::Server;
use crate::talk::{Kirosu, Redis, Style, Talk};
use std::net::SocketAddr;
use std::time::Duration;

struct Workload {
    what: &'static str,
    connections: usize,
    batch: usize,
    style: Style,
    target: Option<Target>,
}

fn workload(name: &str) -> Workload {
    let (what, connections, batch, style, target) = match name {
        "a" => (
            "(a) 64 connections, one request in flight each",
            64,
            1,
            Style::Plain,
            Some(0.65),
        ),
        "b" => (
            "(b) 8 connections, 50 enqueues, lease of 50, 50 acks, pipelined",
            8,
            50,
            Style::Plain,
            Some(0.47),
        ),
        "c" => (
            "(c) one connection, one request in flight",
            1,
            1,
            Style::Plain,
            Some(0.8),
        ),
        _ => (
            "8 connections, enqueue_batch, lease and ack of 50 each",
            8,
            50,
            Style::Batched,
            None,
        ),
    };
    Workload {
        what,
        connections,
        batch,
        style,
        target: target.map(Target::RatioAtLeast),
    }
}

/// One server's runs.
#[derive(Default)]
struct Runs {
    rates: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Runs {
    fn add(&mut self, pumped: Pumped, cpu: Duration, whole: Duration) {
        self.rates.push(pumped.rate());
        // The CPU time covers the warm-up too, so it is scaled to the measured part.
        let share = pumped.elapsed.as_secs_f64() / whole.as_secs_f64();
        self.cpu_us
            .push(cpu.as_secs_f64() * share * 1e6 / pumped.cycles.max(1) as f64);
    }
}

/// Alternates hub and Redis, each on a fresh file, the order changing with each run.
pub fn measure(bench: &Bench, name: &str, report: &mut Report) -> Result<(), Fault> {
    let load = workload(name);
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    for run in 0..bench.runs {
        if run % 2 == 1 && bench.redis {
            run_redis(bench, &load, &mut theirs)?;
        }
        run_hub(bench, &load, &mut ours)?;
        if run % 2 == 0 && bench.redis {
            run_redis(bench, &load, &mut theirs)?;
        }
    }
    let mut row = Row::new(load.what, "cycles/s", median(&mut ours.rates.clone()));
    if bench.redis {
        row = row.beside("redis", median(&mut theirs.rates.clone()));
        let pairs = ours.rates.iter().zip(&theirs.rates);
        row.ratio = Some(median(&mut pairs.map(|(o, t)| o / t).collect::<Vec<_>>()));
    }
    row.target = load.target;
    row.runs = ours.rates;
    report.add(row);
    let mut cpu = Row::new(
        format!("    server CPU a cycle, {}", name_of(name)),
        "us",
        median(&mut ours.cpu_us),
    );
    if bench.redis {
        cpu = cpu.beside("redis", median(&mut theirs.cpu_us));
    }
    report.add(cpu);
    Ok(())
}

fn name_of(name: &str) -> String {
    match name.len() {
        1 => format!("({name})"),
        _ => name.to_owned(),
    }
}

fn run_hub(bench: &Bench, load: &Workload, runs: &mut Runs) -> Result<(), Fault> {
    let hub = bench.hub()?;
    let talks = (1..=load.connections as u64).map(|n| Kirosu::new(n, load.batch, load.style));
    one_run(
        bench,
        hub.server.address,
        &hub.server,
        talks.collect(),
        runs,
    )
}

fn run_redis(bench: &Bench, load: &Workload, runs: &mut Runs) -> Result<(), Fault> {
    let (server, _folder) = bench.redis()?;
    let talks = (1..=load.connections as u64).map(|n| Redis::new(n, load.batch));
    one_run(bench, server.address, &server, talks.collect(), runs)
}

fn one_run<T: Talk>(
    bench: &Bench,
    address: SocketAddr,
    server: &Server,
    talks: Vec<T>,
    runs: &mut Runs,
) -> Result<(), Fault> {
    let mut pump = Pump::connect(address, talks)?;
    let warm_up = bench.seconds().mul_f64(0.2).min(Duration::from_secs(1));
    let before = cpu_time(server.pid());
    let pumped = pump.run(warm_up, bench.seconds())?;
    let cpu = cpu_time(server.pid()).saturating_sub(before);
    runs.add(pumped, cpu, warm_up + pumped.elapsed);
    Ok(())
}
