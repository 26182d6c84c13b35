//! Mode `up`: the hub's own pools do the work, with real processes, and the whole process is killed at once.
//!
//! Two queues: `echo`, whose provider answers with the prompt, and `commands`, whose runs are shell processes that note
//! each execution in a file and leave a grandchild behind on purpose. None of these processes may outlive Kirosu.

mod check;

use super::checker::check_enqueues;
use super::clients::{GRACES, end, nothing_held, stats, unfinished};
use super::history::{Event, now_ns, prompt_of};
use super::link::{Link, Sending, Shared};
use super::nemesis::Kind;
use super::producer::{ids_in, key_of};
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

/// One task in this number is a command.
const COMMAND_IN: u64 = 20;

/// Tasks an `enqueue_batch`.
const BATCH: u64 = 50;

/// Kirosu counts as stuck after this time without progress.
const STALL: Duration = Duration::from_secs(60);

/// Time after SIGKILL of Kirosu within which its other processes must end.
const LINGER: Duration = Duration::from_secs(10);

/// Runs it all.
pub fn run(torture: &Torture) -> Result<(Verdict, Vec<Event>), Fault> {
    let mut verdict = Verdict::default();
    let marker = format!("up-{}-{:x}", std::process::id(), torture.seed);
    let runs = torture.folder.join("runs.log");
    let plan = plan(torture, &marker, &runs)?;
    let begun = now_ns();
    let mut server = Server::hub(&plan)?;
    let shared = Shared::new(server.address, 1);
    let mut tool = Link::new(&shared, 1, None);
    tool.started(begun, None)?;
    let events = std::thread::scope(|scope| {
        let producer = scope.spawn(|| enqueue(&shared, torture.tasks));
        let mut kirosu = KirosuProcess {
            plan: &plan,
            marker: &marker,
            shared: &shared,
            server: &mut server,
            tool,
            rng: fastrand::Rng::with_seed(torture.seed),
            slowest: Duration::ZERO,
            lingered: Duration::ZERO,
            undone: 0,
            verdict: &mut verdict,
        };
        let driven = kirosu.drive(torture);
        let mut events = kirosu.tool.events;
        shared.over.store(true, Ordering::Relaxed);
        let produced = producer.join();
        events.extend(produced.map_err(|_| Fault::new("the producer's thread panicked"))?);
        driven.map(|()| events)
    })?;
    // The pools' own sessions stay.
    nothing_held(server.address, |_| 0, &mut verdict)?;
    end(server, &marker, &mut verdict)?;
    let (tasks, _) = stored::read(&plan.database(), &mut verdict)?;
    let executions = check::executions(&runs)?;
    check_enqueues(&events, &tasks, &mut verdict);
    check::check(&tasks, &executions, &mut verdict);
    Ok((verdict, events))
}

fn plan(torture: &Torture, marker: &str, runs: &Path) -> Result<Plan, Fault> {
    let config = torture.folder.join("torture.toml");
    // Kirosu may be killed between the start of a run and its prompt.
    let script = format!(
        "IFS= read -r line; [ -n \"$line\" ] || exit 1; echo \"$line\" >> {}; sleep 300 & echo \"ran $line\"",
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
fn enqueue(shared: &Shared, tasks: u64) -> Vec<Event> {
    let mut link = Link::new(shared, 0, None);
    let mut next = 0;
    while next < tasks && !shared.is_over() {
        let numbers: Vec<u64> = (next..tasks.min(next + BATCH)).collect();
        next += BATCH;
        let tasks: Vec<Value> = numbers.iter().map(|number| task(*number)).collect();
        let params = json!({ "tasks": tasks });
        link.say("enqueue_batch", &params, Sending::UntilAnswered, |answer| {
            Call::Enqueue {
                numbers,
                keyed: true,
                after: None,
                priority: 0,
                ids: answer.map_or_else(Vec::new, |answer| ids_in(answer, false)),
            }
        });
    }
    shared.producing.store(0, Ordering::Release);
    link.events
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

/// The Kirosu process and its observed state.
struct KirosuProcess<'a> {
    plan: &'a Plan,
    /// Marks all its processes.
    marker: &'a str,
    shared: &'a Shared,
    server: &'a mut Server,
    /// The tool's own client, which records the starts of Kirosu.
    tool: Link<'a>,
    rng: fastrand::Rng,
    /// The slowest start.
    slowest: Duration,
    /// The longest that processes have outlived a kill.
    lingered: Duration,
    /// Tasks that were done, and were not after a restore.
    undone: u64,
    verdict: &'a mut Verdict,
}

impl KirosuProcess<'_> {
    /// Kills and restores at the selected points, checks for remaining processes, then waits until the queue is empty.
    fn drive(&mut self, torture: &Torture) -> Result<(), Fault> {
        let kinds = [Kind::Kill, Kind::Restore];
        let kinds = kinds.iter().filter(|kind| torture.nemeses.contains(kind));
        let mut strikes: Vec<Kind> = kinds
            .flat_map(|kind| (0..kind.times(torture)).map(|_| *kind))
            .collect();
        self.rng.shuffle(&mut strikes);
        let shared = self.shared;
        let is_empty =
            |stats: &Value| shared.producing.load(Ordering::Acquire) == 0 && unfinished(stats) == 0;
        let points = kills::points(torture.tasks, strikes.len(), &mut self.rng);
        for (number, (point, kind)) in points.into_iter().zip(&strikes).enumerate() {
            // Tasks that a restore undoes are never done.
            if !wait_until(self.server, |stats| done(stats) >= point || is_empty(stats))? {
                let sentence = format!("no task was done for {STALL:?} with Kirosu running");
                self.verdict.violation(sentence);
                return Ok(());
            }
            match kind {
                Kind::Restore => self.restore(format!("torture-{number}.db"))?,
                _ => self.kill()?,
            }
            self.slowest = self.slowest.max(self.server.started_in);
        }
        for kind in [Kind::Kill, Kind::Restore] {
            let times = strikes.iter().filter(|it| **it == kind).count();
            self.verdict.count(format!("times {}", kind.name()), times);
        }
        let (slowest, lingered) = (self.slowest.as_millis(), self.lingered.as_millis());
        self.verdict.count("slowest restart, ms", slowest);
        let what = "processes of a killed Kirosu gone after, ms";
        self.verdict.count(what, lingered);
        let undone = self.undone;
        self.verdict
            .count("tasks done that a restore undid", undone);
        let begun = Instant::now();
        match wait_until(self.server, is_empty)? {
            true => (self.verdict).count("drained after, ms", begun.elapsed().as_millis()),
            false => self.verdict.violation(format!(
                "the queue did not empty: nothing was done for {STALL:?}"
            )),
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<(), Fault> {
        let (mut gone, mut lingered) = (0, Duration::ZERO);
        kills::kill_and_restart(self.server, self.plan, &mut self.rng, self.verdict, |it| {
            gone = now_ns();
            lingered = until_gone(self.marker, it);
            Ok(())
        })?;
        self.lingered = self.lingered.max(lingered);
        self.shared.moved(self.server.address);
        self.tool.started(gone, None)
    }

    /// Takes a backup, lets Kirosu continue for a while, ends it, and replaces its store with the backup.
    fn restore(&mut self, name: String) -> Result<(), Fault> {
        self.tool.back_up(&name)?;
        std::thread::sleep(Duration::from_millis(self.rng.u64(1_000..2_000)));
        let before = done(&stats(self.server.address)?);
        let (mut gone, mut lingered) = (0, Duration::ZERO);
        let (server, plan, rng) = (&mut *self.server, self.plan, &mut self.rng);
        kills::restore(server, plan, &name, rng, self.verdict, |verdict| {
            gone = now_ns();
            lingered = until_gone(self.marker, verdict);
        })?;
        self.lingered = self.lingered.max(lingered);
        self.shared.moved(self.server.address);
        self.tool.started(gone, Some(name))?;
        // A lower bound: the new process is already working.
        self.undone += before.saturating_sub(done(&stats(self.server.address)?));
        Ok(())
    }
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

/// Waits until no process of the killed Kirosu is left, and returns the time that took.
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
                "processes {left:?} were alive {LINGER:?} after their Kirosu was killed"
            ));
            return begun.elapsed();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
