//! Real agent programs carry plans from start to end: a map, a reduce and a review loop, and plans that a planner makes, whose plans plan
//! again. The model is the stub of these tests: directives in the prompts decide the answers.

use crate::agents::programs::{CODEX, GOOSE, Program};
use crate::agents::world::World;
use crate::agents::{AGENT_PATIENCE, path_with_programs};
use crate::common::{Client, Hub, Setup, until_within};
use serde_json::{Value, json};
use std::fs;

/// A hub with a pool per program, of the program's name.
fn started(world: &World) -> Hub {
    let setup = Setup::new().up();
    let pool = |program: Program| {
        let name = program.name;
        let env = program.environment(&world.folder().join(name), &world.url);
        format!(
            "[providers.{name}]\nkind = \"command\"\n{}\n\
             [[pool]]\nname = \"{name}\"\nsize = 2\nprovider = \"{name}\"\nworkspace = \"isolated\"\nenv = {env}\n",
            program.keys
        )
    };
    let data = json!(setup.directory.path().join("data"));
    let settings = format!("data_dir = {data}\n{}{}", pool(CODEX), pool(GOOSE));
    fs::write(setup.directory.path().join("kirosu.toml"), settings).unwrap();
    setup.environment("PATH", &path_with_programs()).start()
}

const PLAN: &str = r#"
pipeline:
  - id: read
    map: { over: [one, two, three] }
    pool: codex
    prompt: '[[say read {{ item }}]]'
  - id: merge
    reduce: { of: read }
    pool: goose
    prompt: '[[say {% for r in results %}{{ r.result }};{% endfor %}]]'
  - id: review
    depends_on: [merge]
    loop: { max: 4, until: steps.judge.json.ok }
    steps:
      - { id: write, pool: codex, prompt: '[[say {{ prev.write.result or steps.merge.result }} better]]' }
      - id: judge
        depends_on: [write]
        pool: goose
        prompt: "[[say {\"ok\": {{ 'true' if prev.judge.result else 'false' }}}]] {{ steps.write.result }}"
        result: { schema: { type: object, required: [ok] } }
  - { id: end, depends_on: [review], pool: codex, prompt: '[[say {{ steps.review.json.ok | tojson }}]]' }
"#;

/// The result of a step that has one task.
fn result(client: &mut Client, run: i64, step: &str) -> String {
    let params = json!({"task_id": run, "step": step, "results": true});
    let items = client.call("run_items", params);
    let result = items["items"][0]["result"].as_str();
    result.unwrap_or_else(|| panic!("{items:#}")).to_owned()
}

fn ended(client: &mut Client, run: i64) -> Value {
    until_within(AGENT_PATIENCE, "the run has ended", || {
        let run = client.call("run", json!({"task_id": run}));
        let state = run["state"].as_str().unwrap().to_owned();
        matches!(state.as_str(), "done" | "partial" | "failed" | "cancelled").then_some(run)
    })
}

#[test]
fn codex_and_goose_carry_a_map_a_review_loop_and_recursive_plans() {
    let world = World::new(&["codex", "goose"]);
    let hub = started(&world);
    let mut client = hub.client();
    let run = client.enqueue_with(json!({"type": "plan", "prompt": PLAN}));
    let shown = ended(&mut client, run);
    assert_eq!(shown["state"], "done", "{shown:#}");
    assert_eq!(shown["result"].as_str().map(str::trim), Some("true"));
    let merged = result(&mut client, run, "merge");
    assert_eq!(merged.trim(), "read one;read two;read three;");
    let written = result(&mut client, run, "review[2].write");
    assert_eq!(
        written.trim(),
        "read one;read two;read three; better better"
    );
    // Three files, one merge, two passes and the end, each with one call of the model.
    assert_eq!(shown["made"], 9, "{shown:#}");
    assert_eq!(world.asked().len(), 9);

    // A planner whose plan has a planner. Of the inner directive the marks are escaped in the outer one, which ends at the first mark.
    let inner =
        json!({"pipeline": [{"id": "list", "pool": "codex", "prompt": "List three colours"}]});
    let plan = json!({
        "limits": {"tokens": 100_000},
        "pipeline": [
            {"id": "again", "plan": {"goal": format!("[[say {inner}]]"), "pool": "goose", "ask": false}},
            {"id": "sum", "depends_on": ["again"], "pool": "codex", "prompt": "Sum: {{ steps.again.result }}"},
        ],
    });
    let plan = plan
        .to_string()
        .replace("[[", "\\u005b\\u005b")
        .replace("]]", "\\u005d\\u005d");
    let goal = format!("[[say {plan}]]");
    let words = [
        "run-recursive",
        &goal,
        "--tokens",
        "1000000",
        "--planner-pool",
        "codex",
        "--approve-plan",
        "never",
    ];
    let output = hub.cli(&words);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    let out = String::from_utf8_lossy(&output.stdout);
    // The stub repeats a prompt without a directive: the answer of one agent was in the prompt of the next.
    assert!(
        out.starts_with("STUB") && out.contains("Sum: STUB") && out.contains("List three"),
        "{out}"
    );
    let listed = client.call("list", json!({"type": "plan"}));
    let runs: Vec<(&Value, &Value)> = listed["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| (&task["status"], &task["type"]))
        .collect();
    assert_eq!(
        runs,
        vec![(&json!("done"), &json!("plan")); 4],
        "the first run, this one, and two below it"
    );
    assert_eq!(world.asked().len(), 9 + 4);
    world.nothing_is_left(hub.pid());
}
