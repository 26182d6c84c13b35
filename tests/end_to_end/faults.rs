//! A panic in every actor of the running tree: each comes back, and no task is lost. The list of actors is the tree's
//! own, so that none can be forgotten. Needs the feature `fault-injection` (the README's test command has it).
#![cfg(feature = "fault-injection")]

use crate::common::{Client, Setup, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Tasks enqueued around each panic.
const TASKS_A_PANIC: usize = 4;

/// A hub with three echo sessions that bears many panics in a short time.
fn setup() -> Setup {
    let settings = [
        "supervision.restarts=1000",
        "supervision.initial=10ms",
        "supervision.max=50ms",
        "providers.echo.delay=50ms",
        "pool.p.provider=echo",
        "pool.p.size=3",
        "retry.initial=10ms",
        "gateway.enabled=true",
        "gateway.port=0",
        "metrics.enabled=true",
        "metrics.port=0",
    ];
    settings
        .iter()
        .fold(Setup::new().up(), |setup, setting| setup.set(setting))
}

/// A node's path and what the tree says of it.
type Nodes = Vec<(String, Value)>;

fn nodes(node: &Value, above: &str, all: &mut Nodes) {
    let name = node["name"].as_str().unwrap();
    let path = if above.is_empty() {
        name.to_owned()
    } else {
        format!("{above}/{name}")
    };
    for child in node["children"].as_array().unwrap() {
        nodes(child, &path, all);
    }
    all.push((path, node.clone()));
}

/// Speaks to the hub over a connection of its own; none if a panic ended it.
fn speak<T>(port: u16, words: impl FnOnce(&mut Client) -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| words(&mut Client::connect(port)))).ok()
}

fn tree(port: u16) -> Option<Nodes> {
    let mut all = Vec::new();
    nodes(
        &speak(port, |client| client.call("tree", json!({})))?["tree"],
        "",
        &mut all,
    );
    Some(all)
}

/// Enqueues, whatever crashes meanwhile: an idempotency key makes sending twice harmless.
fn enqueue(port: u16, key: &str) {
    let task = json!({"prompt": key, "idempotency_key": key});
    until("the task is enqueued", || {
        speak(port, |client| client.enqueue_with(task.clone()))
    });
}

fn panic_in(port: u16, path: &str) -> Option<bool> {
    let hit = speak(port, |client| client.call("_panic", json!({"path": path})))?;
    hit.as_bool()
}

/// True for children of dynamic supervisors, which are numbered and end with their connection, lease or run.
fn is_dynamic(path: &str) -> bool {
    [
        "root/leases/",
        "root/listener/connections/",
        "/invocations/",
    ]
    .iter()
    .any(|above| path.contains(above))
}

#[test]
fn a_panic_in_each_actor_brings_it_back_and_loses_no_task() {
    let hub = setup().start();
    let port = hub.port;
    let fixed = until("the sessions are up", || {
        let all = tree(port)?;
        let up = |node: &Value| node["state"] == "running" && node["kind"] == "session";
        let fixed = all
            .iter()
            .map(|(path, _)| path.clone())
            .filter(|path| !is_dynamic(path));
        (all.iter().filter(|(_, node)| up(node)).count() == 3)
            .then(|| fixed.collect::<BTreeSet<_>>())
    });
    for known in [
        "writer",
        "bus",
        "reaper",
        "sessions",
        "lease-registry",
        "leases",
        "readers/1",
        "listener/accept",
        "pools/p/sessions/3",
        "gateway",
        "gateway/http",
        "gateway/metrics",
    ] {
        assert!(
            fixed.contains(&format!("root/{known}")),
            "{known} is not in {fixed:?}"
        );
    }
    let mut tasks = 0;
    let mut work = |about: &str| {
        for n in 0..TASKS_A_PANIC {
            enqueue(port, &format!("{about} {n}"));
        }
        tasks += TASKS_A_PANIC;
    };
    // The root has no supervisor: when it ends, the process ends, and systemd restarts it.
    for path in fixed.iter().filter(|path| *path != "root") {
        work(path);
        until(&format!("{path} is hit"), || {
            panic_in(port, path).filter(|hit| *hit)
        });
        until(&format!("{path} runs again"), || {
            let all = tree(port)?;
            let (_, node) = all.iter().find(|(known, _)| known == path)?;
            (node["state"] == "running").then_some(())
        });
    }
    for dynamic in [
        "root/leases/",
        "/invocations/",
        "root/listener/connections/",
    ] {
        work(dynamic);
        until(&format!("an actor of {dynamic} is hit"), || {
            let all = tree(port)?;
            let (path, _) = all.iter().find(|(path, _)| path.contains(dynamic))?;
            // `None` means that it was this test's own connection.
            panic_in(port, path).is_none_or(|hit| hit).then_some(())
        });
    }
    let stats = until("nothing is left to do", || {
        let stats = speak(port, |client| client.call("stats", json!({})))?["stats"].clone();
        let open = ["queued", "leased", "scheduled"]
            .iter()
            .all(|state| stats[*state] == 0);
        open.then_some(stats)
    });
    assert_eq!(
        (&stats["done"], &stats["total_tasks"]),
        (&json!(tasks), &json!(tasks)),
        "{stats}"
    );
}

/// A hub without pools that bears many panics in a short time.
fn bare() -> crate::common::Hub {
    let settings = [
        "supervision.restarts=1000",
        "supervision.initial=10ms",
        "supervision.max=50ms",
    ];
    let setup = settings
        .iter()
        .fold(Setup::new(), |setup, setting| setup.set(setting));
    setup.start()
}

#[test]
fn after_a_crash_of_the_bus_watches_and_waits_go_on() {
    let hub = bare();
    let (mut client, mut watcher, mut waiter) = (hub.client(), hub.client(), hub.client());
    let seq = watcher.call("watch", json!({"kinds": ["task"]}))["seq"].take();
    let mut seq = seq.as_u64().unwrap();
    for round in 0..5 {
        let id = client.enqueue(&format!("round {round}"));
        let wait = waiter.send("wait", json!({"task_ids": [id], "timeout_seconds": 600}));
        // A wait is out of the order of answers: once this is answered, it waits.
        waiter.call("stats", json!({}));
        client.lease(json!({}));
        assert_eq!(client.call("_panic", json!({"path": "root/bus"})), true);
        client.call("ack", json!({"task_id": id, "status": "done"}));
        for status in ["queued", "leased", "done"] {
            let event = watcher.notice("event");
            assert_eq!(
                (&event["task_id"], &event["status"]),
                (&json!(id), &json!(status))
            );
            let next = event["seq"].as_u64().unwrap();
            assert!(next > seq, "{event} after {seq}");
            seq = next;
        }
        let answer = waiter.result(wait);
        assert_eq!(answer["finished"], true);
    }
}

#[test]
fn after_its_supervisor_gave_up_a_lease_has_an_actor_again() {
    let hub = bare();
    let mut client = hub.client();
    let mut holder = hub.session("s");
    let (first, second) = (holder.enqueue("x"), holder.enqueue("x"));
    for _ in 0..2 {
        holder.lease(json!({"worker_id": "w"}));
    }
    let report = |holder: &mut Client, id: i64, text: &str| {
        holder.call("output", json!({"task_id": id, "fence": 1, "text": text}));
    };
    report(&mut holder, first, "one ");
    let restarts = |client: &mut Client| {
        let tree = client.call("tree", json!({}))["tree"].take();
        let leases = tree["children"].as_array().unwrap().iter();
        let leases = leases.into_iter().find(|child| child["name"] == "leases");
        leases.unwrap()["restarts"].as_u64().unwrap()
    };
    let path = format!("root/leases/{first}");
    until("the supervisor of the leases gave up", || {
        client.call("_panic", json!({"path": path}));
        (restarts(&mut client) > 0).then_some(())
    });
    report(&mut holder, first, "two ");
    report(&mut holder, second, "other");
    client.call("cancel", json!({"task_id": first}));
    assert_eq!(holder.notice("cancel")["task_id"], first);
    let got = client.call("get", json!({"task_id": first, "output": true}));
    assert_eq!(got["output"][0]["text"], "one two ");
    let hello = hub.client().call("hello", json!({"session_id": "s"}));
    assert_eq!(hello["leases"], json!([{"task_id": second, "fence": 1}]));
}

#[test]
fn a_crash_of_the_writer_answers_the_requests_that_wait_in_it() {
    let hub = bare();
    let (mut one, mut other, mut hand) = (hub.client(), hub.client(), hub.client());
    let mut done = 0;
    for _ in 0..6 {
        // Two packets of several requests: while the first is a commit, the second waits in the writer.
        let sent: Vec<Vec<u64>> = (0..2)
            .map(|_| {
                let client = [&mut one, &mut other];
                let sent = client.into_iter().flat_map(|client| {
                    [0; 3].map(|_| client.send("enqueue", json!({"prompt": "x"})))
                });
                sent.collect()
            })
            .collect();
        hand.call("_panic", json!({"path": "root/writer"}));
        for ids in sent {
            for (at, id) in ids.into_iter().enumerate() {
                let client = if at < 3 { &mut one } else { &mut other };
                let answer = client.answer(id);
                match answer["error"].is_null() {
                    true => done += 1,
                    false => assert_eq!(answer["error"]["data"]["code"], "internal", "{answer}"),
                }
            }
        }
    }
    let stats = hand.call("stats", json!({}))["stats"].take();
    // A request of unknown effect may have made its task.
    assert!(stats["queued"].as_i64().unwrap() >= done, "{stats}, {done}");
}
