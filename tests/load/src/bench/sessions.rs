//! 200 agent sessions on one machine: memory and processor time of the hub, its pools and their runners.

use super::{Bench, Report, Row, Target};
use crate::Fault;
use crate::machine::{cpu_time, processes_with, proportional_bytes, resident_bytes};
use crate::server::{Plan, Server};
use crate::wire::Wire;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// Sessions, each with a pretended agent program of its own.
const SESSIONS: usize = 200;
/// From one line of an agent to its next.
pub const AGENT_PAUSE: Duration = Duration::from_millis(100);
/// How long all of them may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// Idle sessions first, then all of them running an agent that prints ten lines of JSON a second.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let sessions = bench.scaled(SESSIONS);
    let window = bench.seconds() * 2;
    let folder = bench.fresh_folder()?;
    let mark = format!("{}", folder.path().display());
    let mut plan = Plan::hub(&bench.binary, folder.path());
    plan.verb = "up";
    plan.settings.clone_from(&bench.settings);
    plan.config = Some(folder.path().join("kirosu.toml"));
    plan.marker = Some(("KIROSU_BENCH".to_owned(), mark.clone()));
    let lasts = window + PATIENCE;
    std::fs::write(
        folder.path().join("kirosu.toml"),
        settings(sessions, lasts)?,
    )?;
    let server = Server::hub(&plan)?;
    let pid = server.pid();
    let mut wire = Wire::connect(server.address)?;
    wire.call("stats", json!({}))?;
    std::thread::sleep(Duration::from_secs(1));
    let used = cpu_used(&[pid], window);
    report.add(Row::new(
        format!("{sessions} idle sessions: memory"),
        "MB",
        mega(resident_bytes(pid)?),
    ));
    report.add(Row::new(
        format!("{sessions} idle sessions: processor"),
        "% of a core",
        used,
    ));

    let begun = Instant::now();
    let tasks: Vec<_> = (0..sessions)
        .map(|n| json!({"prompt": format!("task {n}"), "queue": "agents"}))
        .collect();
    wire.call("enqueue_batch", json!({"tasks": tasks}))?;
    let runners = wait_for_runners(&format!("KIROSU_BENCH={mark}"), sessions)?;
    report.add(Row::new(
        format!("{sessions} agents started in"),
        "s",
        begun.elapsed().as_secs_f64(),
    ));
    // The programs have just begun; what is measured is how it goes on.
    std::thread::sleep(Duration::from_secs(2));
    let before = output_kept(&mut wire)?;
    let hub = cpu_of(&[pid]);
    let theirs = cpu_of(&runners);
    let measured = Instant::now();
    std::thread::sleep(window);
    let seconds = measured.elapsed().as_secs_f64();
    let share = |spent: Duration| spent.as_secs_f64() / seconds * 100.0;
    let hub = share(cpu_of(&[pid]).saturating_sub(hub));
    let theirs = share(cpu_of(&runners).saturating_sub(theirs));
    let kept = (output_kept(&mut wire)? - before) / seconds;
    let memory = mega(resident_bytes(pid)?);
    let proportional: u64 = runners.iter().map(|it| proportional_bytes(*it)).sum();
    report.add(
        Row::new(
            format!("{sessions} running: memory of hub and sessions"),
            "MB",
            memory,
        )
        .target(Target::AtMost(150.0)),
    );
    report.add(Row::new(
        format!("{sessions} running: memory of a runner"),
        "MB",
        mega(proportional) / sessions as f64,
    ));
    report.add(Row::new(
        format!("{sessions} running: processor, hub and sessions"),
        "% of a core",
        hub,
    ));
    report.add(Row::new(
        format!("{sessions} running: processor, all runners"),
        "% of a core",
        theirs,
    ));
    report.add(Row::new(
        format!("{sessions} running: output kept of each"),
        "KB/s",
        kept / 1e3,
    ));
    Ok(())
}

/// One pool of agents that are this very program, pretending.
fn settings(sessions: usize, lasts: Duration) -> Result<String, Fault> {
    let program = std::env::current_exe()?;
    let seconds = lasts.as_secs().to_string();
    let command = json!([program, "--pretend-agent", seconds]);
    Ok(format!(
        "[providers.pretended]\nkind = \"command\"\ncommand = {command}\n\
         [providers.pretended.output]\nformat = \"jsonl\"\n\
         text = {{ match = {{ \"/event\" = \"say\" }}, value = \"/text\" }}\n\
         usage = {{ match = {{ \"/event\" = \"say\" }}, input = \"/tokens/in\", output = \"/tokens/out\" }}\n\
         done = {{ match = {{ \"/event\" = \"bye\" }} }}\n\
         [[pool]]\nname = \"agents\"\nqueues = [\"agents\"]\nprovider = \"pretended\"\nsize = {sessions}\n"
    ))
}

/// Prints the output of an agent of this measurement until its time is over.
pub fn pretend_agent(lasts: Duration) {
    use std::io::Write as _;
    let begun = Instant::now();
    let mut out = std::io::stdout();
    while begun.elapsed() < lasts {
        let line = json!({"event": "say", "text": "Reading the next file, which holds what was asked for.\n", "tokens": {"in": 12, "out": 3}});
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return;
        }
        std::thread::sleep(AGENT_PAUSE);
    }
    let _ = writeln!(out, "{}", json!({"event": "bye"}));
}

/// The runners that hold an agent each, once all are there.
fn wait_for_runners(mark: &str, wanted: usize) -> Result<Vec<u32>, Fault> {
    let begun = Instant::now();
    loop {
        let found = processes_with(mark);
        let runners: Vec<u32> = found.iter().copied().filter(|it| is_runner(*it)).collect();
        let agents = found.len().saturating_sub(runners.len() + 1);
        if runners.len() == wanted && agents >= wanted {
            return Ok(runners);
        }
        if begun.elapsed() > PATIENCE {
            return Err(Fault::new(format!(
                "{} of {wanted} agents run after {PATIENCE:?}; see the limits of processes and open files",
                runners.len()
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_runner(pid: u32) -> bool {
    let arguments = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
    arguments.is_ok_and(|it| it.starts_with(b"kirosu-runner"))
}

/// Bytes of output that the hub holds of the first agent.
fn output_kept(wire: &mut Wire) -> Result<f64, Fault> {
    let answer = wire.call("get", json!({"task_id": 1, "output": true}))?;
    let text = answer["output"][0]["text"].as_str().unwrap_or_default();
    Ok(text.len() as f64)
}

fn cpu_of(pids: &[u32]) -> Duration {
    pids.iter().map(|pid| cpu_time(*pid)).sum()
}

fn cpu_used(pids: &[u32], window: Duration) -> f64 {
    let (before, begun) = (cpu_of(pids), Instant::now());
    std::thread::sleep(window);
    let spent = cpu_of(pids).saturating_sub(before);
    spent.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
