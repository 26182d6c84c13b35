//! Tasks in groups: by label, queue, parent and ranges of ids, over the wire and on the command line.

use crate::common::http;
use crate::common::{Hub, sentence, until, word};
use crate::people::kit::{fed, gateway, kirosu, parts, said};
use serde_json::{Value, json};
use std::fs;

fn ids(list: &Value) -> Vec<i64> {
    let tasks = list["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|it| it["task_id"].as_i64().unwrap())
        .collect()
}

/// Ends the oldest task of a queue.
pub fn end(hub: &Hub, queue: &str, outcome: Value) -> i64 {
    let mut client = hub.client();
    let lease = client.lease(json!({"worker_id": "w", "queues": [queue]}));
    let id = lease["task_id"].as_i64().unwrap();
    let mut ack = json!({"task_id": id, "fence": lease["fence"]});
    for (name, value) in outcome.as_object().unwrap() {
        ack[name] = value.clone();
    }
    client.call("ack", ack);
    id
}

#[test]
fn labels_queues_parents_and_ranges_choose_tasks() {
    let hub = Hub::with(&["gateway.enabled=true", "gateway.port=0"]);
    let mut client = hub.client();
    let mut task = |queue: &str, labels: &[&str], parent: Option<i64>| {
        client.enqueue_with(
            json!({"prompt": "x", "queue": queue, "labels": labels, "parent_id": parent}),
        )
    };
    let one = task("a", &["night"], None);
    let two = task("a", &["night", "docs"], Some(one));
    let three = task("b", &["docs", "docs"], Some(one));
    let four = task("b", &[], None);
    let mut client = hub.client();
    let mut list = |params: Value| ids(&client.call("list", params));
    assert_eq!(list(json!({"label": "night"})), [two, one]);
    assert_eq!(list(json!({"label": ["night", "docs"]})), [two]);
    assert_eq!(list(json!({"label": "docs", "queue": "b"})), [three]);
    assert_eq!(
        list(json!({"label": "docs", "status": "done"})),
        Vec::<i64>::new()
    );
    assert_eq!(list(json!({"parent_id": one, "label": "night"})), [two]);
    assert_eq!(list(json!({"ids": [1, "3-9"]})), [four, three, one]);
    assert_eq!(
        list(json!({"ids": ["2-4", "1-3"], "limit": 3})),
        [four, three, two]
    );
    assert_eq!(list(json!({"ids": ["1-4"], "before": three})), [two, one]);
    assert_eq!(list(json!({"label": "x' OR 1 --"})), Vec::<i64>::new());
    let mut client = hub.client();
    assert_eq!(client.task(three)["labels"], json!(["docs"]));
    let page = client.call("list", json!({"label": "night", "limit": 1}));
    assert_eq!((ids(&page), &page["next"]), (vec![two], &json!(two)));
    let rest = http::get(&gateway(&hub), "/tasks?label=docs&ids=1-2,4").json();
    assert_eq!(ids(&rest), [two]);

    for (params, part) in [
        (json!({"prompt": "x", "labels": [""]}), "`labels`"),
        (
            json!({"prompt": "x", "labels": ["a\nb"]}),
            "without control characters",
        ),
        (
            json!({"prompt": "x", "labels": "a".repeat(300)}),
            "256 bytes",
        ),
        (
            json!({"prompt": "x", "labels": (0..17).map(|n| n.to_string()).collect::<Vec<_>>()}),
            "at most 16",
        ),
    ] {
        let error = client.refused("enqueue", params);
        assert_eq!(word(&error), "invalid_params", "{error}");
        assert!(sentence(&error).contains(part), "{error}");
    }
    for bad in [json!(["9-3"]), json!(["x"]), json!([0]), json!([])] {
        let error = client.refused("list", json!({"ids": bad}));
        assert_eq!(word(&error), "invalid_params", "{error}");
    }
    let error = client.refused("cancel", json!({"task_id": 1, "label": "night"}));
    assert!(
        sentence(&error).contains("left out beside `task_id`"),
        "{error}"
    );
    assert_eq!(word(&client.refused("cancel", json!({}))), "invalid_params");
}

#[test]
fn a_group_is_cancelled_and_retried_whatever_its_size() {
    let hub = Hub::start();
    let mut client = hub.client();
    let night: Vec<Value> = (0..350)
        .map(|n| json!({"prompt": n.to_string(), "queue": "q", "labels": ["night"]}))
        .collect();
    client.call("enqueue_batch", json!({"tasks": night}));
    let other = client.enqueue_with(json!({"prompt": "x", "queue": "q"}));
    let mut holder = hub.session("holder");
    let held = holder.lease(json!({"worker_id": "w", "queues": ["q"]}));
    let done = end(&hub, "q", json!({"status": "done", "result": "r"}));
    let failed = end(&hub, "q", json!({"status": "failed", "error": "e"}));

    let (code, out, _) = parts(&kirosu(
        &hub,
        &["cancel", "--label", "night", "--reason", "late"],
    ));
    assert_eq!((code, out.as_str()), (0, "348 tasks cancelled\n"));
    assert_eq!(holder.notice("cancel")["task_id"], held["task_id"]);
    assert_eq!(client.status(other), "queued");
    assert_eq!(client.status(done), "done");
    assert_eq!(client.status(failed), "failed");
    let detail = client.call("get", json!({"task_id": 350}));
    assert_eq!(detail["task"]["error"], "cancelled: late");
    assert_eq!(detail["decisions"][0]["by"], "ada");
    // Nothing is left to cancel.
    assert_eq!(
        said(&hub, &["cancel", "--label", "night"]),
        "0 tasks cancelled\n"
    );

    let json = said(&hub, &["retry", "--label", "night", "--failed", "--json"]);
    assert_eq!(json, "{\"ok\":true,\"retried\":1}\n");
    assert_eq!(said(&hub, &["retry", "100-150"]), "51 tasks queued again\n");
    assert_eq!(
        said(&hub, &["retry", "--label", "night", "--queue", "q"]),
        "297 tasks queued again\n"
    );
    assert_eq!(
        said(&hub, &["cancel", "--queue", "q"]),
        "350 tasks cancelled\n"
    );
    assert_eq!(client.status(other), "cancelled");
    let (code, _, err) = parts(&kirosu(&hub, &["cancel"]));
    assert_eq!(code, 2);
    assert!(err.contains("12-40"), "{err}");
    // Single tasks are reported one by one, as before.
    let (code, _, err) = parts(&kirosu(&hub, &["cancel", &done.to_string()]));
    assert_eq!(code, 1, "{err}");
}

#[test]
fn a_group_is_waited_for_with_those_that_join_it_and_its_results_are_collected() {
    let hub = Hub::start();
    let lines = "{\"prompt\":\"a\",\"labels\":[\"n\"]}\n{\"prompt\":\"b\"}\n";
    let made = fed(
        &hub,
        &["enqueue", "--jsonl", "-", "--queue", "q", "--label", "n"],
        lines,
    );
    assert_eq!(parts(&made), (0, "1\n2\n".into(), String::new()));
    let mut client = hub.client();
    let wait = client.send("wait", json!({"label": "n", "timeout_seconds": 20}));
    end(&hub, "q", json!({"status": "done", "result": "first\n"}));
    // Another one joins before the last one ends.
    let mut late = hub.client();
    late.enqueue_with(json!({"prompt": "c", "queue": "q", "labels": ["n"]}));
    end(&hub, "q", json!({"status": "done", "result": "second"}));
    until("the wait looks at the group again", || {
        let stats = late.call("stats", json!({}));
        (stats["stats"]["done"] == 2).then_some(())
    });
    let (code, _, err) = parts(&kirosu(
        &hub,
        &["wait", "--label", "n", "--timeout", "1500ms"],
    ));
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("task 3 waits: this hub has no pools"), "{err}");
    end(
        &hub,
        "q",
        json!({"status": "failed", "error": "went wrong"}),
    );
    let answer = client.result(wait);
    assert_eq!(
        answer,
        json!({"tasks": [], "counts": {"done": 2, "failed": 1}, "finished": true})
    );

    let (code, out, _) = parts(&kirosu(&hub, &["wait", "--label", "n"]));
    assert_eq!((code, out.as_str()), (3, "2 done, 1 failed\n"));
    assert_eq!(parts(&kirosu(&hub, &["wait", "1-2"])).0, 0);
    for verb in ["wait", "results"] {
        let (code, _, err) = parts(&kirosu(&hub, &[verb, "--label", "unknown"]));
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("no task matches"), "{err}");
    }

    let (code, out, err) = parts(&kirosu(&hub, &["results", "--label", "n"]));
    assert_eq!(
        (code, out.as_str()),
        (3, "== task 2\nsecond\n== task 1\nfirst\n")
    );
    assert!(err.contains("task 3 failed: went wrong"), "{err}");
    let (code, out, err) = parts(&kirosu(&hub, &["results", "--label", "n", "--json"]));
    assert_eq!((code, err.as_str()), (3, ""));
    let rows: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["error"], "went wrong");
    assert_eq!(
        (&rows[2]["task_id"], &rows[2]["result"]),
        (&json!(1), &json!("first\n"))
    );
    let out = said(&hub, &["results", "1-2", "--to", "answers"]);
    assert_eq!(out, "wrote 2 results to answers\n");
    let folder = hub.setup.directory.path().join("answers");
    assert_eq!(fs::read_to_string(folder.join("1.txt")).unwrap(), "first\n");
    assert_eq!(fs::read_to_string(folder.join("2.txt")).unwrap(), "second");
}

#[test]
fn a_group_comes_back_with_what_it_depends_on() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut task = |labels: &[&str], depends_on: &[i64]| {
        client.enqueue_with(
            json!({"prompt": "x", "queue": "q", "labels": labels, "depends_on": depends_on}),
        )
    };
    // Two chains that meet; what ends first takes the rest along.
    let (one, two) = (task(&[], &[]), task(&[], &[]));
    let middle = task(&["night"], &[one]);
    let last = task(&["night"], &[middle, two]);
    let alone = task(&["night"], &[]);
    let other = task(&[], &[two]);
    let mut client = hub.client();
    client.call("cancel", json!({"task_id": one}));
    client.call("cancel", json!({"task_id": two}));
    client.call("cancel", json!({"task_id": alone}));
    for id in [middle, last, other] {
        assert_eq!(client.status(id), "failed");
    }
    // Without them, nothing of it can come back but what depends on nothing.
    let retried = client.call("retry", json!({"label": "night"}));
    assert!(retried.get("dependencies").is_none(), "{retried}");
    assert_eq!(client.status(last), "failed");
    assert_eq!(client.status(alone), "queued");
    client.call("cancel", json!({"task_id": alone}));

    assert_eq!(
        said(&hub, &["retry", "--label", "night", "--with-dependencies"]),
        "3 tasks queued again, and 2 that they depend on\n"
    );
    let states: Vec<String> = [one, two, middle, last, alone, other]
        .into_iter()
        .map(|id| client.status(id))
        .collect();
    let (queued, blocked) = ("queued", "blocked");
    assert_eq!(states, [queued, queued, blocked, blocked, queued, blocked]);
    // Sent again, there is nothing left to do.
    let again = client.call(
        "retry",
        json!({"label": "night", "with_dependencies": true}),
    );
    assert_eq!(again, json!({"ok": true, "retried": 0, "dependencies": 0}));
    // Only the failed ones of the group; of what they depend on, all that ended without a result.
    client.call("cancel", json!({"queue": "q"}));
    let failed = ["retry", "--queue", "q", "--failed", "--with-dependencies"];
    assert_eq!(
        said(&hub, &failed),
        "0 tasks queued again, and 0 that they depend on\n"
    );
}

#[test]
fn very_many_dependencies_come_back_in_steps_while_others_are_served() {
    const MANY: usize = 3000;
    let hub = Hub::start();
    let mut client = hub.client();
    let sources: Vec<Value> = (0..MANY)
        .map(|_| json!({"prompt": "x", "queue": "q"}))
        .collect();
    let ids = client.call("enqueue_batch", json!({"tasks": sources}));
    let last = client.enqueue_with(json!({"prompt": "all", "depends_on": ids["task_ids"]}));
    let label = json!({"prompt": "more", "depends_on": [last], "labels": ["night"]});
    let labelled = client.enqueue_with(label);
    let mut other = hub.client();
    for params in [
        json!({"task_id": last, "with_dependencies": true}),
        json!({"label": "night", "with_dependencies": true}),
    ] {
        let cancelled = client.call("cancel", json!({"queue": "q"}));
        assert_eq!(cancelled["cancelled"], MANY);
        until("those that depend on them have failed", || {
            (client.status(labelled) == "failed").then_some(())
        });
        let retry = client.send("retry", params);
        let halfway = until("a part has come back", || {
            let stats = other.call("stats", json!({}));
            let queued = stats["stats"]["queued"].as_u64().unwrap();
            (queued > 0).then_some(queued)
        });
        assert!(halfway < MANY as u64, "all in one commit");
        let answer = client.result(retry);
        assert_eq!(answer["ok"], true, "{answer}");
        assert!(answer.get("status").is_none(), "{answer}");
        assert_eq!(other.call("stats", json!({}))["stats"]["queued"], MANY);
        for id in [last, labelled] {
            until("it waits for them again", || {
                (client.status(id) == "blocked").then_some(())
            });
        }
    }
    // A task that does not wait to be retried is refused, and nothing that it depends on is touched.
    client.call("cancel", json!({"ids": [1]}));
    let running = client.enqueue("x");
    client.lease(json!({"queues": ["default"]}));
    let error = client.refused(
        "retry",
        json!({"task_id": running, "with_dependencies": true}),
    );
    assert_eq!(word(&error), "wrong_state");
    assert_eq!(client.status(1), "cancelled");
    let error = client.refused(
        "retry",
        json!({"task_id": 99_999, "with_dependencies": true}),
    );
    assert_eq!(word(&error), "unknown_task");
}
