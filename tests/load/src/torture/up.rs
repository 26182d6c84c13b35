//! Mode `up`: the hub's own pools do the work, with real processes, and the whole house is killed at once.
//!
//! Two queues: `echo`, whose provider answers with the prompt, and `commands`, whose runs are shell processes that note
//! each execution in a file and leave a grandchild behind on purpose. Nothing of them may outlive the house.

mod check;

use super::clients::{GRACES, end, unfinished};
use super::history::prompt_of;
use super::link::{Link, Sending, Shared};
use super::producer::key_of;
use super::{Torture, Verdict, kills, stored};
use crate::Fault;
use crate::machine::processes_with;
use crate::server::{Plan, Server};
use crate::torture::history::Call;
use crate::wire::Wire;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// One task in so many is a command.
const COMMAND_IN: u64 = 20;

/// Tasks an `enqueue_batch`.
const BATCH: u64 = 50;

/// No progress for so long, with the house up: it has stopped working.
const STALL: Duration = Duration::from_secs(60);

/// How long after SIGKILL of the house its processes may linger.
const LINGER: Duration = Duration::from_secs(10);

/// Runs it all.
pub fn run(torture: &Torture) -> Result<Verdict, Fault> {
    let mut verdict = Verdict::default();
    let marker = format!("up-{}-{:x}", std::process::id(), torture.seed);
    let runs = torture.folder.join("runs.log");
    let plan = plan(torture, &marker, &runs)?;
    let mut server = Server::hub(&plan)?;
    let shared = Shared::new(server.address, 1);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| enqueue(&shared, torture.tasks));
        let driven = drive(torture, &shared, &plan, &marker, &mut server, &mut verdict);
        shared.over.store(true, Ordering::Relaxed);
        let produced = producer.join();
        driven.and(produced.map_err(|_| Fault::new("the producer's thread panicked")))
    })?;
    end(server, &marker, &mut verdict)?;
    let (tasks, _) = stored::read(&plan.database(), &mut verdict)?;
    let executions = check::executions(&runs)?;
    check::check(torture.tasks, &tasks, &executions, &mut verdict);
    Ok(verdict)
}

fn plan(torture: &Torture, marker: &str, runs: &Path) -> Result<Plan, Fault> {
    let config = torture.folder.join("torture.toml");
    let script = format!(
        "IFS= read -r line; echo \"$line\" >> {}; sleep 300 & echo \"ran $line\"",
        shell_word(runs)?
    );
    std::fs::write(&config, settings(torture, &script))?;
    let mut plan = Plan::hub(&torture.binary, &torture.folder);
    plan.verb = "up";
    plan.config = Some(config);
    plan.marker = Some(("KIROSU_TORTURE".into(), marker.to_owned()));
    plan.settings = GRACES.map(str::to_owned).to_vec();
    plan.settings.extend_from_slice(&torture.settings);
    Ok(plan)
}

/// A path in single quotes.
fn shell_word(path: &Path) -> Result<String, Fault> {
    match path
        .to_str()
        .filter(|text| !text.contains(['\'', '"', '\\']))
    {
        Some(text) => Ok(format!("'{text}'")),
        None => Err(Fault::new(format!(
            "{} has characters that a shell would misread; choose another --dir",
            path.display()
        ))),
    }
}

fn settings(torture: &Torture, script: &str) -> String {
    let (size, folder) = (torture.workers, torture.folder.display());
    format!(
        r#"data_dir = "{folder}"
[[pool]]
name = "echo"
provider = "echo"
size = {size}
queues = ["echo"]
lease = "2s"
[[pool]]
name = "commands"
provider = "noting"
size = 2
queues = ["commands"]
lease = "2s"
workspace = "isolated"
[providers.noting]
kind = "command"
command = ["sh", "-c", {}]
"#,
        json!(script)
    )
}

/// Everything under idempotency keys, so that an answer cut off costs nothing.
fn enqueue(shared: &Shared, tasks: u64) {
    let mut link = Link::new(shared, 0, None);
    let mut next = 0;
    while next < tasks && !shared.is_over() {
        let numbers: Vec<u64> = (next..tasks.min(next + BATCH)).collect();
        next += BATCH;
        let tasks: Vec<Value> = numbers.iter().map(|number| task(*number)).collect();
        let params = json!({ "tasks": tasks });
        link.say("enqueue_batch", &params, Sending::UntilAnswered, |_| {
            Call::Enqueue {
                numbers,
                keyed: true,
                after: None,
                priority: 0,
                ids: Vec::new(),
            }
        });
    }
    shared.producing.store(0, Ordering::Release);
}

fn is_command(number: u64) -> bool {
    number.is_multiple_of(COMMAND_IN)
}

fn task(number: u64) -> Value {
    let queue = match is_command(number) {
        true => "commands",
        false => "echo",
    };
    json!({"prompt": prompt_of(number), "queue": queue, "idempotency_key": key_of(number)})
}

/// Kills at the chosen points, looks for what is left of each house, then waits until the queue is empty.
fn drive(
    torture: &Torture,
    shared: &Shared,
    plan: &Plan,
    marker: &str,
    server: &mut Server,
    verdict: &mut Verdict,
) -> Result<(), Fault> {
    let mut rng = fastrand::Rng::with_seed(torture.seed);
    let (mut slowest, mut lingered) = (Duration::ZERO, Duration::ZERO);
    for point in kills::points(torture.tasks, torture.kills as usize, &mut rng) {
        if !wait_until(server, |stats| done(stats) >= point)? {
            verdict.violation(format!("no task was done for {STALL:?} with the house up"));
            return Ok(());
        }
        kills::kill_and_restart(server, plan, &mut rng, verdict, |verdict| {
            lingered = lingered.max(until_gone(marker, verdict));
            Ok(())
        })?;
        shared.moved(server.address);
        slowest = slowest.max(server.started_in);
    }
    verdict.count("kills", torture.kills);
    verdict.count("slowest restart, ms", slowest.as_millis());
    verdict.count(
        "processes of a killed house gone after, ms",
        lingered.as_millis(),
    );
    let begun = Instant::now();
    let empty =
        |stats: &Value| shared.producing.load(Ordering::Acquire) == 0 && unfinished(stats) == 0;
    match wait_until(server, empty)? {
        true => verdict.count("drained after, ms", begun.elapsed().as_millis()),
        false => verdict.violation(format!(
            "the queue did not empty: nothing was done for {STALL:?}"
        )),
    }
    Ok(())
}

fn done(stats: &Value) -> u64 {
    stats["done"].as_u64().unwrap_or(0)
}

/// Asks for `stats` until they please; false when nothing moves for too long.
fn wait_until(server: &Server, pleases: impl Fn(&Value) -> bool) -> Result<bool, Fault> {
    let mut wire = Wire::connect(server.address)?;
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let answer = wire.call("stats", json!({}))?;
        let stats = &answer["stats"];
        if pleases(stats) {
            return Ok(true);
        }
        if done(stats) != last {
            (last, since) = (done(stats), Instant::now());
        }
        if since.elapsed() > STALL {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Waits until no process of the killed house is left; how long that took.
fn until_gone(marker: &str, verdict: &mut Verdict) -> Duration {
    let begun = Instant::now();
    let variable = format!("KIROSU_TORTURE={marker}");
    loop {
        let left = processes_with(&variable);
        if left.is_empty() {
            return begun.elapsed();
        }
        if begun.elapsed() > LINGER {
            verdict.violation(format!(
                "processes {left:?} were alive {LINGER:?} after their house was killed"
            ));
            return begun.elapsed();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
