//! Agents that divide their work, and wait for the parts without occupying an agent.

use crate::common::{Client, Hub, Setup, until};
use serde_json::{Value, json};
use std::process::Command;

const KIROSU: &str = env!("CARGO_BIN_EXE_kirosu");

/// A hub with one agent, a shell script, which gets the prompt as `$prompt`. `pool`: further settings of the pool.
fn hub(script: &str, pool: &str) -> Hub {
    let setup = Setup::new().up();
    let folder = setup.directory.path();
    let file = folder.join("agent.sh");
    std::fs::write(&file, format!("prompt=$(cat); {script}")).unwrap();
    let data = json!(folder.join("data"));
    let settings = format!(
        "data_dir = {data}\n[[pool]]\nname = \"p\"\nqueues = [\"default\"]\nsize = 1\nprovider = \"script\"\n{pool}\n\
         [providers.script]\nkind = \"command\"\ncommand = [\"sh\", {}]\n",
        json!(file)
    );
    std::fs::write(folder.join("kirosu.toml"), settings).unwrap();
    setup.start()
}

fn ended(client: &mut Client, id: i64) -> Value {
    let params = json!({"task_ids": [id], "timeout_seconds": 60});
    client.call("wait", params);
    client.call("get", json!({"task_id": id, "output": true}))
}

/// Waits until the task has this status.
fn is(client: &mut Client, id: i64, status: &str) {
    until(&format!("task {id} is {status}"), || {
        (client.task(id)["status"] == status).then_some(())
    });
}

/// The agent adds two parts in its first run and waits for them.
fn divides(then: &str) -> String {
    format!(
        "case \"$prompt\" in
         part*) while [ -e hold ]; do sleep 0.05; done; echo \"did $prompt\";;
         *\"an earlier run of this task\"*) {then};;
         *) {KIROSU} enqueue 'part one' >/dev/null && {KIROSU} enqueue 'part two' >/dev/null && {KIROSU} wait --children;;
         esac"
    )
}

#[test]
fn one_agent_is_enough_for_a_task_and_its_parts() {
    let hub = hub(&divides("printf '%s' \"$prompt\" | grep '^|'"), "");
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": "whole", "max_attempts": 1}));
    let got = ended(&mut client, id);
    let task = &got["task"];
    assert_eq!(task["status"], "done", "{got:#}");
    assert_eq!(task["result"], "| did part one\n| did part two");
    assert_eq!(task["attempts"], 1, "the run that waited does not count");
    let outcomes: Vec<&Value> = got["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| &attempt["outcome"])
        .collect();
    assert_eq!(outcomes, ["parked", "done"]);
    // People see why it waited, and how it ended.
    let shown = hub.cli(&["get", &id.to_string()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("parked"), "{shown}");
}

#[test]
fn the_wait_survives_the_hub_and_shows_what_it_is_for() {
    let hub = hub(&divides("echo together"), "workspace = \"shared\"");
    let hold = hub.setup.directory.path().join("hold");
    std::fs::write(&hold, "").unwrap();
    let mut client = hub.client();
    let id = client.enqueue("whole");
    is(&mut client, id, "blocked");
    let waiting = client.task(id)["waiting"].clone();
    assert_eq!(waiting["reason"], "dependency", "{waiting}");
    let hub = hub.kill().start();
    let mut client = hub.client();
    is(&mut client, id, "blocked");
    std::fs::remove_file(&hold).unwrap();
    let got = ended(&mut client, id);
    assert_eq!(got["task"]["result"], "together", "{got:#}");
}

#[test]
fn the_folder_of_the_first_run_is_that_of_the_second() {
    for workspace in ["worktree", "isolated", "ephemeral"] {
        let setup = tempfile::tempdir().unwrap();
        let repository = setup.path().join("repository");
        std::fs::create_dir(&repository).unwrap();
        let git = |args: &[&str]| {
            let person = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"];
            let mut command = Command::new("git");
            let done = command.current_dir(&repository).args(person).args(args);
            assert!(done.status().unwrap().success());
        };
        git(&["init", "-q", "-b", "main"]);
        git(&["commit", "-q", "--allow-empty", "-m", "begin"]);
        // The folder of a session or a run is gone on with where the conversation is; a script has none there.
        let script = format!(
            "case \"$prompt\" in
             part*) echo did it;;
             *\"an earlier run of this task\"*) cat draft && rm draft && echo whole > whole;;
             *) echo begun > draft; {KIROSU} enqueue 'part one' >/dev/null && {KIROSU} wait --children;;
             esac"
        );
        let place = match workspace {
            "worktree" => format!("workdir = {}", json!(repository)),
            _ => String::new(),
        };
        let hub = hub(&script, &format!("workspace = \"{workspace}\"\n{place}"));
        let mut client = hub.client();
        let id = client.enqueue_with(json!({"prompt": "whole", "max_attempts": 1}));
        let got = ended(&mut client, id);
        match workspace {
            // Each attempt has a new folder, unless the provider goes on with its conversation.
            "ephemeral" => assert_eq!(got["task"]["status"], "failed", "{got:#}"),
            _ => assert_eq!(got["task"]["result"], "begun", "{workspace}: {got:#}"),
        }
        if workspace == "worktree" {
            git(&["cat-file", "-e", &format!("kirosu/task-{id}:whole")]);
        }
    }
}

#[test]
fn a_task_of_a_plan_waits_for_its_parts_and_the_plan_for_it() {
    let hub = hub(&divides("echo both are done"), "");
    let mut client = hub.client();
    let plan = "pipeline: [{id: divide, prompt: whole}, {id: then, depends_on: [divide], prompt: 'part of it: {{ steps.divide.result }}'}]";
    let run = client.enqueue_with(json!({"type": "plan", "prompt": plan}));
    let got = ended(&mut client, run);
    assert_eq!(
        got["task"]["result"], "did part of it: both are done",
        "{got:#}"
    );
}

#[test]
fn a_failed_part_is_told_and_a_cancelled_whole_waits_no_more() {
    let script = format!(
        "case \"$prompt\" in
         part*) echo broken >&2; exit 3;;
         *\"an earlier run of this task\"*) printf '%s' \"$prompt\" | grep -o 'is failed:'; printf '%s' \"$prompt\" | grep -o broken;;
         *) {KIROSU} enqueue 'part one' --queue parts >/dev/null && {KIROSU} wait --children;;
         esac"
    );
    let hub = hub(&script, "");
    let mut client = hub.client();
    let (one, two) = (client.enqueue("whole"), client.enqueue("whole"));
    for id in [one, two] {
        is(&mut client, id, "blocked");
    }
    client.call("cancel", json!({"task_id": two}));
    assert_eq!(client.task(two)["status"], "cancelled");
    let parts = client.call("lease", json!({"queues": ["parts"], "max_tasks": 2}));
    for part in parts["tasks"].as_array().unwrap() {
        client.call(
            "ack",
            json!({"task_id": part["task_id"], "status": "failed", "class": "bad_input", "error": "broken"}),
        );
    }
    let got = ended(&mut client, one);
    assert_eq!(got["task"]["result"], "is failed:\nbroken", "{got:#}");
    assert_eq!(client.task(two)["status"], "cancelled");
}

#[test]
fn a_run_without_parts_is_told_so() {
    let script = format!("{KIROSU} wait --children 2>&1 || echo \"code $?\"");
    let hub = hub(&script, "");
    let mut client = hub.client();
    let id = client.enqueue("whole");
    let got = ended(&mut client, id);
    let said = got["task"]["result"].as_str().unwrap();
    assert!(
        said.contains("it has added no children") && said.contains("code 1"),
        "{got:#}"
    );
    // Outside of a run there is no task of one's own.
    let said = hub.cli(&["wait", "--children"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("token of a run"), "{said}");
}
