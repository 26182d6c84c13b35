//! Runs of plans: a map of 100,000 items, started and followed by the command line; small runs at the same time as large ones.

use super::{Bench, Report, Row, Target, beside, percentile};
use crate::Fault;
use crate::machine::resident_bytes;
use crate::server::{Plan, Server};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Items of the large map; with `--full` ten times as many.
const ITEMS: usize = 100_000;
/// Agent sessions, whose provider answers at once.
const SESSIONS: usize = 16;
/// Items of each small run, and the number of small runs.
const SMALL: (usize, usize) = (20, 7);
/// Items of each large run, and their number.
const LARGE: (usize, usize) = (20_000, 3);
/// Signals, each a task that a program adds for another agent.
const SIGNALS: usize = 500;
/// Files that agents review, agents at the same time, and the time that each takes for one.
const REVIEW: (usize, usize, &str) = (60, 4, "0.2");
/// The longest run.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The large map, then small runs alone, and while large ones run.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let items = bench.scaled(ITEMS) * if bench.full { 10 } else { 1 };
    large(bench, items, report)?;
    side_by_side(bench, report)?;
    signal(bench, report)?;
    against_xargs(bench, report)
}

/// A hub with sessions whose provider answers with the prompt.
fn hub(bench: &Bench, folder: &Path) -> Result<Server, Fault> {
    let mut plan = Plan::hub(&bench.binary, folder);
    plan.verb = "up";
    plan.settings.clone_from(&bench.settings);
    plan.settings.extend([
        "pool.echo.provider=echo".to_owned(),
        format!("pool.echo.size={SESSIONS}"),
        "pool.echo.queues=[\"work\"]".to_owned(),
    ]);
    Server::hub(&plan)
}

fn large(bench: &Bench, items: usize, report: &mut Report) -> Result<(), Fault> {
    let folder = bench.fresh_folder()?;
    let server = hub(bench, folder.path())?;
    let mut lines = BufWriter::new(std::fs::File::create(folder.path().join("items.txt"))?);
    for n in 0..items {
        writeln!(lines, "item number {n} of the list")?;
    }
    lines.flush()?;
    let plan = "limits: { items: 1000000, tasks: 5000000 }\npipeline:\n\
         - { id: m, map: { over: { lines: items.txt } }, prompt: 'say {{ item }}' }\n\
         - { id: all, reduce: { of: m, arity: 1000 }, prompt: '{{ results | length }}' }\n";
    std::fs::write(folder.path().join("plan.yaml"), plan)?;
    let mut wire = Wire::connect(server.address)?;
    // Not queued for now: the queue has the tasks of the run only.
    let enqueue = json!({"prompt": "aside", "queue": "aside", "delay_seconds": 86400});
    let requests = [("enqueue", "enqueue", enqueue)];
    let quiet = beside(server.address, &requests, || {
        std::thread::sleep(bench.seconds());
        Ok(())
    })?;
    let before = resident_bytes(server.pid())?;
    let begun = Instant::now();
    let mut client = Command::new(&bench.binary)
        .args([
            "run-pipeline",
            "--file",
            "plan.yaml",
            "--wait",
            "--queue",
            "work",
        ])
        .args(["--port", &server.address.port().to_string()])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.path().join("client.log"))?)
        .spawn()?;
    let (mut first, mut sent) = (None, None);
    let (mut deepest, mut hub_bytes, mut client_bytes) = (0_u64, 0, 0);
    let busy = beside(server.address, &requests, || {
        loop {
            if let Some(status) = client.try_wait()? {
                return match status.success() {
                    true => Ok(()),
                    false => Err(Fault::new(format!("run-pipeline ended with {status}"))),
                };
            }
            let listed = wire.call("list", json!({"queue": "work", "limit": 1}))?;
            let stats = &listed["stats"];
            let count = |name: &str| stats[name].as_u64().unwrap_or(0);
            deepest = deepest.max(count("queued"));
            if count("done") > 0 {
                first.get_or_insert_with(|| begun.elapsed());
            }
            if count("leased") > 0 {
                sent.get_or_insert_with(|| begun.elapsed());
            }
            hub_bytes = resident_bytes(server.pid())?.max(hub_bytes);
            client_bytes = resident_bytes(client.id()).unwrap_or(0).max(client_bytes);
            if begun.elapsed() > PATIENCE {
                client.kill()?;
                return Err(Fault::new("the run takes too long"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    })?;
    let whole = begun.elapsed().as_secs_f64();
    let name = |of: &str| format!("map of {items}: {of}");
    let seconds = |at: Option<Duration>| at.map_or(0.0, |at| at.as_secs_f64());
    let mega = |bytes: u64| bytes as f64 / 1e6;
    report.add(Row::new(name("run begun"), "s", seconds(sent)));
    report.add(Row::new(name("first item done"), "s", seconds(first)));
    report.add(Row::new(name("items/s"), "", items as f64 / whole));
    report.add(
        Row::new(name("most tasks in the queue"), "", deepest as f64)
            .target(Target::AtMost(1000.0)),
    );
    report.add(Row::new(
        name("memory of the hub before"),
        "MB",
        mega(before),
    ));
    report.add(Row::new(
        name("memory of the hub, most"),
        "MB",
        mega(hub_bytes),
    ));
    report.add(Row::new(
        name("memory of the client, most"),
        "MB",
        mega(client_bytes),
    ));
    let [mut quiet, mut busy] = [quiet, busy].map(|mut it| it.pop().unwrap_or_default());
    for (of, p) in [("p50", 0.5), ("p99", 0.99), ("slowest", 1.0)] {
        let row = name(&format!("enqueue of another client, {of}"));
        report.add(Row::new(row, "ms", percentile(&mut busy, p)));
        let row = format!("the same on the idle hub, {of}");
        report.add(Row::new(row, "ms", percentile(&mut quiet, p)));
    }
    Ok(())
}

/// The time of small runs alone, and while large ones run that were started first.
fn side_by_side(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let folder = bench.fresh_folder()?;
    let server = hub(bench, folder.path())?;
    let (small, count_of_small) = SMALL;
    let (large, count_of_large) = (bench.scaled(LARGE.0), LARGE.1);
    let mut wire = Wire::connect(server.address)?;
    let alone = time_of(&mut wire, small, count_of_small)?;
    for _ in 0..count_of_large {
        start(&mut wire, large)?;
    }
    let beside = time_of(&mut wire, small, count_of_small)?;
    let stats = wire.call("list", json!({"queue": "work", "limit": 1}))?["stats"].clone();
    let left = stats["leased"].as_u64().unwrap_or(0);
    if left == 0 {
        return Err(Fault::new("the large runs ended before the small ones"));
    }
    let name = format!("{count_of_small} runs of {small} items");
    report.add(Row::new(format!("{name}, alone"), "s", alone));
    let row = format!("{name}, while {count_of_large} of {large} run");
    report.add(Row::new(row, "s", beside));
    Ok(())
}

fn start(wire: &mut Wire, items: usize) -> Result<Value, Fault> {
    let list: Vec<usize> = (0..items).collect();
    let plan = "inputs: { list: { type: list } }\nlimits: { items: 1000000, tasks: 1000000 }\n\
                pipeline: [{ id: m, map: { over: inputs.list }, prompt: 'say {{ item }}' }]";
    let metadata = json!({"inputs": {"list": list}});
    let run = json!({"type": "plan", "prompt": plan, "queue": "work", "metadata": metadata});
    Ok(wire.call("enqueue", run)?["task_id"].clone())
}

/// Seconds until several runs that are started together have ended.
fn time_of(wire: &mut Wire, items: usize, runs: usize) -> Result<f64, Fault> {
    let begun = Instant::now();
    let started = (0..runs).map(|_| start(wire, items));
    let started = started.collect::<Result<Vec<Value>, Fault>>()?;
    loop {
        let wait = json!({"task_ids": started, "wait_seconds": 30});
        let waited = wire.call("wait", wait)?;
        if waited["finished"] == true {
            return Ok(begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Fault::new("the small runs take too long"));
        }
    }
}

/// The time from a signal of a program, which adds a task, until another agent has started with it and answered.
fn signal(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let folder = bench.fresh_folder()?;
    let server = hub(bench, folder.path())?;
    let mut wire = Wire::connect(server.address)?;
    let mut times = Vec::new();
    for _ in 0..bench.scaled(SIGNALS) {
        let begun = Instant::now();
        let task = wire.call("enqueue", json!({"prompt": "act", "queue": "work"}))?;
        let wait = json!({"task_ids": [task["task_id"]], "timeout_seconds": 30});
        wire.call("wait", wait)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    for (of, p) in [("p50", 0.5), ("p99", 0.99)] {
        let row = Row::new(
            format!("signal to the answer of another agent, {of}"),
            "ms",
            percentile(&mut times, p),
        );
        report.add(row.target(Target::AtMost(5.0)));
    }
    Ok(())
}

/// One report of many files, with four agents: by `kirosu map`, and by `xargs -P` with a shell script around the same program.
fn against_xargs(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let folder = bench.fresh_folder()?;
    let (files, agents, pause) = REVIEW;
    let files = bench.scaled(files);
    let docs = folder.path().join("docs");
    std::fs::create_dir_all(&docs)?;
    for n in 0..files {
        std::fs::write(docs.join(format!("{n:03}.md")), format!("text {n}\n"))?;
    }
    let agent = folder.path().join("agent.sh");
    std::fs::write(&agent, format!("sleep {pause}; cat\n"))?;
    let settings = format!(
        "[providers.script]\nkind = \"command\"\ncommand = {}\n\
         [[pool]]\nname = \"script\"\nprovider = \"script\"\nsize = {agents}\n",
        json!(["sh", agent])
    );
    let config = folder.path().join("kirosu.toml");
    std::fs::write(&config, settings)?;
    let mut plan = Plan::hub(&bench.binary, folder.path());
    plan.verb = "up";
    plan.settings.clone_from(&bench.settings);
    plan.config = Some(config);
    let server = Server::hub(&plan)?;
    let port = server.address.port().to_string();
    let of_kirosu = timed(
        Command::new(&bench.binary)
            .args([
                "map",
                "--files",
                "docs/*.md",
                "--prompt",
                "{{ item.text }}",
                "--reduce",
            ])
            .args([
                "{% for r in results %}{{ r.result }}{% endfor %}",
                "--port",
                &port,
            ])
            .current_dir(folder.path()),
    )?;
    let script = format!(
        "mkdir out; ls docs | xargs -P {agents} -I NAME sh -c 'sh agent.sh < docs/NAME > out/NAME'; \
         cat out/* | sh agent.sh > report"
    );
    let of_xargs = timed(
        Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path()),
    )?;
    let name = format!("{files} files, {agents} agents, {pause} s each, one report");
    report.add(Row::new(format!("{name}: kirosu map"), "s", of_kirosu));
    report.add(Row::new(format!("{name}: xargs -P"), "s", of_xargs));
    Ok(())
}

/// Seconds until a command has ended well.
fn timed(command: &mut Command) -> Result<f64, Fault> {
    let begun = Instant::now();
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.stderr(Stdio::null()).status()?;
    match status.success() {
        true => Ok(begun.elapsed().as_secs_f64()),
        false => Err(Fault::new(format!("a command ended with {status}"))),
    }
}
