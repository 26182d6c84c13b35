//! `kirosu demo`: its report agrees with an independent count, and its output shows the crash, the restart and the
//! repeated attempt.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

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

/// A demo whose data folder is in a folder of the test's own.
fn started(files: &Path, temporary: &Path, stdout: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .arg("demo")
        .arg(files)
        .env_remove("KIROSU_CONFIG")
        .env("TMPDIR", temporary)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The files left in the temporary folder.
fn left(temporary: &Path) -> Vec<String> {
    let names = fs::read_dir(temporary).unwrap().flatten();
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("kirosu-demo"))
        .collect()
}

#[test]
fn signals_end_it_in_order_and_leave_nothing_behind() {
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    files(folder.path());
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut child = started(folder.path(), temporary.path(), Stdio::piped());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // It is in the middle of its work.
        let begun = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("takes it"));
        assert!(begun);
        assert_eq!(left(temporary.path()).len(), 1);
        kill_process(Pid::from_child(&child), signal).unwrap();
        // Reads on, so that it never writes into a full pipe.
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{signal:?} {rest:?} {output:?}"
        );
        assert_eq!(left(temporary.path()), [] as [&str; 0], "{signal:?}");
        assert!(!rest.iter().any(|line| line.contains("total")), "{rest:?}");
    }
}

#[test]
fn an_output_that_is_closed_or_full_ends_it_without_a_panic() {
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    files(folder.path());
    let mut child = started(folder.path(), temporary.path(), Stdio::piped());
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    // As `| head -1` does.
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = started(folder.path(), temporary.path(), full.into())
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("kirosu: cannot write to standard output: No space left"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(left(temporary.path()), [] as [&str; 0]);
}

#[test]
fn files_that_are_not_counted_are_named() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    fs::write(folder.path().join("large.txt"), "a\n".repeat(3 << 20)).unwrap();
    fs::write(
        folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.txt")),
        "x\n",
    )
    .unwrap();
    let output = demo(folder.path(), &[]);
    let story = String::from_utf8(output.stdout).unwrap();
    let sentence = "Not counted: 1 of more than 4 MiB, 1 unreadable.";
    assert_eq!(story.matches(sentence).count(), 2, "{story}");

    let folder = tempfile::tempdir().unwrap();
    for n in 0..5003 {
        fs::write(folder.path().join(format!("{n:04}.txt")), "one\n").unwrap();
    }
    let output = demo(folder.path(), &["--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["total"]["files"], 5000);
    assert_eq!(
        answer["left_out"],
        serde_json::json!({"large": 0, "unreadable": 0, "more": true})
    );
    let story = String::from_utf8(output.stderr).unwrap();
    assert!(story.contains("the first 5000 text files under"), "{story}");
}
