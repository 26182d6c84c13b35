//! Plans without faults.

use super::{EXAMPLE, yaml};
use crate::{Batch, Effects, ItemSource, Over, Plan, PlanFormat, Tolerance, Work, compile, schema};
use serde_json::json;

#[test]
fn the_example_compiles() {
    let plan = yaml(EXAMPLE);
    assert_eq!(plan.name.as_deref(), Some("review-docs"));
    assert_eq!(plan.limits.deadline_ms, Some(21_600_000));
    assert_eq!(
        (plan.limits.items, plan.limits.max_insert_bytes),
        (10_000, 65_536)
    );
    let Work::Map(map) = &plan.pipeline[0].work else {
        panic!("{:?}", plan.pipeline[0]);
    };
    let glob = "{{ inputs.dir }}/**/*.md".to_owned();
    assert_eq!(map.over, Over::Source(ItemSource::Files(glob)));
    assert_eq!(
        (map.batch, map.sample, map.breaker),
        (Batch::Items(1), Some(3), 5)
    );
    assert_eq!(map.tolerate, Tolerance::Percent { percent: 2.0 });
    // The step that is reduced is a dependency.
    assert_eq!(plan.pipeline[1].depends_on, ["read"]);
    let Work::Loop(repeated) = &plan.pipeline[2].work else {
        panic!("{:?}", plan.pipeline[2]);
    };
    assert_eq!((repeated.max, repeated.steps.len()), (4, 2));
    assert_eq!(plan.pipeline[4].effects, Effects::Once);
}

#[test]
fn a_compiled_plan_is_read_again_from_its_text() {
    let plan = yaml(EXAMPLE);
    let again: Plan = serde_json::from_str(&plan.canonical()).unwrap();
    assert_eq!(again, plan);
    assert_eq!(again.hash(), plan.hash());
    assert_eq!(plan.hash().len(), 64);
}

#[test]
fn equal_plans_have_equal_hashes_in_all_formats() {
    let by_yaml = yaml(
        "name: two\nlimits: {usd: 1.5}\nsteps:\n- {id: a, module: agents.fast, timeout: 90s, prompt: hi}\n- id: b\n  needs: a\n  prompt: '{{ steps.a.result }}'\n",
    );
    let by_json = yaml(
        r#"{"pipeline": [{"prompt": "hi", "timeout": "1m 30s", "id": "a", "module": "fast"},
            {"id": "b", "depends_on": ["a"], "prompt": "{{ steps.a.result }}", "priority": 0}],
            "limits": {"usd": 1.5, "depth": 3}, "name": "two"}"#,
    );
    let by_toml = "name = 'two'\n[limits]\nusd = 1.5\n[[pipeline]]\nid = 'a'\nmodule = 'fast'\ntimeout = '90s'\nprompt = 'hi'\n\
                   [[pipeline]]\nid = 'b'\nneeds = ['a']\nprompt = '{{ steps.a.result }}'\n";
    let by_toml = compile(by_toml, PlanFormat::Toml).unwrap();
    assert_eq!(by_yaml.canonical(), by_json.canonical());
    assert_eq!(by_yaml.hash(), by_toml.hash());
    let other = yaml("name: two\nsteps: [{id: a, prompt: hi}]");
    assert_ne!(by_yaml.hash(), other.hash());
}

/// The form that the planner of the original writes.
const PLANNER: &str = "\
pipeline:
  - id: step_1
    module: agents.general_worker
    config:
      prompt: \"Find the parts\"
  - id: step_2
    module: agents.coder
    depends_on: [step_1]
    config:
      prompt: \"Write: {{ steps.step_1.result }}\"
";

#[test]
fn the_answer_of_the_original_planner_is_a_plan() {
    let plain = yaml(PLANNER);
    assert_eq!(plain.pipeline[0].module.as_deref(), Some("general_worker"));
    assert_eq!(
        plain.pipeline[1].prompt.as_deref(),
        Some("Write: {{ steps.step_1.result }}")
    );
    for text in [
        format!("```yaml\n{PLANNER}```"),
        format!("```\n{PLANNER}```\n"),
        format!("```yaml\n{PLANNER}"),
        format!(
            "Here is the plan:\n\n```yml\n{PLANNER}```\nIt has two steps: é, ü.\n```sh\nls\n```\n"
        ),
    ] {
        assert_eq!(yaml(&text), plain, "{text}");
    }
}

#[test]
fn every_kind_and_field_compiles() {
    let plan = yaml(
        "inputs:\n  n: {type: integer, default: 3, enum: [3, 4]}\n  who: {required: true, description: a name}\n\
         limits: {tokens: 5, passes: 10, pools: [fast, slow], max_insert: 8k}\nweight: 2\npipeline:\n\
         - {id: list, prompt: x, result: {schema: {type: array}}, effects: none, cache: {ttl: 1d, scope: hub}}\n\
         - {id: each, needs: list, map: {over: steps.list.json, batch: {bytes: 60k}, tolerate: 3, stop: cancel, breaker: 9, concurrency: 4, sample: 2, ask: true}, result: each, prompt: '{{ items | tojson }}'}\n\
         - {id: lines, map: {over: {stdin: lines}, key: '{{ item }}'}, prompt: '{{ item }}', pool: fast}\n\
         - {id: join, reduce: {of: each, into: jsonl, order: done, may_be_empty: false}}\n\
         - {id: fast, race: [{id: r1, prompt: a, effects: none}, {id: r2, prompt: b, pool: slow}]}\n\
         - {id: pick, vote: {n: 5, by: judge, key: verdict, judge: {prompt: '{% for r in results %}{{ r.result | cut(9) }}{% endfor %}', pool: slow}}, prompt: p, fence: true}\n\
         - {id: ask, approve: {prompt: 'Go on, {{ inputs.who }}?', form: {type: object}}}\n\
         - {id: sh, run: ['make x'], shell: true, workdir: sub, accept: {file: out.txt, command: [make, test], timeout_seconds: 5}}\n\
         - {id: sub, pipeline: other, inputs: {n: '{{ inputs.n }}', deep: {a: 1}}, may_fail: true}\n\
         - {id: think, plan: {goal: g, pool: slow, ask: false, tries: 2}, needs: [sub]}\n\
         - {id: again, loop: {score: steps.w.json.score, until: 'steps.w.json.score > 8', on_max: done}, steps: [{id: w, prompt: '{{ best.w.result or 1 }}', max_attempts: 3, retry: {initial: 1s, max: 2m, factor: 3}, labels: [a], priority: -5}]}\n",
    );
    let kinds: Vec<&str> = plan.pipeline.iter().map(|step| step.work.name()).collect();
    assert_eq!(
        kinds,
        [
            "task", "map", "map", "reduce", "race", "vote", "approve", "run", "pipeline", "plan",
            "loop"
        ]
    );
    let Work::Loop(work) = &plan.pipeline[10].work else {
        panic!("{:?}", plan.pipeline[10]);
    };
    // Results are marked for planners and judges.
    assert!(plan.pipeline[9].fence && !plan.pipeline[0].fence);
    // `limits.passes` is the `max` of a loop without one.
    assert_eq!(work.max, 10);
    assert_eq!(plan.limits.max_insert_bytes, 8192);
    let again: Plan = serde_json::from_str(&plan.canonical()).unwrap();
    assert_eq!(again, plan);
}

#[test]
fn the_schema_accepts_plans_and_refuses_unknown_fields() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for text in [EXAMPLE, PLANNER] {
        let value = crate::yaml::read(text).unwrap().to_json();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    for wrong in [
        json!({"pipeline": [{"id": "a", "promt": "x"}]}),
        json!({"pipeline": [{"id": "a", "prompt": "x", "effects": "twice"}]}),
        json!({"pipeline": [{"prompt": "x"}]}),
        json!({"pipeline": [{"id": "a", "map": {"over": [1], "breaker": 0}, "prompt": "x"}]}),
        json!({"name": "no-steps"}),
        json!({"pipeline": [], "steps": []}),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}
