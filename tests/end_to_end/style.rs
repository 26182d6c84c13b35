//! The language check of `make lint` (`tests/style.py`) finds a planted sentence of each kind, and accepts quotations.

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/style.py");
    let mut command = Command::new("python3");
    command.arg(script).current_dir(folder);
    command.output().expect("python3")
}

fn git(folder: &Path, args: &[&str]) {
    let status = Command::new("git")
        .args(args)
        .current_dir(folder)
        .status()
        .expect("git");
    assert!(status.success(), "git {args:?}");
}

/// A repository with these files.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "--quiet"]);
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(folder.path(), &["add", "--all"]);
    folder
}

#[test]
fn planted_sentences_are_found_and_quotations_are_not() {
    let planted = [
        ("what-opening", "What the hub is told at start."),
        ("who-opening", "Whoever restarts must not wait."),
        ("tell", "The holder is told."),
        ("nobody", "Nobody waits; nobody reads."),
        ("stand", "Connections that stand."),
        ("none-colon", "Limit; none: no limit."),
        ("so-many", "At most so many."),
        ("beside", "The file beside it."),
        ("one-a", "One file a verb."),
        ("metaphor", "The house of actors."),
    ];
    for (rule, sentence) in planted {
        let code = format!("/// {sentence}\npub fn f() {{}}\n");
        let comment = repository(&[("src/lib.rs", &code)]);
        let document = repository(&[("README.md", sentence)]);
        for folder in [&comment, &document] {
            let found = run(folder.path());
            let text = String::from_utf8_lossy(&found.stdout).into_owned();
            assert_eq!(found.status.code(), Some(1), "{rule}: {text}");
            assert!(text.contains(&format!(" {rule}: ")), "{rule}: {text}");
        }
    }
    let quoted = "/// Matches `told` and \"What is it\".\nfn f() {}\n";
    let fine = repository(&[
        ("src/lib.rs", quoted),
        ("README.md", "```\nWhat is told\n```\n"),
    ]);
    let found = run(fine.path());
    assert!(
        found.status.success(),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );
}

#[test]
fn a_type_name_of_two_crates_is_found() {
    let code = "pub struct Report;\n";
    let twice = repository(&[("a/src/lib.rs", code), ("b/src/lib.rs", code)]);
    let found = run(twice.path());
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(found.status.code(), Some(1), "{text}");
    assert!(text.contains("type-name: Report"), "{text}");
}
