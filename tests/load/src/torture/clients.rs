//! Mode `clients`: our own producers and workers, in threads and in processes, against a hub to which faults happen.

use super::drive::{drive, strikes};
use super::history::{Event, OWN_QUEUE, now_ns};
use super::link::{LATER, Link, REST, Shared};
use super::nemesis::{Field, Kind};
use super::proxy::{self, Gates};
use super::remote::{self, Remote, Role};
use super::shared::FOLLOWERS;
use super::worlds::{World, worlds};
use super::{
    Torture, Verdict, bulk, canceller, checker, load, nuisance, pairs, producer, stored, worker,
};
use crate::Fault;
use crate::machine::processes_with;
use crate::server::{Plan, Server};
use crate::wire::{CallError, Wire};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

const PRODUCERS: u64 = 3;

/// The tool itself, among the speakers.
const TOOL: u32 = 3_000;

/// Worker processes behind the proxy.
const REMOTES: u32 = 4;

/// Longest time that a hub may be busy after all workers have stopped.
const BUSY: Duration = Duration::from_secs(10);

/// Grace times short enough for a test: what a kill held up comes back within a second or two.
pub const GRACES: [&str; 2] = ["lease.session_grace=1s", "lease.heartbeat_grace=1s"];

/// Runs it all; the histories come along for whoever looks for a cause.
pub fn run(torture: &Torture) -> Result<(Verdict, Vec<Event>), Fault> {
    let mut verdict = Verdict::default();
    let mut plan = Plan::hub(&torture.binary, &torture.folder);
    let marker = format!("clients-{}-{:x}", std::process::id(), torture.seed);
    plan.marker = Some(("KIROSU_TORTURE".into(), marker.clone()));
    plan.bears_full_disk = torture.nemeses.contains(&Kind::Full);
    plan.settings = GRACES.map(str::to_owned).to_vec();
    plan.settings.extend(load::settings());
    plan.settings.extend_from_slice(&torture.settings);
    let begun = now_ns();
    let mut server = Server::hub(&plan)?;
    let mut rng = fastrand::Rng::with_seed(torture.seed);
    let (strikes, pace) = strikes(torture, &mut rng);
    let shared = Shared::new(server.address, PRODUCERS as u32 + FOLLOWERS);
    shared.set_pace(pace.mul_f64(PRODUCERS as f64));
    let (shared, gates) = (&shared, &Gates::default());
    let mut tool = Link::new(shared, TOOL, None);
    tool.started(begun, None)?;
    let mut remotes = Vec::new();
    let (events, replaced) = std::thread::scope(|scope| {
        let crew = Crew::start(scope, torture, shared, gates, &mut remotes);
        let driven = crew.and_then(|crew| {
            let mut field = Field {
                plan: &plan,
                server: &mut server,
                shared,
                tool,
                replaced: Vec::new(),
                gates,
                remotes: &remotes,
                rng: &mut rng,
                verdict: &mut verdict,
                slowest_start: Duration::ZERO,
            };
            let driven = drive(torture, &strikes, &mut field);
            let (own, replaced) = (field.tool.events, field.replaced);
            shared.over.store(true, Ordering::Relaxed);
            let ended: Result<Vec<()>, Fault> = remotes.iter_mut().map(Remote::end).collect();
            let mut events = crew.join(&mut verdict)?;
            ended?;
            driven?;
            events.extend(own);
            Ok((events, replaced))
        });
        shared.over.store(true, Ordering::Relaxed);
        driven
    })?;
    verdict.count("bytes swallowed by cut wires", gates.swallowed());
    nothing_held(server.address, sessions, &mut verdict)?;
    let said = stats(server.address)?;
    end(server, &marker, &mut verdict)?;
    let (tasks, attempts) = stored::read(&plan.database(), &mut verdict)?;
    verdict.merge(checker::check(&events, &tasks, &attempts));
    for (world, file) in worlds(&events).iter().zip(&replaced) {
        verdict.violations.extend(ended(world, file, &events)?);
    }
    compare_stats(&said, &tasks, &mut verdict);
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
        gates: &'env Gates,
        remotes: &mut Vec<Remote>,
    ) -> Result<Crew<'scope>, Fault> {
        let mut threads = Vec::new();
        for n in 0..PRODUCERS {
            let numbers = torture.tasks * n / PRODUCERS..torture.tasks * (n + 1) / PRODUCERS;
            let (speaker, seed) = (n as u32, torture.seed.wrapping_add(n));
            threads.push(scope.spawn(move || {
                let events = producer::run(shared, speaker, numbers, seed);
                shared.end_producer();
                events
            }));
        }
        for n in 0..torture.workers {
            let (speaker, seed) = (100 + n, torture.seed.wrapping_add(100 + u64::from(n)));
            threads.push(scope.spawn(move || worker::run(shared, speaker, n % 2 == 0, seed)));
        }
        threads.push(scope.spawn(move || load::run(shared, 99)));
        threads.push(scope.spawn(move || canceller::run(shared, 98)));
        let (numbers, seed) = (OWN_QUEUE..OWN_QUEUE * 2, torture.seed);
        threads.push(scope.spawn(move || pairs::run(shared, 97, numbers, seed)));
        let (numbers, tasks) = (OWN_QUEUE * 2..OWN_QUEUE * 3, torture.tasks);
        threads.push(scope.spawn(move || bulk::run(shared, 96, numbers, tasks, seed)));
        let seed = torture.seed;
        let nuisance = scope.spawn(move || nuisance::run(shared, seed));
        let address = proxy::start(scope, shared, gates)?;
        for n in 0..REMOTES {
            let role = Role {
                speaker: 2_000 + n,
                address,
                seed: torture.seed.wrapping_add(2_000 + u64::from(n)),
            };
            let (remote, output) = Remote::start(&torture.tool, &role)?;
            remotes.push(remote);
            threads.push(remote::listen(scope, shared, output));
        }
        Ok(Crew { threads, nuisance })
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

/// Violations in a future before a restore ended it, according to the file that the restore replaced.
fn ended(world: &World, file: &Path, events: &[Event]) -> Result<Vec<String>, Fault> {
    let mut verdict = Verdict::default();
    let (tasks, attempts) = stored::read(file, &mut verdict)?;
    checker::check_world(events, world, &tasks, &attempts, &mut verdict);
    let backup = world.ended_by.as_deref().unwrap_or_default();
    let told = verdict.violations.into_iter();
    Ok(told
        .map(|it| format!("before {backup} was restored: {it}"))
        .collect())
}

/// The hub's counters; a hub that is busy is asked again.
pub fn stats(address: SocketAddr) -> Result<Value, Fault> {
    let begun = Instant::now();
    loop {
        match Wire::connect(address)?.call("stats", json!({})) {
            Ok(mut answer) => return Ok(answer["stats"].take()),
            Err(CallError::Refused(code, _)) if LATER.contains(&code) && begun.elapsed() < BUSY => {
                std::thread::sleep(REST);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// With the queue empty no lease is left: no actor, no entry of a session or a connection, no count; and of the sessions that
/// are counted here none.
pub fn nothing_held(
    address: SocketAddr,
    sessions: impl Fn(&Value) -> usize,
    verdict: &mut Verdict,
) -> Result<(), Fault> {
    let begun = Instant::now();
    loop {
        let mut wire = Wire::connect(address)?;
        let held = wire.call("agents", json!({})).and_then(|agents| {
            let tree = wire.call("tree", json!({}))?;
            let leased = wire.call("stats", json!({}))?;
            let agents = &agents["agents"];
            Ok((
                [
                    entries(agents, "leases"),
                    sessions(agents),
                    actors(&tree["tree"]),
                ],
                leased["stats"]["leased"].clone(),
            ))
        });
        match held {
            Ok(([0, 0, 0], leased)) if leased == 0 => return Ok(()),
            Ok(([entries, sessions, actors], leased)) if begun.elapsed() > BUSY => {
                verdict.violation(format!(
                    "nothing is leased any more and no client is there, but `agents` lists {entries} leases and {sessions} sessions, `tree` {actors} lease actors, `stats` {leased}"
                ));
                return Ok(());
            }
            Err(error) if begun.elapsed() > BUSY => return Err(error.into()),
            _ => std::thread::sleep(REST),
        }
    }
}

/// How many entries the lists of this name have, all together.
fn entries(list: &Value, name: &str) -> usize {
    let list = list.as_array().into_iter().flatten();
    list.map(|one| one[name].as_array().map_or(0, Vec::len))
        .sum()
}

/// How many sessions there are.
fn sessions(agents: &Value) -> usize {
    let agents = agents.as_array().into_iter().flatten();
    agents
        .filter(|agent| !agent["session_id"].is_null())
        .count()
}

/// How many actors of leases there are.
fn actors(tree: &Value) -> usize {
    let children = tree["children"].as_array().into_iter().flatten();
    let leases = children.filter(|child| child["name"] == "leases");
    leases
        .map(|leases| leases["children"].as_array().map_or(0, Vec::len))
        .sum()
}

/// The states of tasks that have not ended.
pub const UNFINISHED: [&str; 5] = [
    "queued",
    "blocked",
    "scheduled",
    "awaiting_approval",
    "leased",
];

/// Tasks that have not ended.
pub fn unfinished(stats: &Value) -> u64 {
    UNFINISHED
        .iter()
        .map(|state| stats[*state].as_u64().unwrap_or(u64::MAX / 8))
        .sum()
}

/// SIGTERM must end the hub with code 0 and leave no process behind.
pub fn end(mut server: Server, marker: &str, verdict: &mut Verdict) -> Result<(), Fault> {
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

/// The hub's last answers must equal the content of the file.
fn compare_stats(said: &Value, tasks: &[stored::Stored], verdict: &mut Verdict) {
    for state in ["queued", "leased", "done", "failed", "cancelled"] {
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
