//! The plans in examples/, each run by the built binary with the settings in examples/kirosu.toml. The agents are a stand-in for a model
//! (examples/stand_in.py in this folder), which answers by fixed rules and says so, and in [`real`] real agent programs.

mod more;
mod real;

use crate::common::{Hub, Setup, until_within};
use crate::people::kit::{command, parts};
use crate::workspaces::field::git;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longer than any run of these tests takes.
const RUN: Duration = Duration::from_secs(180);

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// A file of an example.
fn file(name: &str) -> String {
    examples().join(name).display().to_string()
}

/// A hub with the pools of the examples, in a git repository, and the folder of one example.
struct Example {
    hub: Hub,
    name: &'static str,
}

/// The hub for an example, in a repository with these files.
fn started(name: &'static str, files: &[(&str, &str)]) -> Example {
    let stand_in =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/examples/stand_in.py");
    let provider = format!(
        "[providers.stand_in]\nkind = \"command\"\ncommand = [\"python3\", {}]\n",
        json!(stand_in)
    );
    started_with(name, files, ("stand_in", &provider), Setup::new().up())
}

/// The same with another provider of the agents and its settings.
fn started_with(
    name: &'static str,
    files: &[(&str, &str)],
    (provider, keys): (&str, &str),
    setup: Setup,
) -> Example {
    let home = setup.directory.path().to_owned();
    let project = home.join("project");
    fs::create_dir(&project).unwrap();
    for words in [
        "init -q -b main .",
        "config user.name Person",
        "config user.email person@example.org",
    ] {
        assert!(git(&project, words).status.success());
    }
    for (file, text) in files {
        write(&project, file, text);
    }
    for words in ["add -A", "commit -q --allow-empty -m start"] {
        assert!(git(&project, words).status.success());
    }
    let settings = fs::read_to_string(file("kirosu.toml")).unwrap();
    let folder = format!("[[pool]]\nworkdir = {}", json!(project));
    let settings = settings
        .replace(
            "provider = \"claude\"",
            &format!("provider = \"{provider}\""),
        )
        .replace("[[pool]]", &folder);
    let data = json!(home.join("data"));
    let settings = format!("data_dir = {data}\n[retry]\ninitial = \"10ms\"\n{settings}\n{keys}");
    fs::write(home.join("kirosu.toml"), settings).unwrap();
    let hub = setup.start();
    Example { hub, name }
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

impl Example {
    fn project(&self) -> PathBuf {
        self.hub.setup.directory.path().join("project")
    }

    fn read(&self, file: &str) -> String {
        let path = self.project().join(file);
        fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = command(&self.hub, words);
        command.current_dir(self.project());
        command
    }

    /// Standard output of a command that succeeds.
    fn cli(&self, words: &[&str]) -> String {
        let (code, out, err) = parts(&self.command(words).output().unwrap());
        assert_eq!(code, 0, "{words:?}: {err}");
        out
    }

    /// Starts a run of the plan, with a text on standard input; its number.
    fn start(&self, inputs: &[&str], text: &str) -> i64 {
        let plan = file(&format!("{}/plan.yaml", self.name));
        let mut words = vec!["run-pipeline", "--file", &plan];
        for input in inputs {
            words.extend(["--input", input]);
        }
        let mut child = self
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no input may have ended.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        let (code, out, err) = parts(&child.wait_with_output().unwrap());
        assert_eq!(code, 0, "{err}");
        out.trim().parse().unwrap_or_else(|_| panic!("{out}"))
    }

    /// Waits until the run is in one of these states.
    fn reaches(&self, run: i64, states: &[&str]) -> Value {
        let mut client = self.hub.client();
        let mut last = Value::Null;
        until_within(RUN, &format!("the run is {states:?}"), || {
            last = client.call("run", json!({"task_id": run}));
            let state = last["state"].as_str().unwrap();
            let is_over = matches!(state, "done" | "partial" | "failed" | "cancelled");
            assert!(!is_over || states.contains(&state), "{last:#}");
            states.contains(&state).then(|| last.clone())
        })
    }

    /// Runs the plan to its end; the run.
    fn done(&self, inputs: &[&str]) -> Value {
        let run = self.start(inputs, "");
        self.reaches(run, &["done"])
    }

    /// Items of a step, with their results; those that are JSON as values.
    fn items(&self, run: &Value, step: &str) -> Vec<Value> {
        let id = run["task_id"].to_string();
        let words = ["run", "items", &id, "--step", step, "--results", "--jsonl"];
        let text = self.cli(&words);
        let items = text.lines().map(|line| {
            let mut item: Value = serde_json::from_str(line).unwrap();
            let inner = item["result"].as_str().map(serde_json::from_str);
            if let Some(Ok(inner)) = inner {
                item["result"] = inner;
            }
            item
        });
        items.collect()
    }

    /// Commits the branch of a task to the checkout, as a person does.
    fn apply(&self, task: &Value) {
        let data = self.hub.setup.directory.path().join("data");
        let set = format!("data_dir={}", data.display());
        self.cli(&["apply", &task.to_string(), "--set", &set]);
    }
}

/// The result of a run, as `kirosu run result` prints it.
fn result(run: &Value) -> &str {
    run["result"]
        .as_str()
        .unwrap_or_else(|| panic!("no result in {run:#}"))
}

/// The result of a run that is JSON.
fn json_result(run: &Value) -> Value {
    serde_json::from_str(result(run)).unwrap_or_else(|_| panic!("{run:#}"))
}

/// The steps of a run with their states and, where they have items, the number of those that are done.
fn steps(run: &Value) -> Vec<String> {
    let steps = run["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            let [path, state] = ["path", "state"].map(|name| step[name].as_str().unwrap());
            match step["done"].as_i64() {
                Some(done)
                    if step["kind"] == "map"
                        || step["kind"] == "reduce"
                        || step["kind"] == "vote" =>
                {
                    format!("{path} {state} {done}")
                }
                _ => format!("{path} {state}"),
            }
        })
        .collect()
}

#[test]
fn each_example_has_a_readme_a_row_in_the_index_and_a_test() {
    let index = fs::read_to_string(file("README.md")).unwrap();
    let tests = [
        include_str!("examples.rs"),
        include_str!("examples/more.rs"),
    ]
    .concat();
    let folders = fs::read_dir(examples())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 10, "{folders:?}");
    for folder in &folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let readme = fs::read_to_string(folder.join("README.md"))
            .unwrap_or_else(|_| panic!("{name} has no README"));
        assert!(
            (5..=15).contains(&readme.lines().count()),
            "{name}: the README has 5 to 15 lines"
        );
        assert!(
            readme.contains(&format!("--file $E/{name}/plan.yaml")),
            "{name}: no command"
        );
        assert!(
            index.contains(&format!("| [{name}]({name}/README.md) |")),
            "{name} is not in the index"
        );
        assert!(
            tests.contains(&format!("started(\"{name}\"")),
            "{name} has no test"
        );
        let plan = fs::read_to_string(folder.join("plan.yaml")).unwrap();
        assert!(
            plan.contains(&format!("\nname: {name}\n")) && plan.contains("# Budget: "),
            "{name}"
        );
        let checked = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .args(["plan", "check"])
            .arg(folder.join("plan.yaml"))
            .output()
            .unwrap();
        assert!(checked.status.success(), "{name}: {checked:?}");
    }
    assert_eq!(
        index.matches("/README.md) |").count(),
        folders.len(),
        "rows without a folder"
    );
}

#[test]
fn four_reviewers_and_a_judge_decide_about_a_diff() {
    let example = started("review", &[]);
    let run = example.done(&["diff=+    return sum(xs) / len(xs)"]);
    assert_eq!(steps(&run), ["reviewers done 4", "judge done 1"]);
    let verdict = json_result(&run);
    assert_eq!(verdict["decision"], "request_changes");
    let findings = verdict["findings"].as_array().unwrap();
    assert_eq!(
        findings.len(),
        1,
        "two reviewers had the same finding: {verdict}"
    );
    assert_eq!(findings[0]["problem"], "stand-in: division by zero");
    let run = example.done(&["diff=+    return 1"]);
    assert_eq!(json_result(&run)["decision"], "approve");

    // A reviewer that fails is named, and the judge decides without it.
    let run = example.start(&["diff=the tests reviewer fails"], "");
    let run = example.reaches(run, &["partial"]);
    assert_eq!(steps(&run), ["reviewers partial 3", "judge done 1"]);
    assert_eq!(json_result(&run)["not_reviewed"], json!(["tests"]));
}

#[test]
fn files_are_migrated_on_branches_and_applied_one_by_one() {
    let names = ["src/a.py", "src/b.py", "src/c.py", "src/d.py"];
    let files = names.map(|name| (name, "x = old_call(1)\ny = old_call(2)\n"));
    let example = started("migration", &files);
    let run = example.start(&["change=Replace old_call by new_call"], &names.join("\n"));
    let waiting = example.reaches(run, &["waiting"]);
    assert_eq!(steps(&waiting)[0], "migrate open 2");
    let reason = waiting["reason"].as_str().unwrap();
    assert!(reason.starts_with("sample: 2 items"), "{reason}");
    example.cli(&["run", "resume", &run.to_string()]);
    let run = example.reaches(run, &["done"]);
    assert_eq!(steps(&run), ["migrate done 4", "report done 1"]);
    assert!(
        result(&run).starts_with("Stand-in model.\n4 migrated, 0 failed"),
        "{run:#}"
    );
    for (n, item) in example.items(&run, "migrate").iter().enumerate() {
        assert_eq!(item["key"], names[n]);
        assert!(
            example.read(names[n]).contains("old_call"),
            "nothing is applied yet"
        );
        example.apply(&item["task_id"]);
        assert_eq!(example.read(names[n]), "x = new_call(1)\ny = new_call(2)\n");
    }
    let log = git(&example.project(), "rev-list --count --min-parents=2 HEAD");
    assert_eq!(
        String::from_utf8_lossy(&log.stdout).trim(),
        "4",
        "a merge per file"
    );

    // A file in which the agent changes nothing is not done.
    let run = example.start(&["change=Replace old_call by new_call"], "src/a.py\n");
    let failed = example.reaches(run, &["failed"]);
    assert_eq!(steps(&failed)[0], "migrate failed 0");
    let items = example.items(&failed, "migrate");
    assert_eq!(items[0]["class"], "not_accepted", "{items:?}");
}

#[test]
fn documents_become_one_report_in_two_levels() {
    let example = started("documents-report", &[]);
    let folder = file("documents-report/documents");
    let run = example.done(&[&format!("dir={folder}")]);
    assert_eq!(steps(&run), ["read done 3", "report done 1"]);
    assert!(result(&run).contains("2026-04-billing.md"), "{run:#}");
    let read = example.items(&run, "read");
    assert_eq!(
        read[0]["result"]["title"], "# Billing meeting, 4 March 2026",
        "{read:?}"
    );

    for n in 0..45 {
        let text = format!("# Document {n}\n\nNumber {n}.\n");
        write(&example.project(), &format!("many/{n:02}.md"), &text);
    }
    let run = example.done(&["dir=many", "topic=numbers"]);
    // 45 extracts in groups of at most 20 are 3 tasks, and 1.
    assert_eq!(steps(&run), ["read done 45", "report done 4"]);
    let documents = (0..45).filter(|n| result(&run).contains(&format!("many/{n:02}.md")));
    assert_eq!(documents.count(), 45);
}

#[test]
fn a_text_is_written_again_until_the_program_and_the_reviewer_agree() {
    let example = started("verified-chain", &[]);
    let check = format!("check=python3 {}", file("verified-chain/check_slug.py"));
    let run = example.done(&["task=A Python function slug(text)", &check]);
    assert_eq!(steps(&run)[0], "chain done");
    for step in ["write", "check", "review"] {
        for pass in [1, 2] {
            let state = format!("chain[{pass}].{step} done");
            assert!(steps(&run).contains(&state), "{state}: {run:#}");
        }
    }
    assert_eq!(steps(&run).len(), 7, "no third pass: {run:#}");
    assert!(
        result(&run).contains("unicodedata"),
        "the second text: {run:#}"
    );
    let checks: Vec<Value> = [1, 2]
        .map(|pass| example.items(&run, &format!("chain[{pass}].check"))[0]["result"].clone())
        .into();
    let first = checks[0].as_str().unwrap();
    assert!(
        first.starts_with("FAILED with exit code 1: slug('Hello, World') is 'hello, world'"),
        "{first}"
    );
    assert_eq!(checks[1], "PASSED");

    // The stand-in repeats its second text: equal texts end the loop, and not as done.
    let run = example.start(&["task=A Python function slug(text)", "check=false"], "");
    let run = example.reaches(run, &["failed"]);
    assert_eq!(steps(&run)[0], "chain failed");
    assert!(
        !steps(&run).iter().any(|step| step.starts_with("chain[4]")),
        "{run:#}"
    );
}
