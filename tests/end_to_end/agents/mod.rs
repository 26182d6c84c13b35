//! Real agent programs, as people have them, run by the built binary: what they answer and use, what they may not do,
//! and that nothing of them is left. The model is a stub on loopback (tests/end_to_end/agents/stub_model.py); the programs come from
//! the npm registry into target/agents, once (tests/end_to_end/agents/install.sh).

mod breakout;
mod continued;
mod exhausted;
mod mcp_tools;
mod parts;
mod plans;
pub mod programs;
mod refused;
mod sandboxed;
mod together;
mod user;
pub mod world;

use crate::common::{Client, Hub, Setup, until, until_within};
use kirosu_providers::{
    Cancel, Containment, EventSink, Job, ProviderOptions, RunnerCommand, build,
};
use programs::{CLAUDE, CODEX, COPILOT, GEMINI, GOOSE, OPENCODE, Program, QWEN};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use world::{World, installed};

/// Longest time from an agent's start to its end in these tests.
const AGENT_PATIENCE: Duration = Duration::from_secs(120);

/// One program under a running `kirosu up`, with a pool that trusts it (`all`) and one that does not (`safe`).
struct Case {
    program: Program,
    kind: &'static str,
    world: World,
    hub: Hub,
    client: Client,
    folder: PathBuf,
}

impl Case {
    fn start(program: Program, kind: &'static str) -> Case {
        Self::start_with(program, kind, "")
    }

    /// With further keys of both pools.
    fn start_with(program: Program, kind: &'static str, keys: &str) -> Case {
        let world = World::new(&[program.program(kind)]);
        let setup = Setup::new().up();
        let folder = setup.directory.path().join("work");
        fs::create_dir(&folder).unwrap();
        let env = program.environment(&world.folder().join("home"), &world.url);
        let name = program.name;
        let pool = |pool: &str, trusted: bool| {
            format!(
                "[[pool]]\nname = \"{pool}\"\nqueues = [\"{pool}\"]\nsize = 1\nprovider = \"{name}\"\n\
                 trust_all_tools = {trusted}\nworkdir = {}\nenv = {env}\n{keys}\n",
                json!(folder)
            )
        };
        let settings = format!(
            "[retry]\ninitial = \"50ms\"\n[providers.{name}]\nkind = \"{kind}\"\n{}\n{}{}",
            if kind == "command" { program.keys } else { "" },
            pool("safe", false),
            pool("all", true)
        );
        fs::write(setup.directory.path().join("kirosu.toml"), settings).unwrap();
        let hub = setup.environment("PATH", &path_with_programs()).start();
        let client = hub.client();
        Case {
            program,
            kind,
            world,
            hub,
            client,
            folder,
        }
    }

    /// Enqueues; the task's id.
    fn begin(&mut self, queue: &str, prompt: &str, mut params: Value) -> i64 {
        params["queue"] = queue.into();
        params["prompt"] = prompt.into();
        self.client.enqueue_with(params)
    }

    /// Waits for its end. On a busy machine an agent takes longer to start than a socket's patience lasts.
    fn end(&mut self, id: i64) -> Value {
        let begun = Instant::now();
        loop {
            self.client
                .call("wait", json!({"task_ids": [id], "timeout_seconds": 10}));
            let ask = json!({"task_id": id, "output": true});
            let got = self.client.call("get", ask);
            let status = got["task"]["status"].as_str().unwrap_or_default();
            if ["done", "failed", "cancelled"].contains(&status) || begun.elapsed() > AGENT_PATIENCE
            {
                return got;
            }
        }
    }

    fn run(&mut self, queue: &str, prompt: &str) -> Value {
        let id = self.begin(queue, prompt, json!({"max_attempts": 1}));
        self.end(id)
    }

    /// Waits until the agent asks a person about a tool; the question's id.
    fn question(&mut self, task: i64) -> Value {
        until_within(AGENT_PATIENCE, "the agent asks", || {
            let open = self.client.call("approvals", json!({}));
            let open = open["approvals"].as_array().unwrap();
            let ours = open.iter().find(|it| it["task_id"] == task)?;
            Some(ours["approval_id"].clone())
        })
    }

    /// Waits until a file is there.
    fn appears(&self, name: &str) {
        let file = self.folder.join(name);
        let what = format!("{name} is there");
        until_within(AGENT_PATIENCE, &what, || file.exists().then_some(()));
    }

    fn nothing_is_left(&self) {
        self.world.nothing_is_left(self.hub.pid());
    }
}

pub fn path_with_programs() -> String {
    let path = std::env::var("PATH").unwrap();
    let home = installed();
    // A node of its own, where this machine's is too old for one of them.
    let (programs, node) = (home.join("bin"), home.join("node/bin"));
    format!("{}:{}:{path}", programs.display(), node.display())
}

fn tokens(usage: &Value) -> [u64; 3] {
    ["input_tokens", "cache_read_tokens", "output_tokens"].map(|it| usage[it].as_u64().unwrap_or(0))
}

/// Asserts that the task's only attempt used `calls` model calls.
fn cost(program: Program, got: &Value, calls: u64) {
    let told = tokens(&got["attempts"][0]["usage"]);
    match program.costs(calls) {
        Some(costs) => assert_eq!(told, costs, "{got:#}"),
        None => assert!(told.iter().all(|it| *it > 0), "{got:#}"),
    }
}

/// The requirements for a program that runs without a person.
fn holds(program: Program) {
    let mut case = Case::start(program, "command");
    let begun = Instant::now();
    let step = |what: &str| {
        eprintln!(
            "{:>6} ms  {}: {what}",
            begun.elapsed().as_millis(),
            program.name
        );
    };

    let got = case.run("safe", "[[say four]] What is two and two?");
    assert_eq!(got["task"]["result"], "four", "{got:#}");
    cost(program, &got, 1);
    case.nothing_is_left();
    // Long enough to come to its tool, on a busy machine, too.
    let enough = 3 + begun.elapsed().as_secs() * 5 / 2;
    step("answers");

    let prompt = program.call("touch denied && echo made");
    let got = case.run("safe", &prompt);
    assert!(!case.folder.join("denied").exists(), "{got:#}");
    case.nothing_is_left();
    step("is denied a tool");

    let prompt = program.call("touch allowed && echo was-made");
    let got = case.run("all", &prompt);
    assert!(case.folder.join("allowed").exists(), "{got:#}");
    let result = got["task"]["result"].as_str().unwrap_or_default();
    assert!(
        result.contains("TOOL SAID") && result.contains("was-made"),
        "{got:#}"
    );
    let output = got["output"].to_string();
    assert!(
        output.contains("[tool") && output.contains(program.tool_shown()),
        "{got:#}"
    );
    cost(program, &got, 2);
    case.nothing_is_left();
    step("uses a tool");

    let id = case.begin("all", "[[sleep 50]]", json!({"max_attempts": 1}));
    until_within(AGENT_PATIENCE, "the model is asked", || {
        case.world
            .asked()
            .iter()
            .any(|it| it["answer"][0] == "sleep")
            .then_some(())
    });
    let asked_at = Instant::now();
    case.client.call("cancel", json!({"task_id": id}));
    let got = case.end(id);
    assert_eq!(got["task"]["status"], "cancelled", "{got:#}");
    case.nothing_is_left();
    assert!(
        asked_at.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked_at.elapsed()
    );
    step("is cancelled in the middle of an answer");

    let prompt = program.call(STUBBORN);
    let id = case.begin("all", &prompt, json!({"max_attempts": 1}));
    case.appears("stubborn");
    case.client.call("cancel", json!({"task_id": id}));
    let got = case.end(id);
    assert_eq!(got["task"]["status"], "cancelled", "{got:#}");
    case.nothing_is_left();
    step("is cancelled with tools that will not go");
    fs::remove_file(case.folder.join("stubborn")).unwrap();

    let limit = json!({"max_attempts": 1, "timeout_seconds": enough});
    let id = case.begin("all", &prompt, limit);
    case.appears("stubborn");
    let got = case.end(id);
    assert_eq!(got["task"]["status"], "failed", "{got:#}");
    assert_eq!(got["attempts"][0]["outcome"], "timeout", "{got:#}");
    case.nothing_is_left();
    step("runs out of time with tools that will not go");

    killed_and_resumed(&mut case);
    case.nothing_is_left();
    step("is killed and goes on");
}

/// All that must hold of a program that asks a person before it uses a tool.
fn asks(program: Program) {
    let mut case = Case::start(program, "acp");
    let begun = Instant::now();
    let step = |what: &str| {
        eprintln!(
            "{:>6} ms  {} asks: {what}",
            begun.elapsed().as_millis(),
            program.name
        );
    };

    let got = case.run("safe", "[[say four]] What is two and two?");
    // One of them says before it that it does not know the model.
    let result = got["task"]["result"].as_str().unwrap_or_default();
    assert!(result.ends_with("four"), "{got:#}");
    step("answers");

    let prompt = program.ask("touch denied && echo made");
    let id = case.begin("safe", &prompt, json!({"max_attempts": 1}));
    let question = case.question(id);
    let answer = json!({"approval_id": question, "by": "ada", "reason": "not here"});
    case.client.call("reject", answer);
    let got = case.end(id);
    assert!(!case.folder.join("denied").exists(), "{got:#}");
    step("is denied a tool by a person");

    let prompt = program.ask("touch allowed && echo was-made");
    let id = case.begin("safe", &prompt, json!({"max_attempts": 1}));
    let question = case.question(id);
    assert!(!case.folder.join("allowed").exists());
    let answer = json!({"approval_id": question, "by": "ada"});
    case.client.call("approve", answer);
    let got = case.end(id);
    let result = got["task"]["result"].as_str().unwrap_or_default();
    assert!(
        result.contains("TOOL SAID") && result.contains("was-made"),
        "{got:#}"
    );
    assert!(case.folder.join("allowed").exists());
    assert!(got["output"].to_string().contains("[tool"), "{got:#}");
    assert_eq!(
        tokens(&got["attempts"][0]["usage"]),
        program.acp.used,
        "{got:#}"
    );
    step("is allowed a tool by a person");

    let prompt = program.ask("touch never && echo made");
    let id = case.begin("safe", &prompt, json!({"max_attempts": 1}));
    case.question(id);
    case.client.call("cancel", json!({"task_id": id}));
    let got = case.end(id);
    assert_eq!(got["task"]["status"], "cancelled", "{got:#}");
    assert!(!case.folder.join("never").exists(), "{got:#}");
    step("is cancelled while it asks");

    let prompt = program.call(STUBBORN);
    let id = case.begin("all", &prompt, json!({"max_attempts": 1}));
    case.appears("stubborn");
    case.client.call("cancel", json!({"task_id": id}));
    let got = case.end(id);
    assert_eq!(got["task"]["status"], "cancelled", "{got:#}");
    // The agent's own process of the other pool lives on.
    until("the tools are gone", || {
        let left = case.world.processes(case.hub.pid());
        let tools = left.iter().any(|it| it.arguments.contains("sleep 300"));
        (!tools).then_some(())
    });
    step("is cancelled with tools that will not go");

    let prompt = program.call("setsid sleep 301 > /dev/null 2>&1 < /dev/null & echo was-made");
    let got = case.run("all", &prompt);
    assert_eq!(got["task"]["status"], "done", "{got:#}");
    until("what the tool started is gone", || {
        let left = case.world.processes(case.hub.pid());
        let tools = left.iter().any(|it| it.arguments.contains("sleep 301"));
        (!tools).then_some(())
    });
    step("leaves nothing running when it is done");

    killed_and_resumed(&mut case);
    step("is killed and goes on");

    let Case { world, hub, .. } = case;
    let pid = hub.pid();
    drop(hub.kill());
    world.nothing_is_left(pid);
    step("leaves nothing when the hub is killed");
}

/// Ignores SIGTERM, in a session of its own, holding the pipes of whoever started it; and a child in front.
const STUBBORN: &str = "trap '' TERM; setsid sh -c \"trap '' TERM; touch stubborn; sleep 300; sleep 300\" & sleep 300; sleep 300";

/// The agent is killed while its tool runs; the next attempt goes on with the conversation where it can.
fn killed_and_resumed(case: &mut Case) {
    let program = case.program;
    let before = case.world.asked().len();
    let shell = "if [ -e again ]; then echo went-on; else touch again; sleep 300; fi";
    let prompt = program.call(shell);
    let id = case.begin("all", &prompt, json!({"max_attempts": 3}));
    case.appears("again");
    if program.name == "claude" {
        // It begins a tool before it has written the call to the file of the conversation.
        let conversations = case.world.folder().join("home/claude/projects");
        until_within(AGENT_PATIENCE, "claude has written the call", || {
            is_written(&conversations, ["tool_use", "touch again"]).then_some(())
        });
    }
    kill_agent(&case.world, case.hub.pid(), program, case.kind);
    let got = case.end(id);
    assert_eq!(got["task"]["status"], "done", "{got:#}");
    assert_eq!(got["attempts"][0]["outcome"], "crashed", "{got:#}");
    assert_eq!(got["attempts"].as_array().unwrap().len(), 2, "{got:#}");
    let result = got["task"]["result"].as_str().unwrap_or_default();
    assert!(result.contains("went-on"), "{got:#}");
    let asked = &case.world.asked()[before..];
    let turns = asked.iter().filter_map(|it| it["turn"].as_u64()).max();
    let resumes = program.early || case.kind == "acp";
    assert_eq!(turns, Some(if resumes { 2 } else { 1 }), "{asked:#?}");
}

/// Whether a file in a folder, or below it, has a line with these texts.
fn is_written(folder: &Path, texts: [&str; 2]) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.any(|path| match path.is_dir() {
        true => is_written(&path, texts),
        false => fs::read(path).is_ok_and(|bytes| {
            let written = String::from_utf8_lossy(&bytes);
            let mut lines = written.lines();
            lines.any(|line| texts.iter().all(|text| line.contains(text)))
        }),
    })
}

/// Kills the program itself, not its tools, with SIGKILL.
fn kill_agent(world: &World, hub: u32, program: Program, kind: &str) {
    let processes = world.processes(hub);
    let name = program.program(kind);
    let binary = installed().join("bin").join(name).canonicalize().unwrap();
    // One that is a script runs as its interpreter.
    let script = format!("/bin/{name} ");
    let agent = processes
        .iter()
        .find(|it| it.program == binary || it.arguments.contains(&script));
    let agent = agent.unwrap_or_else(|| panic!("no {} in {processes:#?}", program.name));
    let pid = Pid::from_raw(i32::try_from(agent.pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// Three turns of one conversation: each costs what its own call of the model costs, whether the program counts by turn
/// or by conversation.
fn three_turns(programs: &[Program]) {
    let names: Vec<&str> = programs.iter().map(|it| it.name).collect();
    let world = World::new(&names);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for program in programs.iter().copied() {
        let home = world.folder().join(program.name);
        let work = home.join("work");
        fs::create_dir_all(&work).unwrap();
        let mut env = program.variables(&home, &world.url);
        env.push(("PATH".to_owned(), path_with_programs()));
        let options = ProviderOptions {
            name: program.name.to_owned(),
            kind: "command".to_owned(),
            preset: Some(program.name.to_owned()),
            env,
            ..ProviderOptions::default()
        };
        let runner = RunnerCommand {
            program: env!("CARGO_BIN_EXE_kirosu").into(),
            args: vec!["__run".into()],
        };
        let containment = Containment::new(runner, program.name);
        let provider = build(&options, &containment).unwrap();
        let mut conversation = None;
        let mut costs = Vec::new();
        for turn in 1..=3 {
            let mut job = Job::new(format!("[[say turn {turn}]]"), &work);
            job.conversation = conversation.take();
            let run = provider.run(job, EventSink::discard(), Cancel::never());
            let finished = runtime.block_on(run).unwrap();
            assert_eq!(finished.text, format!("turn {turn}"), "{}", program.name);
            let used = finished.usage.expect("it tells what it used");
            let tokens = [used.input, used.cache_read, used.output + used.reasoning];
            if let Some(costs) = program.costs(1) {
                assert_eq!(tokens, costs, "{} in turn {turn}", program.name);
            }
            let asked = world.asked();
            let last = asked.last().and_then(|it| it["turn"].as_u64());
            let expected = if program.resumes { turn } else { 1 };
            assert_eq!(last, Some(expected), "{}: {asked:#?}", program.name);
            costs.push(used.cost_micros);
            conversation = finished.conversation;
            assert_eq!(conversation.is_some(), program.resumes, "{}", program.name);
        }
        // Where it states money: as much for each.
        assert!(
            costs.windows(2).all(|it| it[0] == it[1]),
            "{}: {costs:?}",
            program.name
        );
    }
    world.nothing_is_left(0);
}

#[test]
fn figures_are_those_of_each_turn() {
    three_turns(&[CODEX, CLAUDE, OPENCODE, GOOSE]);
}

/// The wider set, for `make agents-all`: KIROSU_TEST_AGENTS names programs. Where it names none, none is downloaded.
#[test]
fn others_hold() {
    let wanted = std::env::var("KIROSU_TEST_AGENTS").unwrap_or_default();
    let others = [GEMINI, QWEN, COPILOT];
    for name in wanted.split_whitespace() {
        let program = others.iter().find(|it| it.name == name);
        let program = *program.unwrap_or_else(|| panic!("no settings for a program {name}"));
        // Each with a network of its own, so each on a thread of its own.
        let alone = |test: fn(Program)| std::thread::spawn(move || test(program)).join();
        alone(|program| three_turns(&[program])).unwrap();
        alone(holds).unwrap();
    }
    let script = fs::read_to_string("tests/end_to_end/agents/install.sh").unwrap();
    for program in others {
        assert!(script.contains(&format!("\n  {}) one ", program.name)));
    }
}

#[test]
fn codex_holds() {
    holds(CODEX);
}

#[test]
fn claude_holds() {
    holds(CLAUDE);
}

#[test]
fn opencode_holds() {
    holds(OPENCODE);
}

#[test]
fn goose_holds() {
    holds(GOOSE);
}

#[test]
fn codex_asks() {
    asks(CODEX);
}

#[test]
fn opencode_asks() {
    asks(OPENCODE);
}

#[test]
fn goose_asks() {
    asks(GOOSE);
}
