//! Tasks that continue the conversation of a finished one, with real programs: in the same folder, after a restart of the hub,
//! further and further, and never with a new conversation.

use crate::agents::programs::{CLAUDE, CODEX, OPENCODE, Program};
use crate::agents::world::World;
use crate::agents::{AGENT_PATIENCE, path_with_programs};
use crate::common::{Client, Hub, Setup, sentence, until_within};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One program under a hub, with a pool of each kind of folder.
struct Case {
    program: Program,
    world: World,
    hub: Hub,
    client: Client,
    home: PathBuf,
}

const POOLS: [&str; 4] = ["shared", "isolated", "ephemeral", "worktree"];

impl Case {
    fn start(program: Program, kind: &'static str) -> Case {
        let world = World::new(&[program.program(kind)]);
        let setup = Setup::new().up();
        let here = setup.directory.path();
        repository(&here.join("repository"));
        fs::create_dir(here.join("work")).unwrap();
        let home = world.folder().join("home");
        let env = program.environment(&home, &world.url);
        let name = program.name;
        let keys = if kind == "command" { program.keys } else { "" };
        let mut settings = format!("[providers.{name}]\nkind = \"{kind}\"\n{keys}\n");
        for pool in POOLS {
            let workdir = match pool {
                "shared" => format!("workdir = {}\n", json!(here.join("work"))),
                "worktree" => format!("workdir = {}\n", json!(here.join("repository"))),
                _ => String::new(),
            };
            settings.push_str(&format!(
                "[[pool]]\nname = \"{pool}\"\nsize = 2\nprovider = \"{name}\"\ntrust_all_tools = true\n\
                 workspace = \"{pool}\"\n{workdir}env = {env}\n"
            ));
        }
        fs::write(here.join("kirosu.toml"), settings).unwrap();
        let hub = setup.environment("PATH", &path_with_programs()).start();
        let client = hub.client();
        Case {
            program,
            world,
            hub,
            client,
            home,
        }
    }

    fn restart(self) -> Case {
        let Case {
            program,
            world,
            hub,
            home,
            ..
        } = self;
        let hub = hub.kill().start();
        let client = hub.client();
        Case {
            program,
            world,
            hub,
            client,
            home,
        }
    }

    /// Runs a task whose agent runs a shell command, to its end.
    fn ended(&mut self, mut params: Value, shell: &str) -> Value {
        params["prompt"] = self.program.call(shell).into();
        let id = self.client.enqueue_with(params);
        until_within(AGENT_PATIENCE, "the task ends", || {
            let task = self.client.task(id);
            let status = task["status"].as_str().unwrap_or_default();
            ["done", "failed"].contains(&status).then_some(task)
        })
    }

    fn done(&mut self, params: Value, shell: &str) -> Value {
        let task = self.ended(params, shell);
        assert_eq!(task["status"], "done", "{task:#}");
        task
    }

    /// The number of prompts in the newest conversation that the model has seen, after `before` requests.
    fn turns(&self, before: usize) -> u64 {
        let asked = &self.world.asked()[before..];
        asked
            .iter()
            .filter_map(|it| it["turn"].as_u64())
            .max()
            .unwrap_or(0)
    }

    fn asked(&self) -> usize {
        self.world.asked().len()
    }

    fn refused(&mut self, task: i64) -> String {
        let params = json!({"continues": task, "prompt": "x"});
        sentence(&self.client.refused("enqueue", params)).to_owned()
    }
}

fn repository(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let git = |args: &[&str]| {
        let person = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"];
        let mut command = Command::new("git");
        let done = command.current_dir(folder).args(person).args(args);
        assert!(done.status().unwrap().success());
    };
    git(&["init", "-q", "-b", "main"]);
    fs::write(folder.join("README"), "a project\n").unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-qm", "begin"]);
}

fn id(task: &Value) -> i64 {
    task["task_id"].as_i64().unwrap()
}

fn result(task: &Value) -> &str {
    task["result"].as_str().unwrap_or_default()
}

/// A conversation goes on in the same folder, in a new process of the hub; then again, from the command line.
fn goes_on(program: Program, kind: &'static str, pool: &str) -> Case {
    let mut case = Case::start(program, kind);
    let before = case.asked();
    let first = case.done(json!({"queue": pool}), "echo from-the-first > note");
    assert_eq!(case.turns(before), 1);
    // Other tasks have their own conversations, and in this kind of folder their own files.
    let mut case = case.restart();
    let before = case.asked();
    let second = case.done(
        json!({"continues": id(&first)}),
        "cat note; echo more >> note",
    );
    assert_eq!(case.turns(before), 2, "{second:#}");
    assert!(result(&second).contains("from-the-first"), "{second:#}");
    assert_eq!(second["queue"], pool);
    assert_eq!(second["continues"]["task_id"], first["task_id"]);
    // The conversation is a line.
    let why = case.refused(id(&first));
    assert!(
        why.contains(&format!("continue task {}", id(&second))),
        "{why}"
    );
    let before = case.asked();
    let prompt = case.program.call("cat note");
    let number = id(&second).to_string();
    let third = case
        .hub
        .cli(&["continue", &number, &prompt, "--wait", "--json"]);
    assert!(third.status.success(), "{third:?}");
    let third: Value = serde_json::from_slice(&third.stdout).unwrap();
    assert_eq!(case.turns(before), 3, "{third:#}");
    assert!(result(&third).contains("more"), "{third:#}");
    // Each has costs of its own: not those of the whole conversation.
    if let Some([input, cached, output]) = program.costs(2).filter(|_| kind == "command") {
        let got = case.client.call("get", json!({"task_id": id(&third)}));
        let usage = &got["attempts"][0]["usage"];
        let used = ["input_tokens", "cache_read_tokens", "output_tokens"].map(|it| &usage[it]);
        assert_eq!(
            used,
            [&json!(input), &json!(cached), &json!(output)],
            "{got:#}"
        );
    }
    if kind == "command" {
        // An agent over ACP waits for the next task.
        case.world.nothing_is_left(case.hub.pid());
    }
    case
}

#[test]
fn codex_goes_on_and_never_with_a_new_conversation() {
    let mut case = goes_on(CODEX, "command", "shared");
    let last = case.client.call("list", json!({"limit": 1}))["tasks"][0].clone();
    fs::remove_dir_all(case.home.join("codex/sessions")).unwrap();
    let before = case.asked();
    let lost = case.ended(json!({"continues": id(&last)}), "echo never > never");
    assert_eq!(lost["status"], "failed", "{lost:#}");
    let why = lost["error"].as_str().unwrap();
    assert!(why.contains("cannot be continued"), "{why}");
    assert_eq!(case.asked(), before, "the model was not asked");
}

#[test]
fn claude_goes_on_in_a_worktree_which_both_tasks_name() {
    let mut case = goes_on(CLAUDE, "command", "worktree");
    let tasks = case.client.call("list", json!({}))["tasks"].clone();
    let numbers: Vec<String> = tasks
        .as_array()
        .unwrap()
        .iter()
        .map(|task| id(task).to_string())
        .collect();
    let [third, _, first] = numbers.as_slice() else {
        panic!("{numbers:?}")
    };
    for number in [first, third] {
        let diff = case.hub.cli(&["diff", number]);
        let diff = String::from_utf8_lossy(&diff.stdout).into_owned();
        assert!(diff.contains("+from-the-first\n+more"), "{number}: {diff}");
    }
    let discarded = case.hub.cli(&["discard", third, "--force"]);
    assert!(discarded.status.success(), "{discarded:?}");
    let number: i64 = third.parse().unwrap();
    let lost = case.ended(json!({"continues": number}), "echo never");
    let why = lost["error"].as_str().unwrap();
    assert!(why.contains("it was discarded or removed"), "{why}");
}

#[test]
fn opencode_goes_on_in_the_folder_of_the_session_that_ran_it() {
    goes_on(OPENCODE, "command", "isolated");
}

#[test]
fn opencode_goes_on_over_acp() {
    goes_on(OPENCODE, "acp", "shared");
}

/// The folder of a task that is done is removed, that of a failed one is kept.
#[test]
fn in_ephemeral_folders_only_failed_tasks_are_continued() {
    let mut case = Case::start(CODEX, "command");
    let done = case.done(json!({"queue": "ephemeral"}), "echo x > note");
    let why = case.refused(id(&done));
    assert!(why.contains("its folder was removed"), "{why}");
    let params = json!({"queue": "ephemeral", "accept": {"file": ["other"]}});
    let failed = case.ended(params, "echo kept > note");
    assert_eq!(failed["status"], "failed", "{failed:#}");
    let before = case.asked();
    let next = case.done(json!({"continues": id(&failed)}), "cat note");
    assert!(result(&next).contains("kept"), "{next:#}");
    assert_eq!(case.turns(before), 2);
    // Its folder is that of the first, which is kept.
    case.done(json!({"continues": id(&next)}), "cat note");
}
