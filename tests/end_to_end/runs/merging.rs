//! A reduce that merges its first groups while its map goes on.

use super::{ended, hub, items, shown, start, step, with_script};
use crate::common::{Client, Hub, Setup, until, word};
use crate::people::kit::said;
use serde_json::{Value, json};
use std::fs;

/// A hub with two pools. Of the pool `script` runs with `late` wait for the file `go`, and those with `bad` fail without the file `good`.
fn holding() -> Setup {
    let setup = hub(2).set("lease.session_grace=500ms");
    let home = setup.directory.path().canonicalize().unwrap();
    let script = format!(
        "prompt=$(cat)
case \"$prompt\" in
*late*) while [ ! -e {0}/go ]; do sleep 0.05; done;;
*bad*) [ -e {0}/good ] || {{ echo broken >&2; exit 3; }};;
esac
printf '%s' \"$prompt\"
",
        home.display()
    );
    with_script(setup, &script).set("pool.script.size=4")
}

fn touch(hub: &Hub, file: &str) {
    fs::write(hub.setup.directory.path().join(file), "").unwrap();
}

/// A map and a reduce: of 20 items 7 groups, then 3, then 1. The first groups have 2, 3, 3 and 3 items.
fn plan(map: &str, prompt: &str, reduce: &str) -> String {
    format!(
        "
inputs: {{ list: {{ type: list }} }}
pipeline:
  - {{ id: m, map: {{ over: inputs.list{map} }}, pool: script, {prompt} }}
  - id: r
    reduce: {{ of: m, arity: 3{reduce} }}
    pool: echo
    prompt: '{{% for r in results %}}{{{{ r.result }}}};{{% endfor %}}'
"
    )
}

const ONE_EACH: &str = "prompt: '{{ item }}'";

/// 20 items of which those at the positions 10 and 11 are late; `others` take the places of some.
fn list(others: &[(usize, &str)]) -> Value {
    let mut list: Vec<String> = (0..20)
        .map(|n| match n {
            10 | 11 => format!("late{n}"),
            _ => format!("a{n}"),
        })
        .collect();
    for (at, name) in others {
        list[*at] = (*name).to_owned();
    }
    json!({"inputs": {"list": list}})
}

/// A step that has begun.
fn begun<'a>(run: &'a Value, path: &str) -> Option<&'a Value> {
    let mut steps = run["steps"].as_array()?.iter();
    steps.find(|step| step["path"] == path)
}

/// Waits until the groups before the late items are merged: three of them.
fn three_merged(client: &mut Client, run: i64) -> Value {
    until("the first groups are merged", || {
        let run = shown(client, run);
        let merge = begun(&run, "r")?;
        (merge["done"] == 3 && merge["open"] == 0).then_some(run)
    })
}

/// The parts of a result, sorted.
fn sorted(result: &Value) -> Vec<String> {
    let parts = result.as_str().unwrap().split(';');
    let mut parts: Vec<String> = parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    parts.sort();
    parts
}

/// The names of a list with the metadata of a run, each as often as it is there, without some.
fn expected(metadata: &Value, without: &str) -> Vec<String> {
    let list = metadata["inputs"]["list"].as_array().unwrap();
    let names = list.iter().map(|name| name.as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.filter(|name| name != without).collect();
    names.sort();
    names
}

#[test]
fn the_first_groups_are_merged_while_late_items_run_also_over_a_kill() {
    for (map, prompt, reduce, joined) in [
        ("", ONE_EACH, "", 1),
        (
            ", batch: 2",
            "prompt: '{{ items | join }}'",
            ", order: done",
            2,
        ),
        (
            ", batch: 2",
            "result: { each: true }, prompt: '{{ items | tojson }}'",
            "",
            1,
        ),
    ] {
        let mut hub = holding().start();
        hub.setup.port = hub.port;
        let mut client = hub.client();
        let metadata = list(&[]);
        let run = start(&mut client, &plan(map, prompt, reduce), metadata.clone());
        let now = three_merged(&mut client, run);
        let (m, r) = (step(&now, "m"), step(&now, "r"));
        assert_eq!(m["state"], "open");
        assert!(m["done"].as_i64() <= Some(18), "{m}");
        let counts = (&r["state"], &r["made"], &r["total"]);
        assert_eq!(counts, (&json!("open"), &json!(3), &json!(11)));
        let merged = items(&mut client, run, "r");
        assert_eq!(merged.len(), 3);
        if joined == 1 {
            assert_eq!(merged[1]["result"], "a2;a3;a4;");
        } else {
            // The result of a batch is that of its first item.
            assert_eq!(sorted(&merged[1]["result"]), ["a2a3", "a4a5"]);
        }
        let shown = said(&hub, &["run", "show", &run.to_string()]);
        assert!(shown.contains("3 of 11 done"), "{shown}");

        hub = hub.kill().start();
        client = hub.client();
        touch(&hub, "go");
        let run = ended(&mut client, run);
        assert_eq!(run["state"], "done", "{run:#}");
        let names = expected(&metadata, "");
        if joined == 1 {
            assert_eq!(sorted(&run["result"]), names);
            assert_eq!(run["made"], 20 / (1 + i64::from(!map.is_empty())) + 11);
        } else {
            let result = sorted(&run["result"]);
            assert_eq!(result.len(), 10, "{result:?}");
            let text = result.concat();
            assert!(names.iter().all(|name| text.contains(name)), "{result:?}");
        }
    }
}

#[test]
fn an_item_that_is_repeated_and_another_plan_begin_the_reduce_anew() {
    let hub = holding().start();
    let mut client = hub.client();
    let metadata = list(&[(3, "bad3")]);
    let text = plan(", tolerate: 50%, key: '{{ item }}'", ONE_EACH, "");
    let run = start(&mut client, &text, metadata.clone());
    let first = three_merged(&mut client, run);
    assert_eq!(step(&first, "m")["failed"], 1);
    let merged = items(&mut client, run, "r");
    assert_eq!(merged[1]["result"], "a2;a4;");
    // Alone its result would be in no group.
    let failed = items(&mut client, run, "m")[3]["task_id"].clone();
    let refused = client.refused("retry", json!({"task_id": failed}));
    assert_eq!(word(&refused), "wrong_state");
    let says = refused["message"].as_str().unwrap();
    assert!(
        says.contains(&format!("`kirosu run retry {run} --step m`")),
        "{says}"
    );

    touch(&hub, "good");
    let retry = json!({"task_id": run, "step": "m", "item": "bad3"});
    client.call("run_retry", retry);
    until("the group is merged again, with the item", || {
        let now = three_merged(&mut client, run);
        let merged = items(&mut client, run, "r");
        (step(&now, "m")["failed"] == 0 && merged[1]["result"] == "a2;bad3;a4;").then_some(())
    });

    let other = text.replace("prompt: '{%", "prompt: 'x;{%");
    assert_ne!(other, text);
    client.call(
        "run_resume",
        json!({"task_id": run, "plan": {"text": other}}),
    );
    until("it is merged by the other plan", || {
        let merged = items(&mut client, run, "r");
        (merged.len() == 3 && merged[1]["result"] == "x;a2;bad3;a4;").then_some(())
    });
    assert_eq!(step(&shown(&mut client, run), "m")["generation"], 1);

    client.call("run_pause", json!({"task_id": run}));
    touch(&hub, "go");
    until("what ran has ended", || {
        let now = shown(&mut client, run);
        let mut steps = now["steps"].as_array()?.iter();
        steps.all(|step| step["open"] == 0).then_some(())
    });
    client.call("run_resume", json!({"task_id": run}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
    let mut result = sorted(&run["result"]);
    result.retain(|part| part != "x");
    assert_eq!(result, expected(&metadata, ""));
}

#[test]
fn a_map_that_fails_after_groups_were_merged_omits_the_reduce_until_a_retry() {
    let hub = holding().start();
    let mut client = hub.client();
    let metadata = list(&[(11, "bad11")]);
    let run = start(&mut client, &plan("", ONE_EACH, ""), metadata.clone());
    // Its item fails while that before it is late.
    let end = |client: &mut Client| {
        until("the item has failed", || {
            (begun(&shown(client, run), "m")?["failed"] == 1).then_some(())
        });
    };
    end(&mut client);
    touch(&hub, "go");
    let failed = ended(&mut client, run);
    assert_eq!(failed["state"], "failed", "{failed:#}");
    let r = step(&failed, "r");
    let says = (&r["state"], &r["reason"]);
    let reason = json!("it needs the step m, which is failed");
    assert_eq!(says, (&json!("omitted"), &reason));
    touch(&hub, "good");
    client.call("run_retry", json!({"task_id": run}));
    let done = until("the run is done", || {
        let run = shown(&mut client, run);
        (run["state"] == "done").then_some(run)
    });
    assert_eq!(sorted(&done["result"]), expected(&metadata, ""));
}

#[test]
fn a_map_that_may_fail_gives_each_of_its_items_once() {
    let hub = holding().start();
    let mut client = hub.client();
    let mut names = list(&[(11, "bad11")]);
    // Further ones that do not begin.
    let all = names["inputs"]["list"].as_array_mut().unwrap();
    all.extend((20..60).map(|n| json!(format!("late{n}"))));
    let text = plan("", ONE_EACH, "").replace("{ id: m,", "{ id: m, may_fail: true,");
    let run = start(&mut client, &text, names.clone());
    let first = until("the item has failed, and groups are merged", || {
        let run = shown(&mut client, run);
        let (m, r) = (begun(&run, "m")?, begun(&run, "r")?);
        (m["failed"] == 1 && r["open"] == 0).then(|| run.clone())
    });
    let total = step(&first, "r")["total"].clone();
    touch(&hub, "go");
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "partial", "{run:#}");
    let (m, r) = (step(&run, "m"), step(&run, "r"));
    assert_eq!(
        (&m["state"], &r["state"]),
        (&json!("failed"), &json!("done"))
    );
    assert_eq!(r["total"], total);
    let made = m["made"].as_u64().unwrap() as usize;
    assert!(made < 60, "{m}");
    names["inputs"]["list"]
        .as_array_mut()
        .unwrap()
        .truncate(made);
    assert_eq!(sorted(&run["result"]), expected(&names, "bad11"));
}
