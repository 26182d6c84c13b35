//! Real agent programs in the sandbox of their pool: they work, and their tools write only their folder.

use super::Case;
use super::programs::{CODEX, GOOSE, Program};
use crate::sandbox::cannot_be_enforced;
use std::fs;

/// A tool call of a trusted agent that writes its folder and tries to write next to it, and to read the store.
fn stays_inside(program: Program, kind: &'static str) {
    if cannot_be_enforced() {
        return;
    }
    let mut case = Case::start_with(program, kind, "sandbox = \"workspace\"");
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("planted");
    let store = case.hub.setup.database();
    let command = format!(
        "echo in >inside; echo out >{}; cat {} >copied; echo was-made",
        file.display(),
        store.display()
    );
    let got = case.run("all", &program.call(&command));
    assert_eq!(got["task"]["status"], "done", "{got:#}");
    let result = got["task"]["result"].as_str().unwrap_or_default();
    assert!(result.contains("was-made"), "{got:#}");
    let read = |name: &str| fs::read_to_string(case.folder.join(name)).unwrap_or_default();
    assert_eq!(read("inside"), "in\n", "{got:#}");
    assert_eq!(read("copied"), "", "the store was read: {got:#}");
    assert!(!file.exists(), "a file outside was written: {got:#}");
    // Over ACP the agent itself stays for the next task.
    if kind == "command" {
        case.nothing_is_left();
    }
}

#[test]
fn codex_works_in_a_sandbox_and_stays_inside() {
    stays_inside(CODEX, "command");
}

#[test]
fn goose_works_in_a_sandbox_and_stays_inside() {
    stays_inside(GOOSE, "command");
}

#[test]
fn goose_over_acp_works_in_a_sandbox_and_stays_inside() {
    stays_inside(GOOSE, "acp");
}
