//! `kirosu demo`: its report agrees with an independent count, and its output shows the crash, the restart and the
//! repeated attempt.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn demo(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .arg("demo")
        .arg(folder)
        .args(arguments)
        .env_remove("KIROSU_CONFIG");
    let output = command.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    output
}

/// Some files whose counts are easy to get wrong: no last newline, empty, other white space, not UTF-8.
fn files(folder: &Path) {
    let texts: [(&str, &[u8]); 6] = [
        ("a.txt", b"one two\nthree\n"),
        ("b.txt", b"no newline at the end"),
        ("empty.md", b""),
        ("deep/c.md", b"tabs\tand\x0bmore \n\n\n"),
        ("deep/latin1.txt", b"gr\xfc\xdfe aus K\xf6ln\n"),
        ("Makefile", b"all:\n\techo hi\n"),
    ];
    fs::create_dir(folder.join("deep")).unwrap();
    for (name, text) in texts {
        fs::write(folder.join(name), text).unwrap();
    }
    for n in 0..40 {
        fs::write(
            folder.join(format!("many-{n}.rs")),
            "fn main() {}\n".repeat(n),
        )
        .unwrap();
    }
    fs::write(folder.join("data.bin"), b"\0\0\0").unwrap();
    fs::write(folder.join(".hidden.txt"), "not counted\n").unwrap();
}

/// Counts again, with the system's own `wc`.
fn counted_by_wc(folder: &Path) -> BTreeMap<String, [u64; 4]> {
    let script = r#"find . -type f ! -name '.*' ! -name '*.bin' -print0 | xargs -0 -n1 env LC_ALL=C wc -l -w -c"#;
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .current_dir(folder)
        .output()
        .unwrap();
    let mut counts: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut words = line.split_whitespace();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let row = [1, number(), number(), number()];
        let path = Path::new(words.next().unwrap());
        let kind = path
            .extension()
            .map_or_else(|| "(none)".into(), |e| format!(".{}", e.to_str().unwrap()));
        let sums = counts.entry(kind).or_default();
        for (sum, number) in sums.iter_mut().zip(row) {
            *sum += number;
        }
    }
    counts
}

#[test]
fn the_report_agrees_with_an_independent_count() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let output = demo(folder.path(), &["--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let report: BTreeMap<String, [u64; 4]> = answer["report"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(kind, row)| {
            (
                kind.clone(),
                ["files", "lines", "words", "bytes"].map(|name| row[name].as_u64().unwrap()),
            )
        })
        .collect();
    assert_eq!(report, counted_by_wc(folder.path()));
    assert_eq!(answer["run"]["restarts"], 1, "{answer}");
    assert_eq!(
        answer["run"]["attempts"].as_u64().unwrap(),
        answer["run"]["tasks"].as_u64().unwrap() + 1,
        "{answer}"
    );
}

#[test]
fn the_story_shows_the_crash_the_restart_and_the_repeated_attempt() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let output = demo(folder.path(), &[]);
    let story = String::from_utf8(output.stdout).unwrap();
    let line = |word: &str| {
        story
            .lines()
            .position(|line| line.contains(word))
            .unwrap_or_else(|| panic!("no {word:?} in\n{story}"))
    };
    assert!(
        line("CRASH") < line("restart in") && line("restart in") < line("is back"),
        "{story}"
    );
    assert!(
        line("CRASH") < line("it is queued again")
            && line("it is queued again") < line("attempt 2"),
        "{story}"
    );
    assert!(line("attempt 2") < line("  total "), "{story}");
}

#[test]
fn a_folder_without_text_is_one_sentence_and_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .arg("demo")
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("kirosu: there is no text file under") && said.lines().count() == 1,
        "{said}"
    );
}
