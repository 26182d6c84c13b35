//! `kirosu run explain`: the reasons are those of the run, and the commands that it names move it.

use super::{hub, shown, start, with_script};
use crate::common::{Client, Hub, until};
use serde_json::{Value, json};
use std::process::Command;

/// Exit code, standard output and standard error of a command.
fn kirosu(hub: &Hub, words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(words)
        .args(["--port", &hub.port.to_string()])
        .env_clear()
        .env("HOME", hub.setup.directory.path())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

fn explained(hub: &Hub, run: i64, subject: &[&str]) -> Vec<Value> {
    let run = run.to_string();
    let words = [&["run", "explain", &run, "--json"][..], subject].concat();
    let (code, out, err) = kirosu(hub, &words);
    assert_eq!(code, 0, "{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    answer["explanations"].as_array().unwrap().clone()
}

/// The explanation of a subject, as one text.
fn about(all: &[Value], subject: &str) -> String {
    let found = all.iter().find(|one| one["subject"] == subject);
    found
        .unwrap_or_else(|| panic!("no {subject} in {all:#?}"))
        .to_string()
}

fn until_state(client: &mut Client, run: i64, state: &str) {
    until(&format!("the run is {state}"), || {
        (shown(client, run)["state"] == state).then_some(())
    });
}

#[test]
fn a_question_is_named_with_the_steps_behind_it_and_the_command_that_answers() {
    let hub = hub(1).start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - { id: ok, approve: { prompt: 'Publish it?' } }
  - { id: ship, depends_on: [ok], pool: echo, prompt: 'ship' }
";
    let run = start(&mut client, plan, json!({}));
    until_state(&mut client, run, "waiting");
    let all = explained(&hub, run, &[]);
    let whole = about(&all, &format!("run {run}"));
    assert!(whole.contains("the step ok asks a question"), "{whole}");
    let ok = about(&all, "ok");
    assert!(ok.contains("Publish it?"), "{ok}");
    let ship = about(&all, "ship");
    assert!(
        ship.contains("it waits for the step ok, which is open"),
        "{ship}"
    );
    assert_eq!(explained(&hub, run, &["ship"]), [all[2].clone()]);
    // For people, too.
    let (_, out, _) = kirosu(&hub, &["run", "explain", &run.to_string()]);
    assert!(
        out.contains(&format!("run {run}: waiting\n  person: ")),
        "{out}"
    );
    assert!(out.contains("\n\nship: not begun\n"), "{out}");

    let commands = all[1]["commands"].as_array().unwrap();
    let approve = commands
        .iter()
        .map(|it| it["command"].as_str().unwrap())
        .find(|command| command.starts_with("kirosu approve "))
        .unwrap();
    let words: Vec<&str> = approve.split(' ').skip(1).collect();
    let (code, _, err) = kirosu(&hub, &words);
    assert_eq!(code, 0, "{err}");
    until_state(&mut client, run, "done");
}

#[test]
fn failures_limits_pauses_and_missing_workers_are_named() {
    let script = "read line; case \"$line\" in bad*) echo 'no such model' >&2; exit 1;; esac; echo \"$line\"\n";
    let hub = with_script(hub(1), script).start();
    let mut client = hub.client();
    let plan = "
pipeline:
  - { id: read, map: { over: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, pool: script, prompt: 'bad {{ item }}', max_attempts: 1 }
";
    let broken = start(&mut client, plan, json!({}));
    until_state(&mut client, broken, "waiting");
    let all = explained(&hub, broken, &[]);
    let whole = about(&all, &format!("run {broken}"));
    assert!(
        whole.contains("breaker: 5 items of the step read failed"),
        "{whole}"
    );
    assert!(
        whole.contains(&format!("kirosu run resume {broken}")),
        "{whole}"
    );
    let read = about(&all, "read");
    assert!(read.contains("5 items failed: 5 provider_error"), "{read}");
    assert!(read.contains("no such model"), "{read}");
    let item = about(&explained(&hub, broken, &["#1"]), "read #1");
    assert!(item.contains("no such model"), "{item}");
    assert!(
        item.contains(&format!(
            "kirosu run retry {broken} --step read --item '#1'"
        )),
        "{item}"
    );
    let (code, _, err) = kirosu(&hub, &["run", "explain", &broken.to_string(), "nothing"]);
    assert!(
        code == 1 && err.contains("no step and no item nothing"),
        "{err}"
    );

    let limited = "
limits: { tasks: 2 }
pipeline: [{ id: many, map: { over: [1, 2, 3] }, pool: echo, prompt: '{{ item }}' }]
";
    let limited = start(&mut client, limited, json!({}));
    until_state(&mut client, limited, "failed");
    let whole = about(&explained(&hub, limited, &[]), &format!("run {limited}"));
    assert!(whole.contains("limit: the run has made 2 tasks"), "{whole}");

    let nowhere = "pipeline: [{ id: a, map: { over: [1, 2] }, pool: nowhere, prompt: p }]";
    let nowhere = start(&mut client, nowhere, json!({}));
    until("its tasks wait", || {
        (shown(&mut client, nowhere)["steps"][0]["open"] == 2).then_some(())
    });
    let a = about(&explained(&hub, nowhere, &["a"]), "a");
    assert!(
        a.contains("2 tasks wait: no pool serves queue 'nowhere'"),
        "{a}"
    );
    client.call("run_pause", json!({"task_id": nowhere}));
    let whole = about(&explained(&hub, nowhere, &[]), &format!("run {nowhere}"));
    assert!(whole.contains("it is paused"), "{whole}");
    assert!(
        whole.contains(&format!("kirosu run resume {nowhere}")),
        "{whole}"
    );

    client.call("pause", json!({}));
    let late = start(&mut client, "pipeline: [{ id: a, prompt: p }]", json!({}));
    let whole = about(&explained(&hub, late, &[]), &format!("run {late}"));
    assert!(
        whole.contains("pending") && whole.contains("for its turn"),
        "{whole}"
    );
}
