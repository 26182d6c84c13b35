//! Runs of plans and schedules over REST.

use crate::common::http::{Answer, get, post, with};
use crate::common::process::{address, setup};
use crate::common::until;
use serde_json::{Value, json};

const COLOURS: &str = "
inputs: { verb: { default: Say } }
pipeline:
  - { id: say, map: { over: { jsonl: colours.jsonl } }, pool: p, prompt: '{{ inputs.verb }} {{ item.name }}' }
  - { id: all, reduce: { of: say, into: json } }
";
/// A plan that waits for a person.
const WAITS: &str = "pipeline: [{id: ok, approve: {prompt: 'Go on?'}}]";

fn started(at: &str, run: &Value) -> Value {
    post(at, "/runs", &run.to_string()).json()["task_id"].clone()
}

fn until_state(at: &str, run: &Value, state: &str) -> Value {
    until(&format!("the run is {state}"), || {
        let run = get(at, &format!("/runs/{run}")).json();
        (run["state"] == state).then_some(run)
    })
}

/// The status of a refusal with the name of its code.
fn refused(answer: Answer) -> (u16, Value) {
    answer.sentence();
    (
        answer.status,
        answer.json()["error"]["data"]["code"].clone(),
    )
}

#[test]
fn a_run_is_started_with_items_and_inputs_and_its_results_are_read() {
    let hub = setup().start();
    let at = address(&hub);
    let first = post(
        &at,
        "/sources",
        "{\"name\": \"red\"}\n\n{\"name\": \"blue\"}\n",
    );
    assert_eq!(first.json(), json!({"source_id": 1, "items": 2}));
    let more = post(&at, "/sources?source_id=1&first=2", "{\"name\": \"green\"}");
    assert_eq!(more.json(), json!({"source_id": 1, "items": 3}));
    let start = json!({
        "plan": COLOURS, "inputs": {"verb": "Paint"}, "sources": {"say": 1}, "name": "colours", "labels": ["l"],
        "idempotency_key": "once",
    });
    let run = started(&at, &start);
    assert_eq!(started(&at, &start), run, "the key makes it one run");
    let waited = get(&at, &format!("/tasks/{run}/wait?seconds=30")).json();
    assert_eq!(waited["task"]["labels"], json!(["l"]));
    let done = until_state(&at, &run, "done");
    assert_eq!(
        (&done["name"], &done["steps"][0]["done"]),
        (&json!("colours"), &json!(3))
    );
    let with_plan = get(&at, &format!("/runs/{run}?with_plan=true")).json();
    assert_eq!(with_plan["plan_text"]["text"], COLOURS);
    let items = format!("/runs/{run}/items?step=say&state=done&limit=2&results=true");
    let page = get(&at, &items).json();
    assert_eq!(page["items"][1]["result"], "Paint blue");
    let next = page["next"].as_str().expect("more");
    let rest = get(&at, &format!("{items}&cursor={next}")).json();
    assert_eq!(
        (&rest["items"][0]["key"], &rest["next"]),
        (&json!("#3"), &Value::Null)
    );

    let again = post(
        &at,
        &format!("/runs/{run}/retry"),
        r##"{"step": "say", "item": "#2"}"##,
    );
    assert_eq!(again.json(), json!({"ok": true}));
    until_state(&at, &run, "done");
    let other = started(
        &at,
        &json!({"plan": {"pipeline": [{"id": "a", "prompt": "p", "pool": "p"}]}}),
    );
    until_state(&at, &other, "done");
    let listed = get(&at, "/runs?state=done&limit=1").json();
    assert_eq!(listed["runs"][0]["task_id"], other);
    let listed = get(&at, &format!("/runs?before={}", listed["next"])).json();
    let listed = listed["runs"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    let expected = json!([run, "done", 3, 0, 2]);
    let found = ["task_id", "state", "done", "failed", "steps"].map(|field| &listed[0][field]);
    assert_eq!(json!(found), expected);
    assert_eq!(get(&at, "/runs?state=failed").json(), json!({"runs": []}));
}

#[test]
fn a_run_is_paused_resumed_and_cancelled_and_other_tasks_are_not_touched() {
    let hub = setup().start();
    let at = address(&hub);
    let run = started(&at, &json!({"plan": WAITS}));
    let act = |run: &Value, act: &str, body: &str| post(&at, &format!("/runs/{run}/{act}"), body);
    let open = |state: &str| until_state(&at, &run, state);
    until("the question is asked", || {
        let run = get(&at, &format!("/runs/{run}")).json();
        run["steps"][0]["task_id"].is_i64().then_some(())
    });
    assert_eq!(act(&run, "pause", "").json(), json!({"ok": true}));
    open("paused");
    assert_eq!(
        get(&at, "/runs?state=paused").json()["runs"][0]["task_id"],
        run
    );
    assert_eq!(act(&run, "resume", "").status, 200);
    until("it is not paused", || {
        let state = get(&at, &format!("/runs/{run}")).json()["state"].clone();
        (state != "paused").then_some(())
    });
    assert_eq!(
        act(&run, "cancel", r#"{"reason": "wrong plan"}"#).json(),
        json!({"ok": true})
    );
    let cancelled = open("cancelled");
    assert_eq!(cancelled["error"], "cancelled: wrong plan");
    assert_eq!(refused(act(&run, "pause", "")), (409, json!("wrong_state")));

    let task = post(&at, "/tasks", r#"{"prompt": "?", "type": "human"}"#).json()["task_id"].clone();
    for action in ["cancel", "pause", "retry"] {
        assert_eq!(
            refused(act(&task, action, "")),
            (409, json!("wrong_state")),
            "{action}"
        );
    }
    assert_eq!(
        get(&at, &format!("/tasks/{task}")).json()["task"]["status"],
        "queued"
    );
    assert_eq!(
        refused(get(&at, &format!("/runs/{task}"))),
        (409, json!("wrong_state"))
    );
    assert_eq!(
        refused(act(&json!(99), "cancel", "")),
        (404, json!("unknown_task"))
    );
}

#[test]
fn a_run_or_source_with_a_fault_is_refused_with_its_place() {
    let hub = setup().start();
    let at = address(&hub);
    let broken = post(&at, "/sources", "1\n\n{\n");
    assert_eq!(broken.status, 400);
    assert!(
        broken.sentence().contains("line 3 of the body is not JSON"),
        "{broken:?}"
    );
    assert_eq!(
        refused(post(&at, "/sources", "\n")),
        (422, json!("invalid_params"))
    );
    let gap = post(&at, "/sources?source_id=1&first=9", "1");
    assert_eq!(gap.status, 409, "{gap:?}");
    for (body, code) in [
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        (r#"{"plan": "p", "inputs": 1}"#, 422),
    ] {
        assert_eq!(post(&at, "/runs", body).status, code, "{body}");
    }
    assert_eq!(get(&at, "/runs?state=odd").status, 422);
    assert_eq!(with(&at, "PUT", "/runs", "", "").status, 405);
    let run = started(&at, &json!({"plan": "pipeline: [{id: a, promt: x}]"}));
    let failed = until_state(&at, &run, "failed");
    assert!(
        failed["error"].as_str().unwrap().contains("promt"),
        "{failed}"
    );
}

#[test]
fn a_schedule_is_added_paused_run_and_removed() {
    let hub = setup().start();
    let at = address(&hub);
    let new =
        json!({"name": "nightly", "cron": "0 3 * * *", "task": {"type": "plan", "prompt": WAITS}});
    let added = post(&at, "/schedules", &new.to_string()).json();
    assert!(added["next_at"].is_f64(), "{added}");
    let one = || get(&at, "/schedules").json()["schedules"][0].clone();
    assert_eq!(
        (&one()["name"], &one()["type"]),
        (&json!("nightly"), &json!("plan"))
    );
    assert_eq!(
        post(&at, "/schedules/nightly/pause", "").json(),
        json!({"ok": true})
    );
    assert_eq!(one()["paused"], true);
    assert_eq!(
        post(&at, "/schedules/nightly/resume", "").json(),
        json!({"ok": true})
    );
    assert_eq!(one()["paused"], false);
    let run = post(&at, "/schedules/nightly/run", "").json()["task_id"].clone();
    assert_eq!(one()["last_task"], run);
    let listed = get(&at, "/runs").json();
    assert_eq!(listed["runs"][0]["task_id"], run);
    let changed = json!({"name": "nightly", "every_seconds": 60, "task": {"prompt": "p"}});
    assert_eq!(
        refused(post(&at, "/schedules", &changed.to_string())).0,
        409
    );
    let wrong = json!({"name": "x", "cron": "nonsense", "task": {"prompt": "p"}});
    assert_eq!(refused(post(&at, "/schedules", &wrong.to_string())).0, 422);
    let remove = || with(&at, "DELETE", "/schedules/nightly", "", "");
    assert_eq!(remove().json(), json!({"ok": true}));
    assert_eq!(refused(remove()), (404, json!("not_found")));
    assert_eq!(refused(post(&at, "/schedules/nightly/run", "")).0, 404);
}
