//! Many items, many runs, and hubs that are killed on the way.

use super::{ended, hub, items, shown, start, step};
use crate::common::{until, until_within};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const PLAN: &str = "
inputs: { list: { type: list } }
limits: { items: 100000, tasks: 200000 }
pipeline:
  - { id: m, map: { over: inputs.list, key: '{{ item }}' }, prompt: 'n{{ item }};' }
  - id: r
    reduce: { of: m, arity: 40 }
    prompt: '{% for r in results %}{{ r.result }}{% endfor %}'
";

#[test]
fn three_kills_of_the_hub_lose_no_item_and_repeat_none() {
    const ITEMS: usize = 600;
    let mut hub = hub(4).start();
    hub.setup.port = hub.port;
    let mut client = hub.client();
    let list: Vec<usize> = (0..ITEMS).collect();
    let run = start(&mut client, PLAN, json!({"inputs": {"list": list}}));
    for kill in [100, 250, 450] {
        until_within(Duration::from_secs(60), "more items are done", || {
            let run = shown(&mut client, run);
            (run["steps"][0]["done"].as_i64() >= Some(kill)).then_some(())
        });
        hub = hub.kill().start();
        client = hub.client();
    }
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
    let id = run["task_id"].as_i64().unwrap();
    let result = client.task(id)["result"].as_str().unwrap().to_owned();
    let numbers: Vec<&str> = result.split(';').filter(|text| !text.is_empty()).collect();
    let distinct: BTreeSet<&str> = numbers.iter().copied().collect();
    assert_eq!(
        (numbers.len(), distinct.len()),
        (ITEMS, ITEMS),
        "each item once"
    );
    // 600 items, then 15 tasks and 1.
    assert_eq!(run["made"], ITEMS + 15 + 1);
    let stats = client.call("list", json!({"limit": 1}))["stats"].clone();
    assert_eq!(
        (&stats["queued"], &stats["leased"]),
        (&json!(0), &json!(0)),
        "nothing runs after the end"
    );
    assert_eq!(items(&mut client, id, "m").len(), ITEMS);
}

#[test]
fn a_large_map_is_never_a_large_queue_and_small_runs_do_not_wait_for_it() {
    let hub = hub(4).start();
    let mut client = hub.client();
    let list: Vec<usize> = (0..3000).collect();
    let large = start(&mut client, PLAN, json!({"inputs": {"list": list}}));
    until("it is under way", || {
        (shown(&mut client, large)["steps"][0]["done"].as_i64() > Some(20)).then_some(())
    });
    let small = start(&mut client, PLAN, json!({"inputs": {"list": [1, 2, 3]}}));
    let mut most = 0;
    let small = until_within(Duration::from_secs(60), "the small run is done", || {
        let listed = client.call("list", json!({"limit": 1}));
        most = most.max(listed["stats"]["queued"].as_i64().unwrap());
        let small = shown(&mut client, small);
        (small["state"] == "done").then_some(small)
    });
    let large = shown(&mut client, large);
    assert_eq!(
        large["state"], "open",
        "the large run is not over: {large:#}"
    );
    assert!(step(&large, "m")["done"].as_i64() < Some(2900), "{large:#}");
    assert!(most < 50, "{most} tasks in the queue");
    assert_eq!(small["result"], "n1;n2;n3;");
}

#[test]
fn items_of_a_source_are_stored_in_pieces_and_read_in_order() {
    let hub = hub(4).start();
    let mut client = hub.client();
    let mut source = serde_json::Value::Null;
    for piece in 0..5 {
        let items: Vec<_> = (0..50)
            .map(|n| json!({"path": format!("f{}", piece * 50 + n), "text": "t"}))
            .collect();
        let mut params = json!({"items": items, "first": piece * 50});
        if !source.is_null() {
            params["source_id"] = source;
        }
        let stored = client.call("source", params);
        assert_eq!(stored["items"], (piece + 1) * 50);
        source = stored["source_id"].clone();
    }
    let plan = "
pipeline:
  - { id: m, map: { over: { files: 'any' } }, prompt: '{{ item.path }} {{ item.text }}' }
";
    let run = start(&mut client, plan, json!({"sources": {"m": source}}));
    let run = ended(&mut client, run);
    assert_eq!(run["state"], "done", "{run:#}");
    let all = items(&mut client, run["task_id"].as_i64().unwrap(), "m");
    assert_eq!(all.len(), 250);
    assert_eq!(
        (&all[249]["key"], &all[249]["result"]),
        (&json!("f249"), &json!("f249 t"))
    );
}
