//! Agents that speak ACP, end to end: the built binary with a scripted agent.

use crate::common::{Client, Hub, Setup, sentence, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const AGENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/actors/providers/tests/acp_agent.py"
);

/// `kirosu up` with one session of the agent, which works in the test's folder.
fn setup_with(more: &str) -> Setup {
    let more = format!("env = {{ HOUSE = \"@HERE@\" }}\n{more}");
    with_env(&more)
}

/// The same, with the pool's environment as `more` has it.
fn with_env(more: &str) -> Setup {
    let setup = Setup::new().up();
    let here = setup.directory.path().to_owned();
    let file = format!(
        "[retry]\ninitial = \"100ms\"\n[providers.fake]\nkind = \"acp\"\ncommand = [\"python3\", \"{AGENT}\"]\n\
         acp = {{ mode = {{ safe = \"ask\", all = \"all\" }}, usage = \"running\", updates = [\"_goose/unstable/session/update\"], notice_text = [\"/status/message\"] }}\n\
         [[pool]]\nname = \"p\"\nprovider = \"fake\"\nsize = 1\nworkdir = \"{0}\"\n{more}",
        here.display()
    );
    let file = file.replace("@HERE@", here.to_str().unwrap());
    let path = here.join("kirosu.toml");
    std::fs::write(&path, file).unwrap();
    setup.argument("--config").argument(path.to_str().unwrap())
}

/// Kirosu's processes, including runners.
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
    let hub = setup_with("").start();
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
    let hub = setup_with("").start();
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
fn a_further_task_goes_on_with_the_conversation_of_a_finished_one() {
    let hub = setup_with("").start();
    let mut client = hub.client();
    let first = client.enqueue("turns");
    assert_eq!(ended(&mut client, first)["result"], "1");
    let hub = hub.kill().start();
    let mut client = hub.client();
    let more = |client: &mut Client, task: i64| {
        let id = client.enqueue_with(json!({"continues": task, "prompt": "turns"}));
        (id, ended(client, id))
    };
    let (second, task) = more(&mut client, first);
    assert_eq!(task["result"], "2", "{task}");
    let got = client.call("get", json!({"task_id": second}));
    let usage = &got["attempts"][0]["usage"];
    assert_eq!(usage["input_tokens"], 1200, "what this turn used: {got}");
    // The same process goes on with it, too.
    let (third, task) = more(&mut client, second);
    assert_eq!(task["result"], "3", "{task}");
    // One task at a time continues another. A cancelled one leaves that as the end of the conversation.
    let id = client.enqueue_with(json!({"continues": third, "prompt": "then_silence x"}));
    let params = json!({"continues": third, "prompt": "turns"});
    let refused = client.refused("enqueue", params);
    let why = sentence(&refused);
    assert!(why.contains(&format!("task {id}, which is ")), "{why}");
    client.call("cancel", json!({"task_id": id}));
    // An agent that has lost it gets no new conversation.
    let sessions = hub.setup.directory.path().join("sessions.json");
    std::fs::write(sessions, "{}").unwrap();
    let hub = hub.kill().start();
    let mut client = hub.client();
    let (_, task) = more(&mut client, third);
    let why = task["error"].as_str().unwrap();
    assert!(
        why.contains("cannot be continued: Internal error"),
        "{task}"
    );
}

#[test]
fn nothing_is_left_when_the_hub_is_killed_or_asked_to_stop() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut hub = setup_with("").start();
        let mut client = hub.client();
        pid(&mut client);
        assert!(alive(&hub.setup).len() >= 2, "runner and agent");
        hub.signal(signal);
        hub.ended();
        until("all is gone", || alive(&hub.setup).is_empty().then_some(()));
    }
    let hub: Hub = setup_with("").start();
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
        let hub = setup_with(more).start();
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
    let hub = setup_with("").start();
    let mut client = hub.client();
    let id = client.enqueue("choose Which database?");
    let question = asked(&mut client);
    assert!(kirosu(&hub, &["reject", &question]).0);
    assert_eq!(ended(&mut client, id)["result"], "chose None");
}

/// The last question of a task as it is recorded: its state, the option, and who decided.
fn recorded(client: &mut Client, task: i64) -> (String, Value, Value) {
    let all = client.call("approvals", json!({"task_id": task, "state": "any"}));
    let last = all["approvals"].as_array().unwrap().last().unwrap().clone();
    let state = last["state"].as_str().unwrap().to_owned();
    (state, last["option"].clone(), last["rule"].clone())
}

#[test]
fn what_is_recorded_is_what_the_agent_was_told() {
    let no_kind =
        r#"[{"optionId":"proceed_once","name":"Proceed"},{"optionId":"cancel","name":"Cancel"}]"#;
    let odd_kind = r#"[{"optionId":"proceed","name":"Proceed","kind":"allow"},{"optionId":"stop","name":"Stop","kind":"reject"}]"#;
    let always = r#"[{"optionId":"a","name":"Always","kind":"allow_always"},{"optionId":"r","name":"No","kind":"reject_once"}]"#;
    let only_no = r#"[{"optionId":"r","name":"No","kind":"reject_once"}]"#;
    let rule = "[[approval.rule]]\nname = \"all\"\naction = \"allow\"\ntool = \"*\"\n";
    for more in ["", rule, "trust_all_tools = true\n"] {
        let hub = setup_with(more).start();
        let mut client = hub.client();
        for (options, shown, option, rejected) in [
            (
                no_kind,
                "proceed_once (Proceed), cancel (Cancel)",
                "proceed_once",
                "cancelled",
            ),
            (odd_kind, "proceed (Proceed)", "proceed", "stop"),
            (always, "a (Always)", "a", "r"),
        ] {
            // Neither a rule nor trust nor a plain yes chooses; the person sees what is offered.
            let id = client.enqueue(&format!("offer {options}"));
            let question = asked(&mut client);
            let (_, list) = kirosu(&hub, &["approvals"]);
            assert!(list.contains(shown), "{list}");
            let (approved, said) = kirosu(&hub, &["approve", &question]);
            assert!(!approved && said.contains(shown), "{said}");
            let (approved, said) = kirosu(&hub, &["approve", &question, "--option", option]);
            assert!(approved, "{said}");
            assert_eq!(ended(&mut client, id)["result"], format!("told {option}"));
            let (state, chosen, _) = recorded(&mut client, id);
            assert_eq!((state.as_str(), chosen), ("approved", json!(option)));

            let id = client.enqueue(&format!("offer {options}"));
            let question = asked(&mut client);
            assert!(kirosu(&hub, &["reject", &question]).0);
            assert_eq!(ended(&mut client, id)["result"], format!("told {rejected}"));
            assert_eq!(recorded(&mut client, id).0, "rejected");
        }
        // No person is asked if no answer allows the call.
        for (options, told) in [("[]", "cancelled"), ("null", "cancelled"), (only_no, "r")] {
            let id = client.enqueue(&format!("offer {options}"));
            assert_eq!(
                ended(&mut client, id)["result"],
                format!("told {told}"),
                "{options}"
            );
            let (state, _, rule) = recorded(&mut client, id);
            assert_eq!(state, "rejected", "{options}");
            let rule = rule.as_str().unwrap().to_owned();
            assert!(rule.contains("no answer that allows it"), "{rule}");
        }
    }
}

/// The attempt's class, and what the task says of its end.
fn failed(client: &mut Client, prompt: &str) -> (String, String) {
    let id = client.enqueue_with(json!({"prompt": prompt, "max_attempts": 1}));
    until("the attempt ended", || {
        let got = client.call("get", json!({"task_id": id}));
        let attempt = got["attempts"][0].clone();
        let class = attempt["class"]
            .as_str()
            .or_else(|| attempt["outcome"].as_str())?;
        (class != "running").then(|| (class.to_owned(), got.to_string()))
    })
}

#[test]
fn a_model_that_the_agent_does_not_have_is_bad_input() {
    for (error, expected) in [
        (
            r#"{"code":-32602,"message":"Invalid params","data":{"details":"Model not found: gpt-nope"}}"#,
            "bad_input",
        ),
        (r#"{"code":-32603,"message":"Internal error"}"#, "bad_input"),
        (
            r#"{"code":-32601,"message":"Method not found"}"#,
            "bad_input",
        ),
        (
            r#"{"code":429,"message":"Rate limit reached, try again in 2 hours"}"#,
            "rate_limited",
        ),
    ] {
        let env = format!("env = {{ FAKE_MODEL_ERROR = '{error}' }}\nmodel = \"gpt-nope\"\n");
        let hub = with_env(&env).start();
        let (class, got) = failed(&mut hub.client(), "say x");
        assert_eq!(class, expected, "{error}: {got}");
    }
    let hub = setup_with("").start();
    let mut client = hub.client();
    for error in [
        r#"error {"code":-32603,"message":"Internal error","data":{"details":"The model `gpt-nope` does not exist or you do not have access to it."}}"#,
        r#"error {"code":-32602,"message":"stub/nope is not a valid model ID"}"#,
    ] {
        let (class, got) = failed(&mut client, error);
        assert_eq!(class, "bad_input", "{error}: {got}");
    }
}

#[test]
fn a_turn_without_an_answer_fails_for_the_reason_that_the_program_notes() {
    let hub = setup_with("").start();
    let mut client = hub.client();
    let noted = "noted Unable to continue: Context limit still exceeded after compaction. Try using a shorter message, a model with a larger context window, or start a new session.";
    let (class, got) = failed(&mut client, noted);
    assert_eq!(class, "bad_input", "{got}");
    assert!(got.contains("Context limit still exceeded"), "{got}");
    let (class, got) = failed(&mut client, "noted goose is thinking");
    assert_eq!(class, "provider_error", "{got}");
    assert_eq!(result(&mut client, "behind one two"), "onetwo");
}
