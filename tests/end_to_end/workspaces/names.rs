//! Names of files that are not UTF-8, or look like flags: in diffs, in commits, in applying and in rolling back.

use crate::workspaces::field::{Agents, Field};
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Writes files whose names are hard: in octal for the shell.
const WRITE: &str = "for name in \"$(printf 'caf\\351')\" -dash ' lead' 'new
line' '\"quoted\"' caf\u{e9}; do echo agent > ./\"$name\"; done";

fn odd(field: &Field, name: &[u8]) -> PathBuf {
    field.repository().join(OsStr::from_bytes(name))
}

const NAMES: [&[u8]; 6] = [
    b"caf\xe9",
    b"-dash",
    b" lead",
    b"new\nline",
    b"\"quoted\"",
    "caf\u{e9}".as_bytes(),
];

fn start(field: &Field) -> Agents {
    for name in NAMES {
        fs::write(odd(field, name), "person\n").unwrap();
    }
    field.commit("start");
    field.start("")
}

fn all_hold(field: &Field, text: &str) {
    for name in NAMES {
        assert_eq!(
            fs::read_to_string(odd(field, name)).unwrap(),
            text,
            "{name:?}"
        );
    }
}

#[test]
fn every_name_is_committed_shown_and_applied() {
    let field = Field::new();
    let hub = start(&field);
    let id = hub.done(WRITE);
    let printed = hub.get(id)["printed"].to_string();
    assert!(printed.contains("6 files changed"), "{printed}");
    assert!(!printed.contains("not on the branch"), "{printed}");
    let diff = hub.json(&format!("diff {id}"));
    let names: Vec<&str> = diff["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    for name in [
        "\"caf\\351\"",
        "-dash",
        "new\nline",
        "\"\\\"quoted\\\"\"",
        "caf\u{e9}",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // The person's own change is in the way, and is named.
    fs::write(odd(&field, NAMES[0]), "mine\n").unwrap();
    let said = hub.refused(&format!("apply {id}"));
    assert!(
        said.contains("changes of its own in \"caf\\351\""),
        "{said}"
    );
    fs::write(odd(&field, NAMES[0]), "person\n").unwrap();
    hub.cli(&format!("apply {id}"));
    all_hold(&field, "agent\n");
    assert_eq!(field.git("status --porcelain"), "");
    let pruned = hub.cli("workspaces --prune");
    assert!(pruned.starts_with("removed 1 worktree"), "{pruned}");
}

#[test]
fn a_merge_that_stops_halfway_is_put_back_whatever_the_names() {
    let field = Field::new().file(".gitattributes", "z.late filter=once\n");
    let hub = start(&field);
    let new = "echo n > \"$(printf 'new\\377')\"; mkdir \"$(printf 'dir\\376')\"; echo n > \"$(printf 'dir\\376/in')\"";
    let id = hub.done(&format!("{WRITE}; {new}; echo z > z.late"));
    // It works when the merge is rehearsed, and fails when it is made.
    let marker = field.setup.directory.path().join("marker");
    let filter = field.setup.directory.path().join("filter");
    let script = format!(
        "#!/bin/sh\nif [ -e {0} ]; then rm {0}; exit 1; fi\n: > {0}\ncat\n",
        marker.display()
    );
    fs::write(&filter, script).unwrap();
    fs::set_permissions(&filter, fs::Permissions::from_mode(0o755)).unwrap();
    field.git(&format!("config filter.once.smudge {}", filter.display()));
    field.git("config filter.once.required true");
    let said = hub.refused(&format!("apply {id}"));
    assert!(said.contains("all files are as before"), "{said}");
    all_hold(&field, "person\n");
    assert!(!odd(&field, b"new\xff").exists());
    assert!(!odd(&field, b"dir\xfe").exists());
    assert_eq!(field.git("status --porcelain"), "");
}

#[test]
fn what_is_only_in_the_worktree_is_found_whatever_its_name() {
    let field = Field::new()
        .file("a.txt", "one\n")
        .file(".gitignore", "*.secret\n");
    field.commit("start");
    let hub = field.start("");
    let nested =
        "d=\"$(printf 'n\\377')\"; mkdir -p \"$d/in\"; git init -q \"$d/in\"; echo w > \"$d/in/w\"";
    let id = hub.done(&format!(
        "{nested}; echo s > \"$(printf 'k\\376.secret')\"; echo two > a.txt"
    ));
    let printed = hub.get(id)["printed"].clone().to_string();
    assert!(printed.contains("n\\\\377/in/"), "{printed}");
    assert!(printed.contains("k\\\\376.secret"), "{printed}");
    hub.cli(&format!("apply {id} --partial"));
    let pruned = hub.json("workspaces --prune --ignored");
    assert_eq!(pruned["removed"], json!([]), "{pruned}");
    // Hidden from git, and changed.
    let hidden = "f=\"$(printf 'h\\375')\"; echo one > \"$f\"; git add -A; git -c user.name=A -c user.email=a@b commit -qm h; \
                  git update-index --skip-worktree \"$f\"; echo mine > \"$f\"";
    let id = hub.done(hidden);
    let printed = hub.get(id)["printed"].to_string();
    assert!(
        printed.contains("h\\\\375") && printed.contains("hidden"),
        "{printed}"
    );
}

#[test]
fn files_whose_names_differ_in_case_are_two_whatever_the_settings_say() {
    let field = Field::new().file("a.txt", "one\n");
    field.commit("start");
    field.git("config core.ignoreCase true");
    let hub = field.start("");
    let id = hub.done("echo A > README; echo b > readme");
    assert_eq!(field.git(&format!("show kirosu/task-{id}:readme")), "b");
    hub.cli(&format!("apply {id}"));
    assert_eq!(
        (field.read("README"), field.read("readme")),
        ("A\n".into(), "b\n".into())
    );
}
