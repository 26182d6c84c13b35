//! `kirosu plan`: plans as files, without a hub.

use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A folder with plans, in which commands run.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn plan(&self, words: &[&str]) -> Output {
        self.plan_with(words, "")
    }

    fn plan_with(&self, words: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .arg("plan")
            .args(words)
            .env_clear()
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The example of the documentation.
fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plan/src/tests/example.yaml");
    fs::read_to_string(path).unwrap()
}

const FAULTY: &str = "pipeline:\n- id: a\n  promt: x\n- {id: b, prompt: '{{ steps.a.result }}'}\n";
const SMALL: &str = "pipeline: [{id: a, prompt: x}]";

#[test]
fn faults_are_listed_with_their_positions() {
    let folder = Folder::new(&[("good.yaml", &example()), ("bad.yaml", FAULTY)]);
    let good = folder.plan(&["check", "good.yaml"]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let line = text(&good.stdout);
    assert!(line.starts_with("ok: good.yaml (8 steps, "), "{line}");

    let both = folder.plan(&["check", "good.yaml", "bad.yaml"]);
    assert_eq!(both.status.code(), Some(1));
    let lines: Vec<&str> = text(&both.stdout).lines().collect();
    assert_eq!(
        lines[1..],
        [
            "bad.yaml:3:3: pipeline[0].promt: unknown field promt; did you mean prompt?",
            "bad.yaml:4:23: pipeline[1].prompt: the step b does not depend on a; add a to its depends_on",
        ]
    );
    let answer = folder.plan(&["check", "good.yaml", "bad.yaml", "--json"]);
    assert_eq!(answer.status.code(), Some(1));
    let answer = value(&answer.stdout);
    assert_eq!(answer["ok"], false);
    assert_eq!(
        (&answer["plans"][0]["ok"], &answer["plans"][0]["steps"]),
        (&json!(true), &json!(8))
    );
    assert_eq!(
        answer["plans"][1]["faults"][0],
        json!({"line": 3, "column": 3, "path": "pipeline[0].promt", "message": "unknown field promt", "nearest": "prompt"})
    );

    let shown = folder.plan(&["show", "bad.yaml"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(
        text(&shown.stderr).contains("\n  bad.yaml:3:3: pipeline[0].promt: "),
        "{shown:?}"
    );
    let shown = folder.plan(&["show", "bad.yaml", "--json"]);
    let error = &value(&shown.stderr)["error"];
    assert_eq!(
        (&error["code"], &error["exit_code"]),
        (&json!("plan"), &json!(1))
    );
    assert_eq!(error["faults"][1]["line"], 4);
}

#[test]
fn a_plan_is_found_by_its_name() {
    let folder = Folder::new(&[
        (".kirosu/plans/review.yaml", &example()),
        (
            ".kirosu/plans/two.toml",
            "[[pipeline]]\nid = 'a'\nprompt = 'x'\n",
        ),
        (".kirosu/plans/twice.yml", SMALL),
        (".kirosu/plans/twice.json", SMALL),
        ("local", SMALL),
    ]);
    let tree = folder.plan(&["show", "review"]);
    assert_eq!(tree.status.code(), Some(0), "{tree:?}");
    assert!(
        text(&tree.stdout).contains("│   └── judge  task  @judges  after write\n"),
        "{tree:?}"
    );
    assert_eq!(
        text(&folder.plan(&["show", "two"]).stdout),
        "two\n└── a  task\n"
    );
    assert_eq!(
        text(&folder.plan(&["show", "./local"]).stdout),
        "local\n└── a  task\n"
    );
    for (name, message) in [
        (
            "reviw",
            "there is no plan reviw: no .kirosu/plans/reviw with the ending .yaml, .yml, .toml, .json; did you mean review?",
        ),
        ("local", "a file here is ./local"),
        (
            "twice",
            "the name twice is that of .kirosu/plans/twice.yml and .kirosu/plans/twice.json: give the file",
        ),
        ("none.yaml", "cannot read none.yaml"),
    ] {
        let output = folder.plan(&["check", name]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(text(&output.stderr).contains(message), "{output:?}");
    }
}

#[test]
fn a_plan_is_read_from_standard_input() {
    let folder = Folder::new(&[]);
    let fenced = format!("Here it is:\n```yaml\n{SMALL}\n```\n");
    let output = folder.plan_with(&["check", "-"], &fenced);
    assert!(
        text(&output.stdout).starts_with("ok: - (1 step, "),
        "{output:?}"
    );
    let toml = "[[pipeline]]\nid = 'a'\nprompt = 'x'\n";
    let output = folder.plan_with(&["show", "-", "--format", "toml", "--json"], toml);
    let by_toml = value(&output.stdout);
    assert_eq!(by_toml["plan"]["pipeline"][0]["prompt"], "x");
    let by_yaml = value(&folder.plan_with(&["show", "-", "--json"], SMALL).stdout);
    assert_eq!(by_toml["hash"], by_yaml["hash"]);
    let large = "#".repeat(2 << 20);
    let output = folder.plan_with(&["check", "-"], &large);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("more than 1048576 bytes"),
        "{output:?}"
    );
    assert_eq!(folder.plan(&["check", "-", "-"]).status.code(), Some(2));
    assert_eq!(folder.plan(&["check"]).status.code(), Some(2));
    assert_eq!(folder.plan(&["show", "a", "b"]).status.code(), Some(2));
}

#[test]
fn a_plan_is_drawn_and_described() {
    let folder = Folder::new(&[("review.yaml", &example())]);
    let drawing = folder.plan(&["show", "review.yaml", "--mermaid"]);
    let drawing = text(&drawing.stdout);
    assert!(
        drawing.starts_with("flowchart TD\n") && drawing.contains("  s_read --> s_digest\n"),
        "{drawing}"
    );
    let schema = value(&folder.plan(&["schema"]).stdout);
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(schema["$defs"]["step"]["properties"]["depends_on"].is_object());
}

#[test]
fn the_document_names_each_field_and_its_examples_are_plans() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/plans.md")).unwrap();
    let folder = Folder::new(&[]);
    let schema = value(&folder.plan(&["schema"]).stdout);
    let tables = schema["$defs"].as_object().unwrap().values();
    for table in tables.chain([&schema]) {
        for field in table["properties"].as_object().unwrap().keys() {
            assert!(
                document.contains(&format!("`{field}`")),
                "{field} is not in docs/plans.md"
            );
        }
    }
    let mut examples = 0;
    for (mark, format) in [("```yaml\n", "yaml"), ("```toml\n", "toml")] {
        for example in document.split(mark).skip(1) {
            let example = example.split("```").next().unwrap();
            let output = folder.plan_with(&["check", "-", "--format", format], example);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{example}\n{}",
                text(&output.stdout)
            );
            examples += 1;
        }
    }
    assert!(examples >= 3, "{examples}");
    assert!(
        document.contains(example().as_str()),
        "the example is that of the tests"
    );
}
