//! Three examples with real agent programs, whose model is the stub of the agents' tests: a directive in an input, which the prompts
//! contain, decides the answer.

use super::{Example, json_result, result, started_with, steps};
use crate::agents::path_with_programs;
use crate::agents::programs::{CODEX, GOOSE, OPENCODE, Program};
use crate::agents::world::World;
use crate::common::Setup;
use serde_json::json;

/// A hub whose agents are this program.
fn started_for(name: &'static str, program: Program, files: &[(&str, &str)]) -> (World, Example) {
    let world = World::new(&[program.name]);
    let env = program.environment(&world.folder().join("home"), &world.url);
    let provider = format!(
        "[providers.{}]\nkind = \"command\"\nenv = {env}\n{}\n",
        program.name, program.keys
    );
    let setup = Setup::new().up().environment("PATH", &path_with_programs());
    let example = started_with(name, files, (program.name, &provider), setup);
    (world, example)
}

#[test]
fn codex_reviews_a_diff() {
    let (world, example) = started_for("review", CODEX, &[]);
    // It fits the schemas of the reviewers and of the judge.
    let run = example.done(&[r#"diff=[[say {"findings": [], "decision": "approve"}]]"#]);
    assert_eq!(steps(&run), ["reviewers done 4", "judge done 1"]);
    assert_eq!(
        json_result(&run),
        json!({"findings": [], "decision": "approve"})
    );
    assert_eq!(world.asked().len(), 5, "one call of the model per task");
    world.nothing_is_left(example.hub.pid());
}

#[test]
fn opencode_triages_an_issue() {
    let (world, example) = started_for("triage", OPENCODE, &[]);
    let run =
        example.done(&[r#"issue=[[say {"area": "crash", "urgent": true, "why": "it ends"}]]"#]);
    assert_eq!(steps(&run)[..2], ["area done 3", "reply skipped"]);
    assert_eq!(json_result(&run)["area"], "crash");
    world.nothing_is_left(example.hub.pid());
}

#[test]
fn goose_reads_documents_for_a_report() {
    let said = r#"[[say {"title": "A", "facts": ["one"], "open": []}]]"#;
    let files = [("docs/a.md", said), ("docs/b.md", said)];
    let (world, example) = started_for("documents-report", GOOSE, &files);
    let run = example.done(&["dir=docs"]);
    assert_eq!(steps(&run), ["read done 2", "report done 1"]);
    assert_eq!(example.items(&run, "read")[1]["key"], "docs/b.md");
    // The prompt of the report has no directive, so the stub repeats its beginning.
    assert!(
        result(&run).contains("Merge these parts into one report"),
        "{run:#}"
    );
    world.nothing_is_left(example.hub.pid());
}
