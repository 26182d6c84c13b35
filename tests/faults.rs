//! A panic in every actor of the running tree: each comes back, and no task is lost. The list of actors is the tree's
//! own, so that none can be forgotten. Needs the feature `fault-injection` (the README's test command has it).
#![cfg(feature = "fault-injection")]

mod common;

use common::{Client, Setup, until};
use serde_json::{Value, json};

const TASKS_A_PANIC: usize = 6;

fn setup() -> Setup {
    let pool = ["provider=echo", "size=3", "lease=5s"];
    let setup = Setup::new().up().set("providers.echo.delay=20ms");
    // Many panics in a short time are the point here.
    let setup = ["restarts=1000", "period=60s", "initial=10ms", "max=50ms"]
        .iter()
        .fold(setup, |setup, value| {
            setup.set(&format!("supervision.{value}"))
        });
    let setup = pool
        .iter()
        .fold(setup, |setup, value| setup.set(&format!("pool.p.{value}")));
    setup.set("lease.session_grace=1s")
}

/// Every node of the tree with its path.
fn nodes(node: &Value, above: &str, all: &mut Vec<(String, Value)>) {
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

fn tree(client: &mut Client) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    nodes(&client.call("tree", json!({}))["tree"], "", &mut all);
    all
}

/// Enqueues, surviving the crash of the connection's actor; an idempotency key makes sending twice harmless.
fn enqueue(port: u16, key: &str) -> i64 {
    until("the task is enqueued", || {
        let port = port;
        std::panic::catch_unwind(move || {
            let mut client = Client::connect(port);
            client.enqueue_with(json!({"prompt": key, "idempotency_key": key}))
        })
        .ok()
    })
}

#[test]
fn a_panic_in_each_actor_brings_it_back_and_loses_no_task() {
    let hub = setup().start();
    let sessions_up = |client: &mut Client| {
        tree(client)
            .iter()
            .filter(|(path, node)| path.contains("/sessions/") && node["state"] == "running")
            .count()
            == 3
    };
    let mut client = hub.client();
    until("the sessions are up", || {
        sessions_up(&mut client).then_some(())
    });
    // One task at work, so that a lease and an invocation are in the picture.
    enqueue(hub.port, "warm up");
    let mut paths: Vec<String> = tree(&mut client)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    paths.retain(|path| path != "root");
    // Dynamic ones come and go; those that can always be found are named by what they belong to.
    let fixed: Vec<String> = paths
        .iter()
        .filter(|path| {
            path.rsplit('/').next().is_none_or(|n| {
                n.parse::<u64>().is_err() || path.contains("sessions/") || path.contains("readers/")
            })
        })
        .cloned()
        .collect();
    for expected in [
        "writer",
        "bus",
        "reaper",
        "sessions",
        "lease-book",
        "leases",
        "readers",
        "listener",
        "pools",
    ] {
        assert!(
            fixed.iter().any(|path| path == &format!("root/{expected}")),
            "{expected} is not in {fixed:?}"
        );
    }

    let mut tasks = Vec::new();
    for path in &fixed {
        for n in 0..TASKS_A_PANIC {
            tasks.push(enqueue(hub.port, &format!("{path} {n}")));
        }
        panic_in(hub.port, path);
        until(&format!("{path} is back"), || {
            let mut client = try_connect(hub.port)?;
            let all = try_tree(&mut client)?;
            let (_, node) = all.into_iter().find(|(known, _)| known == path)?;
            (node["state"] == "running").then_some(())
        });
    }
    panic_in_dynamic(hub.port, "root/listener/connections");
    tasks.push(enqueue(hub.port, "after the connections"));

    until("all tasks are done", || {
        let mut client = try_connect(hub.port)?;
        let stats = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            client.call("stats", json!({}))
        }))
        .ok()?;
        let stats = &stats["stats"];
        (stats["done"].as_u64()? == tasks.len() as u64 + 1).then_some(())
    });
    let mut client = hub.client();
    let stats = client.call("stats", json!({}))["stats"].clone();
    assert_eq!(
        (&stats["failed"], &stats["leased"], &stats["queued"]),
        (&json!(0), &json!(0), &json!(0)),
        "{stats}"
    );
}

fn try_connect(port: u16) -> Option<Client> {
    std::panic::catch_unwind(|| Client::connect(port)).ok()
}

fn try_tree(client: &mut Client) -> Option<Vec<(String, Value)>> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tree(client))).ok()
}

/// Over a connection of its own: if the panic hits what the connection hangs on, it may end with it.
fn panic_in(port: u16, path: &str) {
    until(&format!("{path} is hit"), || {
        let path = path.to_owned();
        let hit = std::panic::catch_unwind(move || {
            Client::connect(port).call("_panic", json!({"path": path}))
        })
        .ok()?;
        (hit == json!(true)).then_some(())
    });
}

/// A panic in each child that a dynamic supervisor has now.
fn panic_in_dynamic(port: u16, above: &str) {
    let mut client = Client::connect(port);
    let children: Vec<String> = tree(&mut client)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.starts_with(&format!("{above}/")))
        .collect();
    assert!(!children.is_empty(), "{above} has no children");
    for path in children {
        let _ = std::panic::catch_unwind(|| {
            Client::connect(port).call("_panic", json!({"path": path}))
        });
    }
}
