//! `kirosu suggest`: an agent chooses a topology, else the words of the task do; and a shell runs the printed commands.

use crate::common::{Hub, Setup, until};
use crate::people::kit::{command, kirosu, parts, said};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::{Command, Stdio};

/// A hub whose agent runs this shell script for each prompt, which is on its standard input.
fn hub(script: &str) -> Hub {
    let command = serde_json::to_string(&["sh", "-c", script]).unwrap();
    [
        "providers.shell.kind=command".to_owned(),
        format!("providers.shell.command={command}"),
        "pool.p.provider=shell".to_owned(),
        "retry.initial=50ms".to_owned(),
    ]
    .iter()
    .fold(Setup::new().up(), |setup, setting| setup.set(setting))
    .start()
}

fn suggested(hub: &Hub, words: &[&str]) -> Value {
    let words = [&["suggest", "--json"], words].concat();
    serde_json::from_str(&said(hub, &words)).unwrap()
}

/// Runs a suggested command as a person would, with a flag after its first two words.
fn by_shell(hub: &Hub, command: &str, flag: &str) -> String {
    let mut words = command.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    let (program, verb, rest) = (word(), word(), word());
    assert_eq!(program, "kirosu");
    let script = format!("kirosu {verb} --port {} {flag} {rest}\n", hub.port);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_kirosu"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let home = hub.setup.directory.path();
    let output = Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap();
    let (code, out, err) = parts(&output);
    assert_eq!(code, 0, "{script}\n{err}");
    out
}

#[test]
fn an_agent_chooses_and_the_printed_command_runs() {
    let hub = hub(r#"grep -q '<task>' || exit 3; echo 'Here it is:' >&2
        echo '{"topology": "parallel", "reasoning": "Files are independent.", "files": "docs/*.md"}'"#);
    let answer = suggested(&hub, &["Summarise it's docs", "--pool", "p"]);
    assert_eq!(answer["topology"], "parallel", "{answer}");
    assert_eq!(answer["name"], "Parallel Swarm");
    assert_eq!(answer["reasoning"], "Files are independent.");
    assert_eq!(answer["fallback"], false);
    let task = hub.client().task(1);
    assert_eq!(task["labels"], serde_json::json!(["suggest"]));
    assert_eq!(task["budget"]["tokens"], 200_000, "{task}");
    let folder = hub.setup.directory.path().join("docs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.md"), "text").unwrap();
    let dry = by_shell(&hub, answer["command"].as_str().unwrap(), "--dry-run");
    assert!(dry.contains("Summarise it's docs"), "{dry}");
    assert!(dry.contains("This file only, docs/a.md:"), "{dry}");
    let text = said(&hub, &["suggest", "Summarise"]);
    assert!(text.starts_with("Parallel Swarm (parallel)\n"), "{text}");
    assert!(
        text.contains("Files are independent.") && text.contains("kirosu map "),
        "{text}"
    );
}

#[test]
fn ctrl_c_cancels_the_question() {
    let hub = hub("exec sleep 600");
    let mut client = hub.client();
    let suggest = command(&hub, &["suggest", "Fix the typo"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the question is asked", || {
        let listed = client.call("list", serde_json::json!({"label": "suggest"}));
        let task = &listed["tasks"][0];
        (task["status"] == "leased").then_some(())
    });
    kill_process(Pid::from_child(&suggest), Signal::INT).unwrap();
    let (code, out, _) = parts(&suggest.wait_with_output().unwrap());
    assert_eq!((code, out.as_str()), (130, ""));
    assert_eq!(client.status(1), "cancelled");
}

#[test]
fn without_a_usable_answer_the_words_of_the_task_decide_and_it_says_so() {
    let hub = hub("exit 1");
    let answer = suggested(&hub, &["Fix the typo"]);
    assert_eq!(answer["topology"], "single", "{answer}");
    assert_eq!(answer["fallback"], true);
    assert!(
        answer["error"].as_str().unwrap().contains("has failed"),
        "{answer}"
    );
    // An answer that is none of the topologies is no answer.
    let (code, out, err) = parts(&kirosu(&hub, &["suggest", "Research it, then write it"]));
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("no agent has decided, so the words of the task do: "),
        "{err}"
    );
    assert!(out.starts_with("Linear Chain (chain)\n"), "{out}");
    assert!(
        out.contains("these words of the task suggest it: research, then"),
        "{out}"
    );
    // The hub is away, or no session takes it in time.
    let (code, out, err) = parts(&kirosu(&hub, &["suggest", "x", "--socket", "/none"]));
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("no agent has decided") && out.contains("Single Agent"),
        "{err}"
    );
    let answer = suggested(&hub, &["x", "--pool", "nobody", "--timeout", "1s"]);
    let why = answer["error"].as_str().unwrap();
    assert!(why.contains("no agent has answered within 1"), "{why}");
    let last = hub.client().call("list", serde_json::json!({"limit": 1}));
    assert_eq!(last["tasks"][0]["status"], "cancelled", "{last}");
}

#[test]
fn the_command_of_each_topology_runs() {
    let hub = hub(r#"prompt=$(cat); case $prompt in
        *'<task>'*) echo none;;
        *'Review this result'*) echo '{"ok": true, "faults": []}';;
        *) printf '%s' "$prompt";; esac"#);
    let folder = hub.setup.directory.path();
    std::fs::write(folder.join("a.txt"), "text").unwrap();
    for (task, topology) in [
        ("It's \"the\" {{ task }}", "single"),
        ("Research {{ it }}, then write 'it'", "chain"),
        ("Compare several views of {% raw %}", "parallel"),
        ("Count the words of *.txt, {{ each }} file", "parallel"),
        ("Draft an {{ article }}, and polish it", "iterative"),
        ("Watch it and react", "autonomous"),
    ] {
        let answer = suggested(&hub, &[task]);
        assert_eq!(answer["topology"], topology, "{answer}");
        let command = answer["command"].as_str().unwrap();
        match topology {
            // A person agrees with its plan before it runs.
            "autonomous" => drop(by_shell(&hub, command, "--dry-run")),
            _ => {
                let out = by_shell(&hub, command, "");
                assert!(out.contains(task), "{task}: {out}");
            }
        }
    }
}

#[test]
fn the_list_needs_no_hub() {
    let folder = tempfile::tempdir().unwrap();
    let listed = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .args(words)
            .env_clear()
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .output()
            .unwrap();
        parts(&output)
    };
    let (code, out, err) = listed(&["suggest", "--list"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let keys: Vec<&str> = out
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(
        keys,
        ["single", "chain", "parallel", "iterative", "autonomous"]
    );
    let (_, out, _) = listed(&["suggest", "--list", "--json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["topologies"].as_array().unwrap().len(), 5);
    let (code, _, err) = listed(&["suggest"]);
    assert_eq!(code, 2, "{err}");
}
