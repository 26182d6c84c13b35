//! Acceptance end to end: `kirosu up` with an agent that fails its task's `accept` clause until the prompt contains the reason.

use crate::common::{Hub, Setup, sentence, until, word};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// An agent: keeps each prompt it gets, and follows a script.
fn setup(script: &str) -> Setup {
    let setup = Setup::new().up();
    let home = setup.directory.path().canonicalize().unwrap();
    std::fs::create_dir(home.join("work")).unwrap();
    let keeps = format!(
        "n=$(ls {home} | grep -c prompt-)\nfile={home}/prompt-$((n + 1))\ncat > $file\n{script}\n",
        home = home.display()
    );
    std::fs::write(home.join("agent.sh"), keeps).unwrap();
    let agent = home.join("agent.sh");
    setup
        .set(&format!(
            "providers.fake.command=[\"sh\", \"{}\"]",
            agent.display()
        ))
        .set("providers.fake.kind=command")
        .set("pool.p.provider=fake")
        .set("pool.p.size=1")
        .set(&format!("pool.p.workdir={}", home.join("work").display()))
        .set("retry.initial=10ms")
}

fn home(hub: &Hub) -> PathBuf {
    hub.setup.directory.path().canonicalize().unwrap()
}

fn prompt(hub: &Hub, n: u32) -> Option<String> {
    std::fs::read_to_string(home(hub).join(format!("prompt-{n}"))).ok()
}

fn run(hub: &Hub, params: Value) -> Value {
    let mut client = hub.client();
    let id = client.enqueue_with(params);
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 60}));
    client.call("get", json!({"task_id": id, "output": true}))
}

/// Git as a person calls it, in the agent's folder.
fn git(hub: &Setup, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b"])
        .args(args)
        .current_dir(hub.directory.path().join("work"))
        .output()
        .expect("git runs: apt install git");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn kirosu(hub: &Hub, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(["--port", &hub.port.to_string()])
        .args(args)
        .env("NO_COLOR", "1")
        .env("HOME", home(hub))
        .current_dir(home(hub))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// An agent that does its work only after the prompt has named the failure.
const LEARNS: &str = r#"
if grep -q 'was not accepted' $file; then
  echo fine > out.md
  echo '{"n": 1}'
else
  echo 'I have done everything.'
fi"#;

#[test]
fn an_attempt_that_is_not_accepted_is_told_why_to_the_next_one() {
    let setup = setup(LEARNS).set("pool.p.accept_commands=true");
    git(&setup, &["init", "-q"]);
    std::fs::write(setup.directory.path().join("work/old"), "not clean").unwrap();
    let hub = setup.start();
    let got = run(
        &hub,
        json!({"prompt": "Write out.md", "max_attempts": 3, "accept": {
            "file": "out.md", "diff": true, "regex": "^\\{", "schema": {"type": "object", "required": ["n"]},
            "command": ["sh", "-c", "echo checks $KIROSU_TASK_ID; echo it lacks >&2; cat; test -e out.md"],
        }}),
    );
    assert_eq!(got["task"]["status"], "done", "{got}");
    assert_eq!(got["task"]["result"], "{\"n\": 1}");
    let attempts = got["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{got}");
    assert_eq!(attempts[0]["outcome"], "not_accepted");
    assert_eq!(attempts[0]["result"], "I have done everything.");
    assert_eq!(attempts[1]["outcome"], "done");
    assert!(attempts[1].get("result").is_none(), "{got}");
    let error = attempts[0]["error"].as_str().unwrap();
    let told = prompt(&hub, 2).unwrap();
    let mut from = 0;
    for fault in [
        "(5 of 5 clauses)",
        "the file out.md is not there",
        "the diff is empty",
        "the answer does not match the regex ^\\{",
        "the answer is not JSON",
        "exited with code 1",
        "checks 1",
    ] {
        let at = error[from..].find(fault);
        from += at.unwrap_or_else(|| panic!("{fault} is not, or not there, in {error}"));
        assert!(told.contains(fault), "{fault} is not in {told}");
    }
    assert!(error.contains("it lacks") && error.contains("I have done everything."));
    assert_eq!(prompt(&hub, 1).unwrap(), "Write out.md");
    assert!(told.starts_with("Write out.md\n\n[kirosu "), "{told}");
    assert!(told.contains("\n| I have done everything.\n"), "{told}");
    let output = got["output"].to_string();
    assert!(
        output.contains("accept runs") && output.contains("checks 1"),
        "{output}"
    );

    let (code, shown, _) = kirosu(&hub, &["get", "1"]);
    assert_eq!(code, Some(0));
    assert!(shown.contains("file out.md; diff; regex"), "{shown}");
    assert!(
        shown.contains("evidence") && shown.contains("accepted"),
        "{shown}"
    );
    // The check leaves no trace in the repository.
    assert!(!home(&hub).join("work/.git/index").exists());
    let objects = git(&hub.setup, &["count-objects"]);
    assert!(objects.starts_with("0 objects"), "{objects}");
}

#[test]
fn a_task_that_is_never_accepted_fails_with_the_reason() {
    let hub = setup("echo no").start();
    let got = run(
        &hub,
        json!({"prompt": "x", "max_attempts": 2, "accept": {"regex": "yes"}}),
    );
    assert_eq!(got["task"]["status"], "failed", "{got}");
    assert_eq!(got["attempts"].as_array().unwrap().len(), 2);
    let (code, shown, _) = kirosu(&hub, &["get", "1"]);
    assert_eq!(code, Some(0));
    assert!(shown.contains("not accepted"), "{shown}");
}

#[test]
fn a_clean_checkout_and_one_that_was_dirty_before_are_no_diff() {
    let setup = setup(
        "case $(cat $file) in *change*) echo 2 >> old;; *commit*) git add -A; git -c user.name=a -c user.email=a@b commit -qm x;; esac; echo ok",
    );
    git(&setup, &["init", "-q"]);
    let work = setup.directory.path().join("work");
    std::fs::write(work.join("old"), "1\n").unwrap();
    std::fs::write(work.join(".gitignore"), "junk\n").unwrap();
    git(&setup, &["add", "-A"]);
    git(&setup, &["commit", "-qm", "first"]);
    // A filter of the repository is code; it does not run for us.
    let trap = setup.directory.path().join("trap");
    git(
        &setup,
        &[
            "config",
            "filter.t.clean",
            &format!("touch {}; cat", trap.display()),
        ],
    );
    std::fs::write(work.join(".gitattributes"), "* filter=t\n").unwrap();
    std::fs::write(work.join("old"), "1\nuntidy\n").unwrap();
    let hub = setup.start();
    let status = |prompt: &str| {
        let params = json!({"prompt": prompt, "accept": {"diff": true}});
        run(&hub, params)["task"]["status"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(status("nothing"), "failed");
    assert!(!trap.exists());
    assert_eq!(status("change"), "done");
    assert!(!trap.exists());
    // The files were committed before the run, which has changed nothing.
    assert_eq!(status("commit"), "failed");
}

#[test]
fn a_diff_where_there_is_no_repository_is_told_before_anything_runs() {
    let hub = setup("echo ok").start();
    let got = run(
        &hub,
        json!({"prompt": "x", "max_attempts": 3, "accept": {"diff": true}}),
    );
    let error = got["task"]["error"].as_str().unwrap();
    assert!(error.contains("is not in a git checkout"), "{error}");
    assert_eq!(got["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(prompt(&hub, 1), None);
}

#[test]
fn a_command_runs_only_where_the_pool_says_so() {
    let hub = setup("echo ok").start();
    let params = json!({"prompt": "x", "max_attempts": 3, "accept": {"command": ["touch", "ran"]}});
    let got = run(&hub, params);
    let error = got["task"]["error"].as_str().unwrap();
    assert!(error.contains("set accept_commands = true"), "{error}");
    assert_eq!(got["attempts"][0]["outcome"], "refused_by_policy");
    assert_eq!(prompt(&hub, 1), None, "the agent was not paid for nothing");
    assert!(!home(&hub).join("work/ran").exists());
}

/// Processes with this word among their arguments.
fn alive(word: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|it| {
            let line = std::fs::read(it.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.split('\0').any(|argument| argument == word)
        })
        .count()
}

#[test]
fn a_command_is_heard_to_its_end_and_ended_with_all_that_it_started() {
    let hub = setup("echo ok").set("pool.p.trust_all_tools=true").start();
    // Of a long output the end is heard.
    let long = json!(["sh", "-c", "seq 1 800000; echo the last line; exit 3"]);
    let got = run(&hub, json!({"prompt": "x", "accept": {"command": long}}));
    let error = got["task"]["error"].as_str().unwrap();
    assert!(error.ends_with("799999\n800000\nthe last line"), "{error}");

    let nap = format!("{}.25", 100_000 + std::process::id());
    let command = ["sh", "-c", &format!("setsid sleep {nap} & sleep {nap}")];
    let accept = |seconds: f64| json!({"command": command, "timeout_seconds": seconds});
    let got = run(&hub, json!({"prompt": "x", "accept": accept(0.3)}));
    let error = got["task"]["error"].as_str().unwrap();
    assert!(error.contains("did not end within 0.3 s"), "{error}");
    assert_eq!(alive(&nap), 0);

    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": "x", "accept": accept(300.0)}));
    until("it hangs", || (alive(&nap) == 2).then_some(()));
    client.call("cancel", json!({"task_id": id}));
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 30}));
    assert_eq!(client.status(id), "cancelled");
    until("nothing is left", || (alive(&nap) == 0).then_some(()));
}

#[test]
fn clauses_that_could_never_be_checked_are_refused_with_every_fault() {
    let hub = Hub::start();
    let mut client = hub.client();
    let accept = json!({"file": "/etc/passwd", "regex": "(", "schema": {"$ref": "http://127.0.0.1:9/a"}, "exit": 0});
    let error = client.refused("enqueue", json!({"prompt": "x", "accept": accept}));
    assert_eq!(word(&error), "invalid_params");
    for part in [
        "accept.exit",
        "accept.file",
        "accept.regex",
        "accept.schema",
    ] {
        assert!(sentence(&error).contains(part), "{error}");
    }
    let error = client.refused(
        "enqueue",
        json!({"prompt": "x", "type": "human", "accept": {"file": "a"}}),
    );
    assert!(sentence(&error).contains("a person answers it"), "{error}");

    let schema = home(&hub).join("schema.json");
    std::fs::write(&schema, r#"{"type": "object"}"#).unwrap();
    let schema = schema.to_str().unwrap();
    let (code, _, said) = kirosu(&hub, &["enqueue", "x", "--accept-regex", "("]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unclosed group"), "{said}");
    let (code, _, said) = kirosu(&hub, &["enqueue", "x", "--accept-command", "a && b"]);
    assert_eq!(code, Some(2), "{said}");
    let all = [
        "enqueue",
        "x",
        "--accept-file",
        "a",
        "--accept-file",
        "b",
        "--accept-diff",
        "--accept-regex",
        "r",
        "--accept-schema",
        schema,
        "--accept-command",
        "make 'the test'",
        "--accept-timeout",
        "90s",
    ];
    let (code, id, said) = kirosu(&hub, &all);
    assert_eq!(code, Some(0), "{said}");
    let got = client.call("get", json!({"task_id": id.trim().parse::<i64>().unwrap()}));
    assert_eq!(
        got["task"]["accept"],
        json!({"file": ["a", "b"], "diff": true, "regex": "r", "schema": {"type": "object"},
            "command": ["make", "the test"], "timeout_seconds": 90.0})
    );
    let lines = home(&hub).join("tasks.jsonl");
    std::fs::write(
        &lines,
        "{\"prompt\": \"y\", \"accept\": {\"regex\": \"own\"}}\n",
    )
    .unwrap();
    let lines = lines.to_str().unwrap();
    let (code, id, said) = kirosu(&hub, &["enqueue", "--jsonl", lines, "--accept-diff"]);
    assert_eq!(code, Some(0), "{said}");
    let got = client.call("get", json!({"task_id": id.trim().parse::<i64>().unwrap()}));
    assert_eq!(
        got["task"]["accept"],
        json!({"regex": "own"}),
        "a line's own clause counts"
    );
}

#[test]
fn a_worker_that_does_not_check_cannot_make_it_done() {
    let hub = Hub::with(&["retry.initial=1ms"]);
    let mut client = hub.client();
    let id =
        client.enqueue_with(json!({"prompt": "x", "max_attempts": 3, "accept": {"regex": "yes"}}));
    let ack =
        |fence: i64| json!({"task_id": id, "fence": fence, "status": "done", "result": "yes"});
    let lease = json!({"wait_seconds": 20});
    let task = &client.call("lease", lease.clone())["tasks"][0];
    assert_eq!(task["accept"], json!({"regex": "yes"}));
    assert!(task.get("not_accepted").is_none());
    let error = client.refused("ack", ack(1));
    assert_eq!(word(&error), "invalid_params");
    assert!(sentence(&error).contains("`accepted`"), "{error}");
    let failed = json!({"task_id": id, "fence": 1, "status": "failed", "class": "not_accepted",
        "error": "no yes", "result": format!("{}end", "ö".repeat(20_000))});
    client.call("ack", failed);
    // An attempt that ends otherwise does not hide what was not accepted before.
    client.call("lease", lease.clone());
    client.call(
        "ack",
        json!({"task_id": id, "fence": 2, "status": "failed", "class": "timeout"}),
    );
    let task = client.call("lease", lease)["tasks"][0].clone();
    let before = &task["not_accepted"];
    assert_eq!(
        (&before["fence"], &before["reason"]),
        (&json!(1), &json!("no yes"))
    );
    let answer = before["answer"].as_str().unwrap();
    assert!(answer.ends_with("öend") && answer.chars().count() == 8192);
    assert_eq!(before["cut"], true);
    let mut good = ack(3);
    good["accepted"] = json!(true);
    client.call("ack", good);
    assert_eq!(client.status(id), "done");
}

#[test]
fn costly_clauses_stop_no_other_client_and_keep_the_order_of_answers() {
    let hub = Hub::start();
    let (mut costly, mut other) = (hub.client(), hub.client());
    // Each takes some 10 ms or more to compile: more than the 5 s of a request, on any machine.
    let tasks: Vec<Value> = (0..3_000)
        .map(|n| json!({"prompt": "x", "accept": {"regex": format!("{n}\\w{{8}}")}}))
        .collect();
    let before = costly.send("enqueue", json!({"prompt": "before"}));
    let batch = costly.send("enqueue_batch", json!({"tasks": tasks}));
    let after = costly.send("stats", json!({}));
    let begun = Instant::now();
    for _ in 0..20 {
        other.enqueue("x");
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    for id in [before, batch, after] {
        let answer = costly.read();
        assert_eq!(answer["id"], id, "{answer}");
        if id == batch {
            let error = sentence(&answer["error"]);
            assert!(error.contains("tasks[") && error.contains("5 s"), "{error}");
        }
    }
    // A line without an end is read as any other.
    let accept = json!({"regex": "last(-| )line"});
    let line = json!({"id": 77, "method": "enqueue", "params": {"prompt": "x", "accept": accept}});
    costly.raw(line.to_string());
    costly.half_close();
    let answer: Value = serde_json::from_str(costly.rest().trim()).unwrap();
    assert_eq!(answer["id"], 77);
    assert!(answer["result"]["task_id"].is_i64(), "{answer}");
}
