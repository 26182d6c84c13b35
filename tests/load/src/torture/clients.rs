//! Mode `clients`: our own producers and workers against a hub that is killed again and again.

use super::history::Event;
use super::link::Shared;
use super::{Torture, Verdict, checker, kills, nuisance, producer, stored, worker};
use crate::Fault;
use crate::machine::processes_with;
use crate::server::{Plan, Server};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

const PRODUCERS: u64 = 3;

/// No progress for so long, with the hub up: it has stopped working.
const STALL: Duration = Duration::from_secs(30);

/// After the last kill the queue must be empty within this time.
const DRAIN: Duration = Duration::from_secs(120);

/// Grace times short enough for a test: what a kill held up comes back within a second or two.
pub const GRACES: [&str; 2] = ["lease.session_grace=1s", "lease.heartbeat_grace=1s"];

/// Runs it all; the histories come along for whoever looks for a cause.
pub fn run(torture: &Torture) -> Result<(Verdict, Vec<Event>), Fault> {
    let mut verdict = Verdict::default();
    let mut plan = Plan::hub(&torture.binary, &torture.folder);
    let marker = format!("clients-{}-{:x}", std::process::id(), torture.seed);
    plan.marker = Some(("KIROSU_TORTURE".into(), marker.clone()));
    plan.settings = GRACES.map(str::to_owned).to_vec();
    plan.settings.extend_from_slice(&torture.settings);
    let mut server = Server::hub(&plan)?;
    let shared = Shared::new(server.address, PRODUCERS as u32);
    let events = std::thread::scope(|scope| {
        let crew = Crew::start(scope, torture, &shared);
        let driven = drive(torture, &shared, &plan, &mut server, &mut verdict);
        shared.over.store(true, Ordering::Relaxed);
        let events = crew.join(&mut verdict);
        driven.and(events)
    })?;
    let said = Wire::connect(server.address)?.call("stats", json!({}))?;
    end(server, &marker, &mut verdict)?;
    let tasks = stored::read(&plan.database(), &mut verdict)?;
    verdict.merge(checker::check(&events, &tasks));
    compare_stats(&said["stats"], &tasks, &mut verdict);
    Ok((verdict, events))
}

/// The speakers' threads.
struct Crew<'scope> {
    threads: Vec<ScopedJoinHandle<'scope, Vec<Event>>>,
    nuisance: ScopedJoinHandle<'scope, u64>,
}

impl<'scope> Crew<'scope> {
    fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        torture: &Torture,
        shared: &'env Shared,
    ) -> Crew<'scope> {
        let mut threads = Vec::new();
        for n in 0..PRODUCERS {
            let numbers = torture.tasks * n / PRODUCERS..torture.tasks * (n + 1) / PRODUCERS;
            let (speaker, seed) = (n as u32, torture.seed.wrapping_add(n));
            threads.push(scope.spawn(move || {
                let events = producer::run(shared, speaker, numbers, seed);
                shared.producing.fetch_sub(1, Ordering::Release);
                events
            }));
        }
        for n in 0..torture.workers {
            let (speaker, seed) = (100 + n, torture.seed.wrapping_add(100 + u64::from(n)));
            threads.push(scope.spawn(move || worker::run(shared, speaker, n % 2 == 0, seed)));
        }
        let seed = torture.seed;
        let nuisance = scope.spawn(move || nuisance::run(shared, seed));
        Crew { threads, nuisance }
    }

    fn join(self, verdict: &mut Verdict) -> Result<Vec<Event>, Fault> {
        let panicked = |_| Fault::new("a speaker's thread panicked; its message is above");
        verdict.count(
            "bad clients endured",
            self.nuisance.join().map_err(panicked)?,
        );
        let mut events = Vec::new();
        for thread in self.threads {
            events.extend(thread.join().map_err(panicked)?);
        }
        Ok(events)
    }
}

/// Kills at the chosen points, then waits until the queue is empty.
fn drive(
    torture: &Torture,
    shared: &Shared,
    plan: &Plan,
    server: &mut Server,
    verdict: &mut Verdict,
) -> Result<(), Fault> {
    let mut rng = fastrand::Rng::with_seed(torture.seed);
    let mut slowest = Duration::ZERO;
    for point in kills::points(torture, &mut rng) {
        if !wait_for_progress(shared, point) {
            verdict.violation(format!("no ack was taken for {STALL:?} with the hub up"));
            return Ok(());
        }
        kills::kill_and_restart(server, plan, &mut rng, verdict, |_| Ok(()))?;
        shared.moved(server.address);
        slowest = slowest.max(server.started_in);
    }
    verdict.count("kills", torture.kills);
    verdict.count("slowest restart, ms", slowest.as_millis());
    let begun = Instant::now();
    match drained(server, shared)? {
        true => verdict.count("drained after, ms", begun.elapsed().as_millis()),
        false => verdict.violation(format!(
            "the queue was not empty {DRAIN:?} after the last kill"
        )),
    }
    Ok(())
}

fn wait_for_progress(shared: &Shared, point: u64) -> bool {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let acked = shared.acked.load(Ordering::Relaxed);
        if acked >= point {
            return true;
        }
        if acked != last {
            (last, since) = (acked, Instant::now());
        }
        if since.elapsed() > STALL {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn drained(server: &Server, shared: &Shared) -> Result<bool, Fault> {
    let mut wire = Wire::connect(server.address)?;
    let begun = Instant::now();
    while begun.elapsed() < DRAIN {
        if shared.producing.load(Ordering::Acquire) == 0 {
            let stats = wire.call("stats", json!({}))?;
            if unfinished(&stats["stats"]) == 0 {
                return Ok(true);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(false)
}

/// Tasks that have not ended.
pub fn unfinished(stats: &Value) -> u64 {
    [
        "queued",
        "blocked",
        "scheduled",
        "awaiting_approval",
        "leased",
    ]
    .iter()
    .map(|state| stats[*state].as_u64().unwrap_or(u64::MAX / 8))
    .sum()
}

/// SIGTERM must end the hub with code 0 and leave no process behind.
pub fn end(server: Server, marker: &str, verdict: &mut Verdict) -> Result<(), Fault> {
    let status = server.stop()?;
    if !status.success() {
        verdict.violation(format!(
            "SIGTERM ended the hub with {status}, not with code 0"
        ));
    }
    let orphans = processes_with(&format!("KIROSU_TORTURE={marker}"));
    verdict.count("processes left behind", orphans.len());
    if !orphans.is_empty() {
        verdict.violation(format!("processes outlived the hub: {orphans:?}"));
    }
    Ok(())
}

/// What the hub said last must be what the file holds.
fn compare_stats(said: &Value, tasks: &[stored::Stored], verdict: &mut Verdict) {
    for state in ["queued", "leased", "done", "failed"] {
        let held = tasks.iter().filter(|task| task.status == state).count();
        if said[state].as_u64() != Some(held as u64) {
            verdict.violation(format!(
                "stats said {} tasks are {state}, the file holds {held}",
                said[state]
            ));
        }
    }
    if said["total_tasks"].as_u64() != Some(tasks.len() as u64) {
        verdict.violation(format!(
            "stats said total_tasks {}, the file holds {}",
            said["total_tasks"],
            tasks.len()
        ));
    }
}
