//! The hub ends as by `kill -9` before and after each command of the conductor, and the run goes on as if nothing had happened.

use super::{ended, hub, items, shown, start};
use crate::common::{Client, Hub, Setup, until_within};
use kirosu_store::PlanChange;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Has every kind of change: a failed item, a race with a loser, a loop, a budget that is used up, a run that is partial, and a retry.
const PLAN: &str = r#"
limits: { usd: 5 }
pipeline:
  - id: m
    map: { over: [a, b, c, d, e, f, bad], tolerate: 50%, key: '{{ item }}' }
    prompt: '{{ item }};'
    accept: { regex: '^.;$' }
    max_attempts: 3
    retry: { initial: 10ms }
  - id: r
    reduce: { of: m, arity: 3 }
    prompt: '{% for r in results %}{{ r.result }}{% endfor %}'
  - id: race
    race:
      - { id: one, prompt: one }
      - { id: two, pool: absent, prompt: two }
  - id: l
    loop: { max: 2, on_max: done, until: 'false' }
    steps: [{ id: in, prompt: 'pass' }]
  - { id: wait, map: { over: [1, 2], sample: 1, ask: true }, prompt: '{{ item }}' }
  - id: paid
    depends_on: [r, race, l, wait]
    map: { over: [1, 2], concurrency: 1 }
    pool: paid
    prompt: 'echo "{\"usd\": 6.0, \"text\": \"paid\", \"end\": true}"'
"#;

/// A pool whose runs are shell scripts that report their cost.
fn with_paid(setup: Setup) -> Setup {
    let output = r#"{ format = "jsonl", text = { value = "/text" }, usage = { cost = "/usd" }, done = { match = { "/end" = true } } }"#;
    setup
        .set("providers.paid.kind=command")
        .set("providers.paid.command=[\"sh\"]")
        .set(&format!("providers.paid.output={output}"))
        .set("pool.paid.provider=paid")
        .set("pool.paid.queues=[\"paid\"]")
        .set("pool.paid.size=1")
}

fn points() -> Vec<String> {
    let commands = PlanChange::NAMES.iter().copied().chain(["take", "ack"]);
    commands
        .flat_map(|name| [format!("before {name}"), format!("after {name}")])
        .collect()
}

/// Carries out what the test does with a run, whatever has been done of it: it may be called again after each crash.
fn steer(client: &mut Client, run: i64, pauses: &mut u32) -> Option<bool> {
    let answer = client.try_call("run", json!({"task_id": run}))?;
    let state = answer["result"]["state"].as_str()?.to_owned();
    let generation = answer["result"]["steps"][0]["generation"]
        .as_i64()
        .unwrap_or(0);
    let steps = answer["result"]["steps"].as_array()?;
    let has_extra = steps.iter().any(|step| step["path"] == "extra");
    match state.as_str() {
        // Tasks that have not begun are taken back by a pause, and made again.
        "open" if generation == 0 && *pauses > 0 => {
            *pauses -= 1;
            client.try_call("run_pause", json!({"task_id": run}))?;
            Some(false)
        }
        "waiting" if answer["result"]["reason"].as_str()?.starts_with("budget") => {
            let raise = json!({"task_id": run, "raise": {"usd": 100.0}});
            client.try_call("approve", raise)?;
            Some(false)
        }
        "waiting" | "paused" => {
            client.try_call("run_resume", json!({"task_id": run}))?;
            Some(false)
        }
        "partial" if generation == 0 => {
            client.try_call("run_retry", json!({"task_id": run}))?;
            Some(false)
        }
        "partial" if !has_extra => {
            let text = format!("{PLAN}  - {{ id: extra, prompt: extra }}\n");
            let plan = json!({"task_id": run, "plan": {"text": text}});
            client.try_call("run_resume", plan)?;
            Some(false)
        }
        "partial" => Some(true),
        _ => Some(false),
    }
}

/// Steers the run until it is over, or the hub is gone.
fn steered(hub: &mut Hub, run: i64) -> bool {
    // It may be gone already.
    let Some(mut client) = Client::try_connect(hub.port) else {
        return false;
    };
    let mut pauses = 2;
    until_within(
        Duration::from_secs(60),
        "the run is over, or the hub",
        || match steer(&mut client, run, &mut pauses) {
            Some(true) => Some(true),
            Some(false) => None,
            None => Some(false),
        },
    )
}

fn crash_at(point: &str) {
    let setup = with_paid(hub(2)).set("lease.session_grace=500ms");
    // The run is there before the hub that crashes: also the first command of all can be the point.
    let mut hub = setup.clone().start();
    hub.setup.port = hub.port;
    let mut client = hub.client();
    client.call("pause", json!({}));
    let run = start(&mut client, PLAN, json!({}));
    client.call("resume", json!({"queue": "nothing"}));
    let mut crashing = hub.kill();
    crashing = crashing.environment("KIROSU_TEST_CRASH", point);
    let mut hub = crashing.start();
    if let Some(mut client) = Client::try_connect(hub.port) {
        let _ = client.try_call("resume", json!({}));
    }
    let is_over = steered(&mut hub, run);
    assert!(!is_over, "{point}: the hub did not end there");
    let status = hub.ended();
    assert!(!status.success());
    let mut setup = hub.setup.clone();
    setup
        .environment
        .retain(|(name, _)| name != "KIROSU_TEST_CRASH");
    let mut hub = setup.start();
    let _ = hub.client().try_call("resume", json!({}));
    assert!(steered(&mut hub, run), "{point}");
    let mut client = hub.client();
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "partial", "{point}: {run:#}");
    let id = run["task_id"].as_i64().unwrap();
    let merged = items(&mut client, id, "r");
    let last = merged.last().unwrap()["result"].as_str().unwrap();
    let letters: BTreeSet<&str> = last.split(';').filter(|text| !text.is_empty()).collect();
    assert_eq!((last.len(), letters.len()), (12, 6), "{point}: {last}");
    let keys: BTreeSet<String> = items(&mut client, id, "m")
        .iter()
        .map(|item| item["key"].to_string())
        .collect();
    assert_eq!(keys.len(), 7);
    let shown = shown(&mut client, id);
    // 7 items and one again, and once more with the other plan; the merge each time; two in the race, unless the loser was taken back;
    // two passes; two of the sample; two that cost, each time; the extra step.
    let merges = 3 * merged.len() as i64;
    let loser = &items(&mut client, id, "race.two")[0]["task_id"];
    let racers = 1 + i64::from(!loser.is_null());
    assert_eq!(
        shown["made"].as_i64().unwrap(),
        9 + merges + racers + 2 + 2 + 3 * 2 + 1,
        "{point}: {shown:#}"
    );
}

#[test]
fn a_run_survives_a_crash_before_and_after_each_command() {
    let points = points();
    assert!(points.len() >= 20, "{points:?}");
    std::thread::scope(|scope| {
        for group in points.chunks(points.len().div_ceil(3)) {
            scope.spawn(move || group.iter().for_each(|point| crash_at(point)));
        }
    });
}
