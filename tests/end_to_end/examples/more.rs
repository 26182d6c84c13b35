//! The other examples.

use super::{file, json_result, result, started, steps, write};
use crate::common::until;
use serde_json::{Value, json};
use std::io::Write;

const SOURCES: [(&str, &str); 3] = [
    (
        "src/mean.py",
        "def mean(xs):\n    return sum(xs) / len(xs)\n\ndef unused_total(xs):\n    return sum(xs)\n",
    ),
    (
        "src/safe.py",
        "def safe(xs):\n    if not xs:\n        return 0\n    return sum(xs) / len(xs)\n",
    ),
    ("src/plugin.py", "def hidden_hook():\n    return 1\n"),
];

#[test]
fn only_bugs_with_a_failing_test_are_reported() {
    let example = started("bug-hunt", &SOURCES);
    let run = example.done(&[]);
    assert_eq!(
        steps(&run),
        [
            "find done 3",
            "suspects done 1",
            "reproduce done 2",
            "all done 0",
            "report done"
        ]
    );
    assert_eq!(result(&run), "Stand-in model.\nsrc/test_mean.py");
    let reproduced = example.items(&run, "reproduce");
    let bugs: Vec<&Value> = reproduced
        .iter()
        .map(|item| &item["result"]["bug"])
        .collect();
    assert_eq!(
        bugs,
        [
            "stand-in: mean([]) fails",
            "stand-in: callers never pass this"
        ]
    );
    assert!(
        !example.project().join("src/test_mean.py").exists(),
        "it is on a branch"
    );
    example.apply(&reproduced[0]["task_id"]);
    assert!(example.read("src/test_mean.py").contains("mean([]) == 0"));

    let run = example.done(&["files=src/plugin.py"]);
    assert_eq!(
        steps(&run),
        [
            "find done 1",
            "suspects done 1",
            "reproduce done 0",
            "all done 0",
            "report skipped"
        ]
    );
    assert_eq!(result(&run), "[]");
}

#[test]
fn code_without_a_use_is_removed_on_a_branch() {
    let example = started("dead-code", &SOURCES);
    let run = example.done(&["files=src/*.py", "test=true"]);
    assert_eq!(
        steps(&run),
        [
            "candidates done 3",
            "list done 1",
            "refute done 2",
            "verdicts done 0",
            "remove done"
        ]
    );
    assert_eq!(result(&run), "Stand-in model.\nunused_total");
    let before = example.read("src/mean.py");
    assert!(before.contains("unused_total"));
    example.apply(&example.items(&run, "remove")[0]["task_id"]);
    assert!(!example.read("src/mean.py").contains("unused_total"));
    assert!(
        example.read("src/plugin.py").contains("hidden_hook"),
        "its use was found"
    );

    let run = example.done(&["files=src/plugin.py"]);
    assert_eq!(steps(&run)[4], "remove skipped");
    assert_eq!(json_result(&run)[0]["used"], true);
}

#[test]
fn a_question_is_answered_from_the_documents_that_matter() {
    let example = started("context-sieve", &[]);
    for n in 0..30 {
        let text = match n {
            7 => "The retention is 90 days.\nNothing else.\n",
            21 => "Without a setting the retention has no limit.\n",
            _ => "This document is about something else.\n",
        };
        write(&example.project(), &format!("documents/{n:02}.md"), text);
    }
    let run = example.done(&["question=How long are finished tasks kept?"]);
    assert_eq!(
        steps(&run),
        ["sieve done 30", "condense done 1", "answer done"]
    );
    let answer = json_result(&run);
    assert_eq!(answer["answered"], true);
    assert_eq!(
        answer["sources"],
        json!(["documents/07.md", "documents/21.md"])
    );
    let said = answer["answer"].as_str().unwrap();
    assert!(
        said.starts_with("Stand-in model: The retention is 90 days."),
        "{said}"
    );
    // Several documents per task.
    assert!(run["made"].as_i64() < Some(30), "{run:#}");

    write(&example.project(), "other/a.md", "Nothing.\n");
    let run = example.done(&["question=Why?", "files=other/*.md"]);
    assert_eq!(json_result(&run)["answered"], false);
}

#[test]
fn the_monitor_asks_an_agent_about_changes_until_there_is_an_alarm() {
    let example = started("live-monitor", &[]);
    write(&example.project(), "latency.txt", "10\n60\n");
    let probe = format!("probe={} latency.txt 50", file("live-monitor/probe.sh"));
    let run = example.start(&[&probe, "alarm=the latency is above 90 ms"], "");
    let mut client = example.hub.client();
    until("the first change has been judged, without an alarm", || {
        let shown = client.call("run", json!({"task_id": run}));
        steps(&shown)
            .contains(&"watch[1].judge done".to_owned())
            .then_some(())
    });
    let path = example.project().join("latency.txt");
    let mut latency = std::fs::File::options().append(true).open(path).unwrap();
    writeln!(latency, "95").unwrap();
    let run = example.reaches(run, &["done"]);
    assert_eq!(steps(&run)[0], "watch done");
    for step in ["watch[2].probe done", "watch[2].judge done", "handle done"] {
        assert!(steps(&run).contains(&step.to_owned()), "{step}: {run:#}");
    }
    assert_eq!(result(&run), "Stand-in model.\nstand-in: measurement 95");
}

#[test]
fn a_nightly_repair_needs_a_person() {
    let example = started("nightly", &[]);
    let checks = [
        "tests=echo broken; exit 1",
        "dependencies=true",
        "leftovers=git status --short",
    ];
    let asked = || {
        let run = example.start(&checks, "");
        let waiting = example.reaches(run, &["waiting"]);
        let question = waiting["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["path"] == "approve");
        (run, question.unwrap()["task_id"].to_string())
    };
    let (run, question) = asked();
    let shown = example.cli(&["get", &question]);
    assert!(
        shown.contains("Stand-in model: tests broken") && shown.contains("write repaired.txt"),
        "{shown}"
    );
    example.cli(&["answer", &question, "yes"]);
    let run = example.reaches(run, &["done"]);
    let expected = |repair: &str| {
        let all = [
            "tests done",
            "dependencies done",
            "leftovers done",
            "report done",
            "approve done",
            repair,
            "notify done",
        ];
        all.map(str::to_owned).to_vec()
    };
    assert_eq!(steps(&run), expected("repair done"));
    assert_eq!(
        example.items(&run, "tests")[0]["result"],
        "broken\nexit code 1"
    );
    assert_eq!(
        example.read("nightly.log"),
        "nightly done: Stand-in model: tests broken\n"
    );
    example.apply(&example.items(&run, "repair")[0]["task_id"]);
    assert_eq!(example.read("repaired.txt"), "repaired\n");

    let (run, question) = asked();
    example.cli(&["reject", &question]);
    let run = example.reaches(run, &["done"]);
    assert_eq!(steps(&run), expected("repair skipped"));

    let run = example.done(&["tests=true", "dependencies=true", "leftovers=true"]);
    assert_eq!(
        steps(&run)[4..],
        ["approve skipped", "repair skipped", "notify done"]
    );
    assert_eq!(json_result(&run)["healthy"], true);
    assert_eq!(example.read("nightly.log").lines().count(), 3);
}

#[test]
fn translations_with_another_meaning_are_repaired() {
    let example = started("translation", &[]);
    let strings = format!("strings={}", file("translation/strings.jsonl"));
    let run = example.done(&[&strings, "language=Portuguese (Brazil)"]);
    assert_eq!(
        steps(&run),
        [
            "translate done 3",
            "back done 3",
            "compare done 3",
            "repair done 1"
        ]
    );
    let compared = example.items(&run, "compare");
    let ok: Vec<&Value> = compared.iter().map(|item| &item["result"]["ok"]).collect();
    assert_eq!(ok, [true, false, true]);
    assert_eq!(
        json_result(&run),
        json!({"key": "file.delete", "text": "pt: Do not delete {name}"})
    );
    let id = run["task_id"].to_string();
    let items = example.cli(&["run", "items", &id, "--results", "--jsonl"]);
    write(&example.project(), "items.jsonl", &items);
    let input = std::fs::File::open(example.project().join("items.jsonl")).unwrap();
    let merged = std::process::Command::new("python3")
        .arg(file("translation/merge.py"))
        .stdin(input)
        .output()
        .unwrap();
    let merged = String::from_utf8(merged.stdout).unwrap();
    let lines: Vec<Value> = merged
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[1],
        json!({"key": "file.delete", "text": "pt: Do not delete {name}"})
    );
}

#[test]
fn a_large_file_is_counted_exactly() {
    let example = started("massive-data", &[]);
    let line = |n: usize| {
        let word = ["thanks", "broken", "how", "x"][n % 7 % 4];
        json!({"text": format!("{word} {n}")}).to_string() + "\n"
    };
    let data: String = (0..2000).map(line).collect();
    write(&example.project(), "data.jsonl", &data);
    let run = example.start(&[], "");
    let waiting = example.reaches(run, &["waiting"]);
    assert_eq!(steps(&waiting)[0], "classify open 300");
    example.cli(&["run", "resume", &run.to_string()]);
    let run = example.reaches(run, &["done"]);
    // 2000 results in groups of 500, and these 4.
    assert_eq!(steps(&run), ["classify done 2000", "total done 5"]);
    let counts = json!({"praise": 572, "complaint": 571, "question": 571, "other": 286});
    assert_eq!(json_result(&run)["counts"], counts);
    assert!(run["made"].as_i64() < Some(40), "{run:#}");
}

#[test]
fn an_issue_is_classified_by_vote_and_answered_once() {
    let example = started("triage", &[]);
    let run = example.done(&["issue=It ends with a crash"]);
    assert_eq!(steps(&run)[..2], ["area done 3", "reply done"]);
    let mut replies: Vec<&str> = run["steps"].as_array().unwrap()[2..]
        .iter()
        .map(|step| step["state"].as_str().unwrap())
        .collect();
    replies.sort_unstable();
    assert_eq!(replies, ["cancelled", "done"]);
    assert_eq!(result(&run), "Stand-in model.\ncrash");

    // Three different votes: the judge's is the fourth task.
    let run = example.done(&["issue=opinions differ"]);
    assert_eq!(steps(&run)[0], "area done 4");

    let run = example.done(&["issue=urgent: a crash"]);
    assert_eq!(steps(&run)[1], "reply skipped");
    assert_eq!(json_result(&run)["area"], "crash");
}

#[test]
fn a_release_needs_the_review_and_a_person() {
    let example = started("release", &[]);
    let inputs = |diff: &str| {
        let publish = "publish=cat > published-$VERSION".to_owned();
        [
            "version=1.4.0".to_owned(),
            format!("diff={diff}"),
            "log=a1 Fix it".to_owned(),
            publish,
        ]
    };
    let start = |diff: &str| {
        let inputs = inputs(diff);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        example.start(&inputs, "")
    };
    let run = example.reaches(start("+ return sum(xs) / len(xs)"), &["done"]);
    assert_eq!(
        steps(&run),
        [
            "review done",
            "notes done",
            "agree skipped",
            "publish skipped"
        ]
    );

    let run = start("+ return 1");
    let waiting = example.reaches(run, &["waiting"]);
    let question = waiting["steps"][2]["task_id"].to_string();
    assert!(!example.project().join("published-1.4.0").exists());
    example.cli(&["answer", &question, "yes"]);
    let run = example.reaches(run, &["done"]);
    assert_eq!(
        steps(&run),
        ["review done", "notes done", "agree done", "publish done"]
    );
    assert_eq!(
        example.read("published-1.4.0"),
        "# 1.4.0\n\nStand-in model.\n"
    );

    let run = start("+ return 1");
    let waiting = example.reaches(run, &["waiting"]);
    example.cli(&["reject", &waiting["steps"][2]["task_id"].to_string()]);
    let run = example.reaches(run, &["done"]);
    assert_eq!(steps(&run)[3], "publish skipped");
}
