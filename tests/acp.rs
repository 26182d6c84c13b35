//! Agents that speak ACP, end to end: the built binary with a scripted agent.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Client, Hub, Setup, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const AGENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/actors/providers/tests/acp_agent.py"
);

/// `kirosu up` with one session of the agent, which works in the test's folder.
fn house(more: &str) -> Setup {
    let setup = Setup::new().up();
    let here = setup.directory.path().to_owned();
    let file = format!(
        "[retry]\ninitial = \"100ms\"\n[providers.fake]\nkind = \"acp\"\ncommand = [\"python3\", \"{AGENT}\"]\n\
         acp = {{ mode = {{ safe = \"ask\", all = \"all\" }}, usage = \"running\" }}\n\
         [[pool]]\nname = \"p\"\nprovider = \"fake\"\nsize = 1\nenv = {{ HOUSE = \"{0}\" }}\nworkdir = \"{0}\"\n{more}",
        here.display()
    );
    let path = here.join("kirosu.toml");
    std::fs::write(&path, file).unwrap();
    setup.argument("--config").argument(path.to_str().unwrap())
}

/// Processes of this house, runners among them.
fn alive(setup: &Setup) -> Vec<Pid> {
    let mark = format!("HOUSE={}", setup.directory.path().display());
    let is_ours = |pid: &Pid| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|it| *it == 0).any(|it| it == mark.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(is_ours)
        .collect()
}

fn ended(client: &mut Client, task: i64) -> Value {
    let answer = client.call("wait", json!({"task_ids": [task], "timeout_seconds": 30}));
    assert_eq!(answer["finished"], true, "{answer}");
    answer["tasks"][0].clone()
}

fn result(client: &mut Client, prompt: &str) -> String {
    let id = client.enqueue(prompt);
    let task = ended(client, id);
    assert_eq!(task["status"], "done", "{task}");
    task["result"].as_str().unwrap().to_owned()
}

fn pid(client: &mut Client) -> Pid {
    Pid::from_raw(result(client, "pid").parse().unwrap()).unwrap()
}

#[test]
fn one_process_serves_task_after_task_and_each_is_counted_by_itself() {
    let hub = house("").start();
    let mut client = hub.client();
    let agent = pid(&mut client);
    assert_eq!(pid(&mut client), agent);
    // A fresh conversation each, in the mode that asks.
    assert_eq!(result(&mut client, "turns"), "1");
    assert_eq!(result(&mut client, "mode"), "ask");
    let id = client.enqueue("say x");
    ended(&mut client, id);
    let usage = client.call("get", json!({"task_id": id}))["attempts"][0]["usage"].clone();
    assert_eq!(usage["input_tokens"], 1200, "{usage}");
    assert_eq!(usage["cost_usd"], 0.001, "{usage}");
    // One that dies while it has nothing to do is replaced without a word.
    kill_process(agent, Signal::KILL).unwrap();
    assert_ne!(pid(&mut client), agent);
}

#[test]
fn a_task_whose_agent_is_killed_goes_on_with_its_conversation() {
    let hub = house("").start();
    let mut client = hub.client();
    let id = client.enqueue("die");
    let task = ended(&mut client, id);
    assert_eq!(
        (&task["status"], &task["result"]),
        (&json!("done"), &json!("went on"))
    );
    let got = client.call("get", json!({"task_id": id}));
    assert_eq!(got["attempts"][0]["outcome"], "crashed", "{got}");
    assert_eq!(got["attempts"][1]["usage"]["input_tokens"], 2400, "{got}");
}

#[test]
fn nothing_is_left_when_the_hub_is_killed_or_asked_to_stop() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut hub = house("").start();
        let mut client = hub.client();
        pid(&mut client);
        assert!(alive(&hub.setup).len() >= 2, "runner and agent");
        hub.signal(signal);
        hub.ended();
        until("all is gone", || alive(&hub.setup).is_empty().then_some(()));
    }
    let hub: Hub = house("").start();
    let mut client = hub.client();
    let id = client.enqueue("stubborn");
    until("it has dug in", || {
        (alive(&hub.setup).len() >= 5).then_some(())
    });
    client.call("cancel", json!({"task_id": id}));
    until("all is gone", || alive(&hub.setup).is_empty().then_some(()));
    assert_eq!(client.status(id), "cancelled");
    // And the session goes on.
    assert_eq!(result(&mut client, "say still here"), "still here");
}

fn kirosu(hub: &Hub, words: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(words)
        .args(["--port", &hub.port.to_string()])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// The number of the open question.
fn asked(client: &mut Client) -> String {
    until("it asks", || {
        let open = client.call("approvals", json!({}));
        let id = open["approvals"][0]["approval_id"].as_i64()?;
        Some(format!("a{id}"))
    })
}

#[test]
fn which_of_several_is_a_persons_choice_even_where_all_is_allowed() {
    let rule = "[[approval.rule]]\nname = \"all\"\naction = \"allow\"\ntool = \"*\"\n";
    for more in [rule, "trust_all_tools = true\n"] {
        let hub = house(more).start();
        let mut client = hub.client();
        let id = client.enqueue("choose Which database?");
        let question = asked(&mut client);
        let (_, list) = kirosu(&hub, &["approvals"]);
        assert!(
            list.contains("pg (Postgres), my (MySQL), sqlite (SQLite)"),
            "{list}"
        );
        let (approved, said) = kirosu(&hub, &["approve", &question]);
        assert!(!approved && said.contains("my (MySQL)"), "{said}");
        let (approved, said) = kirosu(&hub, &["approve", &question, "--option", "MySQL"]);
        assert!(approved, "{said}");
        assert_eq!(ended(&mut client, id)["result"], "chose my");
        // A question that needs no choice is not asked.
        assert_eq!(result(&mut client, "ask good"), "it ran");
    }
}

#[test]
fn a_choice_can_be_refused() {
    let hub = house("").start();
    let mut client = hub.client();
    let id = client.enqueue("choose Which database?");
    let question = asked(&mut client);
    assert!(kirosu(&hub, &["reject", &question]).0);
    assert_eq!(ended(&mut client, id)["result"], "chose None");
}
