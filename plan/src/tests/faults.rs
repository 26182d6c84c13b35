//! Faulty plans, each with all its faults.

use super::faults;
use crate::PlanFormat::{self, Toml, Yaml};

#[test]
fn all_faults_are_found_at_once_with_their_positions() {
    for (format, text, expected) in FAULTY {
        assert_eq!(faults(text, *format), *expected, "{text}");
    }
}

#[test]
fn a_fault_is_a_value_for_programs() {
    let faults = crate::compile("pipeline:\n- id: a\n  promt: x\n", Yaml).unwrap_err();
    let value = serde_json::to_value(&faults.0).unwrap();
    let expected = serde_json::json!([{
        "line": 3, "column": 3, "path": "pipeline[0].promt", "message": "unknown field promt", "nearest": "prompt",
    }]);
    assert_eq!(value, expected);
}

#[test]
fn at_most_a_number_of_faults_is_kept() {
    let text = format!("pipeline:\n{}", "- {id: a, promt: x}\n".repeat(900));
    assert_eq!(faults(&text, Yaml).len(), crate::limits::FAULTS_MAX);
}

#[test]
fn the_file_of_a_result_is_for_texts_of_tasks() {
    let plan =
        |step: &str| format!("pipeline:\n- {{id: a, prompt: x}}\n- {{id: b, needs: a, {step}}}\n");
    let named = "'{{ steps.a.file }}'";
    for step in [
        format!("prompt: {named}"),
        format!("prompt: x, system: {named}"),
        format!("config: {{prompt: {named}}}"),
        format!("run: [wc, {named}]"),
        format!("prompt: x, vote: {{by: judge, judge: {{prompt: {named}}}}}"),
        format!("map: {{over: [1]}}, prompt: {named}"),
        format!("reduce: {{of: a}}, prompt: {named}"),
    ] {
        assert!(crate::compile(&plan(&step), Yaml).is_ok(), "{step}");
    }
    let elsewhere = "steps.a.file is for texts of a task: prompt, system, goal and the words of run; use steps.a.result or steps.a.json here";
    for (step, fault) in [
        ("prompt: x, if: steps.a.file".to_owned(), elsewhere),
        (format!("prompt: x, workdir: {named}"), elsewhere),
        (format!("approve: {{prompt: {named}}}"), elsewhere),
        (
            format!("pipeline: other.yaml, inputs: {{x: {named}}}"),
            elsewhere,
        ),
        ("map: {over: steps.a.file}, prompt: x".to_owned(), elsewhere),
        (
            format!("prompt: {named}, effects: none, cache: {{}}"),
            "the step has cache, which does not know what is in steps.a.file; remove one of the two",
        ),
        (
            "prompt: '{{ steps.a.fil }}'".to_owned(),
            "steps.a has no fil; it has state, reason, result, json, file, error, approved, by, empty, counts; did you mean file?",
        ),
    ] {
        let found = faults(&plan(&step), Yaml);
        assert_eq!(found.len(), 1, "{step}: {found:?}");
        assert!(found[0].ends_with(fault), "{step}: {found:?}");
    }
}

const FAULTY: &[(PlanFormat, &str, &[&str])] = &[
    (Toml, "", &["1:1: the field pipeline is missing: the steps"]),
    (
        Toml,
        "a = ",
        &["1:5: this is not valid TOML: string values must be quoted, expected literal string"],
    ),
    (
        Toml,
        "name = 'x'\nname = 'y'",
        &["2:1: this is not valid TOML: duplicate key"],
    ),
    (
        Toml,
        "name = 1\n[limits]\ndepth = 9\n[[pipeline]]\nid = 'a'\nprompt = \"\"\"\né {{ steps.b.result }}\"\"\"\n[[pipeline]]\nid = 'b'\nprompt = 'x'\nretry.max = 3\nneeds = ['c']\n",
        &[
            "1:8: name: \"1\" is not a name: use letters, digits, _ and -, a letter or _ first, at most 64 characters",
            "3:9: limits.depth: 9 is not from 1 to 8",
            "7:6: pipeline[0].prompt: the step a does not depend on b; add b to its depends_on",
            "11:13: pipeline[1].retry.max: this must be a duration with its unit, such as 90s or 2h, not a number",
            "12:10: pipeline[1].needs[0]: there is no step c",
        ],
    ),
    (Yaml, "", &["1:1: the plan is empty"]),
    (Yaml, "# nothing", &["1:1: the plan is empty"]),
    (Yaml, "- a\n- b", &["1:1: this must be a table, not a list"]),
    (
        Yaml,
        "limits:\n  depth: 2\n\tusd: 1",
        &["2:10: this is not valid YAML: while scanning a plain scalar, found a tab"],
    ),
    (
        Yaml,
        "pipeline:\n- id: a\n  config:\n    promt: x\n    prompt: '{{ inputs.x }}'\n",
        &[
            "4:5: pipeline[0].config.promt: unknown field promt; did you mean prompt?",
            "5:17: pipeline[0].config.prompt: the plan has no input x",
        ],
    ),
    (
        Yaml,
        "foo: 1\npipeline: [{id: a, prompt: x, needs: []}]",
        &[
            "1:1: foo: unknown field foo; known are name, description, inputs, limits, weight, pipeline, steps",
        ],
    ),
    (
        Yaml,
        "pipeline: [",
        &["1:11: this is not valid YAML: unclosed bracket '['"],
    ),
    (Yaml, "a: 1\na: 2", &["2:1: the key a is given twice"]),
    (
        Yaml,
        "pipeline: *x",
        &["1:11: this is not valid YAML: while parsing node, found unknown anchor"],
    ),
    (
        Yaml,
        "a: b\n---\nc: d",
        &["2:1: a plan is one YAML document; this begins a second one"],
    ),
    (
        Yaml,
        "a: \"\\q\"",
        &[
            "1:4: this is not valid YAML: while parsing a quoted scalar, found unknown escape character",
        ],
    ),
    (
        Yaml,
        "pipline: []",
        &["1:1: pipline: unknown field pipline; did you mean pipeline?"],
    ),
    (
        Yaml,
        "name: my plan\npipeline: []",
        &[
            "1:7: name: \"my plan\" is not a name: use letters, digits, _ and -, a letter or _ first, at most 64 characters",
            "2:11: pipeline: this list must not be empty",
        ],
    ),
    (
        Yaml,
        "pipeline:\n- id: a\n  promt: x\n",
        &["3:3: pipeline[0].promt: unknown field promt; did you mean prompt?"],
    ),
    (
        Yaml,
        "steps:\n- id: a\n  prompt: [x]\n  always: yes\n  timeout: 5\n  priority: 5000\n  max_attempts: 0\n  effects: twise\n  labels: x\n",
        &[
            "3:11: steps[0].prompt: this must be a text, not a list",
            "4:11: steps[0].always: this must be true or false, not a text",
            "5:12: steps[0].timeout: this must be a duration with its unit, such as 90s or 2h, not a number",
            "6:13: steps[0].priority: 5000 is not from -1000 to 1000",
            "7:17: steps[0].max_attempts: 0 is not from 1 to 1000",
            "8:12: steps[0].effects: \"twise\" is not none or repeatable or once",
            "9:11: steps[0].labels: this must be a list, each entry a text, not a text",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, prompt: x, depends_on: [], needs: []}]",
        &["1:47: pipeline[0].needs: the same field is given as depends_on already"],
    ),
    (
        Yaml,
        "pipeline: [3, {id: 'a b', prompt: x}, {prompt: y}]",
        &[
            "1:12: pipeline[0]: this must be a table, not a number",
            "1:20: pipeline[1].id: \"a b\" is not a name: use letters, digits, _ and -, a letter or _ first, at most 64 characters",
            "1:39: pipeline[2]: the field id is missing: the step's name in `depends_on` and templates, unique in the plan",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, <<: {prompt: x}}]",
        &[
            "1:12: pipeline[0]: a step of the kind task needs a prompt, or a field that makes it another kind, such as run or map",
            "1:20: pipeline[0].<<: merge keys are not supported; repeat the fields",
        ],
    ),
    (
        Yaml,
        "limits: {depth: 9, steps: 5000, usd: -1, tokens: many, max_insert: 9 MiB, deadline: 400d, taks: 3}\npipeline: [{id: a, prompt: x}]",
        &[
            "1:17: limits.depth: 9 is not from 1 to 8",
            "1:27: limits.steps: 5000 is not from 1 to 1000",
            "1:38: limits.usd: -1 is not from 0 to 1000000000",
            "1:50: limits.tokens: this must be a whole number from 1 to 1000000000000000, not a text",
            "1:68: limits.max_insert: \"9 MiB\" is not from 1 B to 8 MiB",
            "1:85: limits.deadline: \"400d\" is not from 1ms to 366 days",
            "1:91: limits.taks: unknown field taks; did you mean tasks?",
        ],
    ),
    (
        Yaml,
        "inputs: {a: {type: integer, default: x, enum: [1]}, b: {required: true, default: 1}, c: {typ: text}}\npipeline: [{id: a, prompt: x}]",
        &[
            "1:29: inputs.a.default: the default \"x\" is not of the type integer",
            "1:29: inputs.a.default: the default \"x\" is not one of the allowed values",
            "1:73: inputs.b.default: a required input has no default: remove one of the two",
            "1:90: inputs.c.typ: unknown field typ; did you mean type?",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a}, {id: b, map: {over: [1]}}, {id: c, run: [x], prompt: y, model: m}, {id: d, loop: {}}, {id: e, steps: [{id: f, prompt: x}], prompt: p}]",
        &[
            "1:12: pipeline[0]: a step of the kind task needs a prompt, or a field that makes it another kind, such as run or map",
            "1:21: pipeline[1]: a step of the kind map needs a prompt",
            "1:66: pipeline[2].prompt: prompt has no effect in a step of the kind run",
            "1:77: pipeline[2].model: model has no effect in a step of the kind run",
            "1:88: pipeline[3]: a step of the kind loop needs the field steps",
            "1:115: pipeline[4].steps: steps has no effect in a step of the kind task",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, map: {over: [1]}, run: [x], prompt: y}]",
        &["1:12: pipeline[0]: a step has one kind, and this one has map and run"],
    ),
    (
        Yaml,
        "pipeline: [{id: a, prompt: x, map: {over: {fils: a, lines: b, csv: c}}}, {id: b, prompt: x, map: {}}, {id: c, prompt: x, map: {over: 3, tolerate: 120%, batch: 0}}]",
        &[
            "1:43: pipeline[0].map.over: a source of items has one of files, lines, jsonl, csv, stdin",
            "1:44: pipeline[0].map.over.fils: unknown field fils; did you mean files?",
            "1:98: pipeline[1].map: the field over is missing: the items: a list, a source, or an expression such as steps.read.json",
            "1:134: pipeline[2].map.over: this must be a list, or a table, or an expression, not a number",
            "1:147: pipeline[2].map.tolerate: \"120%\" is not a percentage from 0% to 100%",
            "1:160: pipeline[2].map.batch: 0 is not from 1 to 1000",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, prompt: x, vote: {n: 99, by: judge}}, {id: b, race: [{id: c, prompt: x}]}, {id: d, approve: {prompt: x, on_timeout: deny, form: {type: 7}}}]",
        &[
            "1:31: pipeline[0].vote: by: judge needs the field judge",
            "1:41: pipeline[0].vote.n: 99 is not from 2 to 15",
            "1:66: pipeline[1].race: a race needs at least two steps",
            "1:124: pipeline[2].approve.on_timeout: on_timeout needs a timeout",
            "1:142: pipeline[2].approve.form: `schema` cannot be used: 7 is not valid under any of the schemas listed in the 'anyOf' keyword (at /type)",
        ],
    ),
    (
        Yaml,
        "limits: {passes: 3, items: 1}\npipeline: [{id: a, loop: {max: 9}, steps: [{id: b, prompt: x, always: true}]}, {id: c, map: {over: [1, 2], ask: true}, result: each, prompt: x}]",
        &[
            "2:27: pipeline[0].loop.max: 9 is above limits.passes, which is 3",
            "2:63: pipeline[0].steps[0].always: only a step of the plan itself can run always, not one inside of another step",
            "2:94: pipeline[1].map.over: the map has 2 items, and limits.items is 1",
            "2:108: pipeline[1].map.ask: ask is for a map with sample, which is missing",
            "2:120: pipeline[1].result: each is for a map with batch above 1",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, prompt: x, always: true}, {id: b, prompt: x, depends_on: [a]}, {id: c, prompt: x, depends_on: [a], always: true}]",
        &[
            "1:78: pipeline[1].depends_on[0]: the step a has `always`, so it runs after this one; give this one `always`, too",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, plan: {goal: x}}]",
        &[
            "1:20: pipeline[0].plan: a plan with a planner needs a budget: add limits.tokens or limits.usd",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, prompt: x, effects: once, cache: {}}, {id: b, prompt: x, cache: {}}, {id: c, race: [{id: d, prompt: x, effects: once}, {id: e, prompt: x}]}, {id: f, vote: {}, prompt: x, effects: once}]",
        &[
            "1:46: pipeline[0].cache: a step with effects: once cannot use the cache",
            "1:77: pipeline[1].cache: cache needs effects: none",
            "1:123: pipeline[2].race[0].effects: a step with effects: once cannot take part in a race",
            "1:190: pipeline[3].effects: a vote runs its prompt several times, so its effects cannot be once",
        ],
    ),
    (
        Yaml,
        "limits: {tokens: 9}\npipeline: [{id: a, plan: {goal: x}, effects: none, cache: {}}]",
        &["2:52: pipeline[0].cache: the plan of a planner is made and agreed anew each time"],
    ),
    (
        Yaml,
        "limits: {pools: [coders]}\npipeline: [{id: a, prompt: x, pool: coder}, {id: b, prompt: x, pool: coders, module: y}]",
        &[
            "2:31: pipeline[0].pool: the pool coder is not in limits.pools; did you mean coders?",
            "2:78: pipeline[1].module: pool and module mean the same: remove one of the two",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, prompt: x, accept: {regex: '(', fil: x}, result: {schema: {type: 7}}}, {id: b, prompt: x, accept: {}}]",
        &[
            "1:31: pipeline[0].accept: `regex` cannot be used: unclosed group",
            "1:52: pipeline[0].accept.fil: unknown field fil; did you mean file?",
            "1:70: pipeline[0].result.schema: `schema` cannot be used: 7 is not valid under any of the schemas listed in the 'anyOf' keyword (at /type)",
            "1:110: pipeline[1].accept: `accept` must be an object with one of `file`, `diff`, `regex`, `schema`, `command` (got {})",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, run: [x, y], shell: true}, {id: b, run: ['{{ inputs.x }}'], shell: true}]",
        &["1:20: pipeline[0].run: with shell: true this is a list of one text"],
    ),
    (
        Yaml,
        "pipeline:\n- {id: a, prompt: x, needs: [c]}\n- {id: b, prompt: x, needs: [a]}\n- {id: c, prompt: x, needs: [b]}\n- {id: d, prompt: x, needs: [d, raed]}\n- {id: read, prompt: x}\n- {id: read, prompt: x}\n",
        &[
            "2:22: pipeline[0].needs: these steps depend on each other: a -> c -> b -> a",
            "5:30: pipeline[3].needs[0]: a step cannot depend on itself",
            "5:33: pipeline[3].needs[1]: there is no step raed; did you mean read?",
            "7:4: pipeline[5].id: the id read is that of pipeline[4], too; ids are unique in the whole plan",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, loop: {}, steps: [{id: b, prompt: x, needs: [c]}]}, {id: c, prompt: x, needs: [b]}, {id: r, reduce: {of: aa}, prompt: x}]",
        &[
            "1:65: pipeline[0].steps[0].needs[0]: the step c is outside of this list; the step around it depends on it",
            "1:99: pipeline[1].needs[0]: the step b is inside of another step; depend on that one",
            "1:121: pipeline[2].reduce.of: there is no step aa; did you mean a?",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, race: [{id: b, prompt: x}, {id: c, prompt: x, needs: [b]}]}]",
        &[
            "1:66: pipeline[0].race[1].needs: the steps of a race start together; make the race depend on it",
        ],
    ),
    (
        Yaml,
        "pipeline:\n- {id: a, prompt: x}\n- id: b\n  prompt: |\n    é {{ steps.a.result }}\n    {{ steps.a.result }} {{ stepz.a }}\n- id: c\n  needs: a\n  prompt: \"{{ steps.a.reslt }} {{ steps.aa.json }} {{ steps }}\"\n",
        &[
            "5:10: pipeline[1].prompt: the step b does not depend on a; add a to its depends_on",
            "6:8: pipeline[1].prompt: the step b does not depend on a; add a to its depends_on",
            "6:29: pipeline[1].prompt: stepz is unknown; known are inputs, item, items, results, missing, steps, prev, best, run; did you mean steps?",
            "9:15: pipeline[2].prompt: steps.a has no reslt; it has state, reason, result, json, file, error, approved, by, empty, counts; did you mean result?",
            "9:35: pipeline[2].prompt: there is no step aa; did you mean a?",
            "9:55: pipeline[2].prompt: name the step: steps.ID, or steps[\"ID\"]",
        ],
    ),
    (
        Yaml,
        "inputs: {dir: {}}\npipeline: [{id: a, prompt: '{{ inputs.dri }} {{ item }} {{ prev.a }} {{ results }} {{ run.stat }}', if: '{{ inputs.dir }}'}]",
        &[
            "2:32: pipeline[0].prompt: the plan has no input dri",
            "2:49: pipeline[0].prompt: item is for the templates of a map",
            "2:60: pipeline[0].prompt: prev is for the steps of a loop",
            "2:73: pipeline[0].prompt: results is for the prompt of a reduce or a judge",
            "2:87: pipeline[0].prompt: run has no stat; it has id, plan, name, state, reason, counts; did you mean state?",
            "2:105: pipeline[0].if: this is an expression: write it without {{ }}",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: a, prompt: '{{ x'}, {id: b, prompt: '{% include \"f\" %}'}, {id: c, prompt: '{{ run.id | uper }} {{ rang(3) }} {{ run.id is strng }}'}, {id: d, if: 'run.id ==', prompt: x}]",
        &[
            "1:32: pipeline[0].prompt: this is not a valid template: unexpected end of input, expected end of variable block",
            "1:57: pipeline[1].prompt: this is not a valid template: unknown statement include",
            "1:104: pipeline[2].prompt: there is no filter uper; did you mean upper?",
            "1:115: pipeline[2].prompt: there is no function rang; did you mean range?",
            "1:139: pipeline[2].prompt: there is no test strng; did you mean startingwith?",
            "1:171: pipeline[3].if: this is not a valid expression: unexpected end of input, expected expression",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: m, map: {over: [1], batch: 2, key: '{{ items }}'}, prompt: '{{ item }}'}, {id: l, loop: {until: 'steps.z.json', score: 'steps.w.json'}, steps: [{id: w, prompt: '{{ prev.v.result }} {{ steps.w.result }}'}]}, {id: o, prompt: '{{ steps.w.result }} {{ best.w }}', needs: l}]",
        &[
            "1:56: pipeline[0].map.key: items is for the templates of a map with batch above 1",
            "1:80: pipeline[0].prompt: a map with batch above 1 has items, not item",
            "1:114: pipeline[1].loop.until: there is no step z",
            "1:181: pipeline[1].steps[0].prompt: the loop has no step v",
            "1:201: pipeline[1].steps[0].prompt: the step w names its own result",
            "1:244: pipeline[2].prompt: the step w is inside of l; use the result of l",
            "1:265: pipeline[2].prompt: best is for the steps of a loop",
        ],
    ),
    (
        Yaml,
        "pipeline: [{id: m, map: {over: 'steps.x.json'}, prompt: '{{ items }}'}, {id: x, prompt: x}]",
        &[
            "1:33: pipeline[0].map.over: the step m does not depend on x; add x to its depends_on",
            "1:61: pipeline[0].prompt: items is for the templates of a map with batch above 1",
        ],
    ),
];
