//! Agent hosts with keys of their own: each acts on its own leases and sessions, within the budgets of the hub.

use crate::common::{Client, Hub, Setup, sentence, until, word};
use serde_json::{Value, json};

/// A hub, and two connections with a key of the role `work` each.
struct Hosts {
    hub: Hub,
    keys: [String; 2],
}

impl Hosts {
    fn start(setup: Setup) -> Hosts {
        let hub = setup.start();
        let add = |name: &str| {
            let params = json!({"name": name, "role": "work"});
            let added = hub.client().call("key_add", params);
            added["key"].as_str().unwrap().to_owned()
        };
        let keys = ["one", "other"].map(add);
        Hosts { hub, keys }
    }

    fn clients(&self) -> [Client; 2] {
        self.keys.each_ref().map(|key| {
            let mut client = self.hub.client();
            client.call("hello", json!({"auth_token": key}));
            client
        })
    }
}

fn forbidden(client: &mut Client, method: &str, params: Value) {
    let refused = client.refused(method, params);
    assert_eq!(word(&refused), "forbidden", "{method}: {refused}");
    assert!(sentence(&refused).contains("another key"), "{refused}");
}

/// Each request about a lease, with its fence.
fn about(task: &Value) -> [(&'static str, Value); 7] {
    let lease = json!({"task_id": task["task_id"], "fence": task["fence"]});
    let with = |more: Value| {
        let mut params = lease.clone();
        let more = more.as_object().unwrap().clone();
        params.as_object_mut().unwrap().extend(more);
        params
    };
    [
        ("heartbeat", lease.clone()),
        ("progress", with(json!({"data": {"at": 1}}))),
        ("output", with(json!({"chunk": 0, "text": "x"}))),
        (
            "ask",
            with(json!({"call": "c", "tool": "sh", "title": "t"})),
        ),
        ("reserve", with(json!({"want": {"tokens": 1}}))),
        ("release", lease.clone()),
        ("ack", with(json!({"status": "done", "result": "forged"}))),
    ]
}

#[test]
fn a_host_does_not_act_on_the_leases_of_another_also_after_a_restart() {
    let hosts = Hosts::start(Setup::new().set("lease.heartbeat_grace=1m"));
    let [mut one, mut other] = hosts.clients();
    let mut people = hosts.hub.client();
    people.enqueue("p");
    let task = one.lease(json!({"worker_id": "w"}));
    for (method, params) in about(&task) {
        forbidden(&mut other, method, params);
    }
    // Without a fence the live lease would count, also for the same name of a worker.
    let id = task["task_id"].clone();
    for (method, more) in [
        ("heartbeat", json!({"worker_id": "w"})),
        ("release", json!({})),
        ("ack", json!({"status": "done", "worker_id": "w"})),
    ] {
        let mut params = more;
        params["task_id"] = id.clone();
        forbidden(&mut other, method, params);
    }
    // One of several acks.
    let acks = json!({"acks": [{"task_id": id, "fence": task["fence"], "status": "done"}]});
    let answer = other.call("ack", acks);
    assert_eq!(word(&answer["acks"][0]["error"]), "forbidden", "{answer}");

    let hosts = Hosts {
        hub: hosts.hub.kill().start(),
        keys: hosts.keys,
    };
    let [mut one, mut other] = hosts.clients();
    let [.., ack] = about(&task);
    forbidden(&mut other, ack.0, ack.1.clone());
    one.call("heartbeat", json!({"task_id": id, "fence": task["fence"]}));
    one.call(ack.0, ack.1);
    assert_eq!(hosts.hub.client().status(id.as_i64().unwrap()), "done");
}

#[test]
fn a_lease_that_waited_belongs_to_the_host_that_asked() {
    let hosts = Hosts::start(Setup::new());
    let [mut one, mut other] = hosts.clients();
    let waiting = one.send("lease", json!({"wait_seconds": 30}));
    until("the request waits", || {
        let answer = hosts.hub.client().call("metrics", json!({}));
        let metrics = answer["metrics"].as_array().unwrap();
        let mut found = metrics
            .iter()
            .filter(|it| it["name"] == "kirosu_waiting_leases");
        found.any(|it| it["value"] == 1.0).then_some(())
    });
    hosts.hub.client().enqueue("p");
    let answer = one.answer(waiting);
    let task = answer["result"]["tasks"][0].clone();
    let [heartbeat, .., ack] = about(&task);
    forbidden(&mut other, heartbeat.0, heartbeat.1.clone());
    one.call(heartbeat.0, heartbeat.1);
    one.call(ack.0, ack.1);
}

#[test]
fn a_session_is_not_taken_over_with_another_key_or_without_its_secret() {
    let hosts = Hosts::start(Setup::new().set("lease.session_grace=1m"));
    let hello = |key: &str, secret: Option<&str>| {
        let mut params = json!({"auth_token": key, "session_id": "host/1"});
        if let Some(secret) = secret {
            params["session_secret"] = json!(secret);
        }
        params
    };
    let [key, other_key] = &hosts.keys;
    let mut holder = hosts.hub.client();
    holder.call("hello", hello(key, Some("s3cret")));
    hosts.hub.client().enqueue("p");
    let task = holder.lease(json!({}));
    let attempts = [
        hello(other_key, Some("s3cret")),
        hello(key, None),
        hello(key, Some("s3cre")),
        // The hub's own user without a key.
        json!({"session_id": "host/1", "session_secret": "s3cret"}),
        json!({"session_id": "host/1", "resume": false}),
    ];
    for connected in [true, false] {
        for params in &attempts {
            let mut client = hosts.hub.client();
            let refused = client.refused("hello", params.clone());
            assert_eq!(word(&refused), "forbidden", "{params}");
            assert!(!refused.to_string().contains("s3cret"), "{refused}");
            // It has no session, so what it leases now is not that session's.
            assert_eq!(client.call("hello", json!({}))["session_id"], Value::Null);
        }
        if connected {
            // The holder was not disturbed.
            let lease = json!({"task_id": task["task_id"], "fence": task["fence"]});
            holder.call("heartbeat", lease);
            holder.half_close();
            until("the hub knows that the connection is gone", || {
                let agents = hosts.hub.client().call("agents", json!({}));
                let is_away = agents["agents"][0]["connected"] == false;
                is_away.then_some(())
            });
        }
    }
    let mut holder = hosts.hub.client();
    let resumed = holder.call("hello", hello(key, Some("s3cret")));
    assert_eq!(resumed["resumed"], true);
    assert_eq!(resumed["leases"][0]["task_id"], task["task_id"]);
}

#[test]
fn a_host_does_not_raise_a_budget_of_the_hubs_settings() {
    let setup = Setup::new()
        .set("budget.tokens=100")
        .set("pool.code.provider=echo")
        .set("pool.code.budget={tokens=50}");
    let hosts = Hosts::start(setup);
    let [mut one, _] = hosts.clients();
    let reserve = |client: &mut Client, scopes: Value, want: u64| {
        hosts.hub.client().enqueue("p");
        let task = client.lease(json!({}));
        let params = json!({
            "task_id": task["task_id"], "fence": task["fence"], "scopes": scopes, "want": {"tokens": want},
        });
        client.call("reserve", params)
    };
    let raised = json!([
        {"scope": "hub", "tokens": 1_000_000, "per_seconds": 3600},
        {"scope": "pool:code", "tokens": 1_000_000},
    ]);
    let answer = reserve(&mut one, raised, 500_000);
    assert_eq!(answer["tokens"], 50, "{answer}");
    // The budget of all pools counts without being named; one of the host's own settings counts as reported.
    let own = json!([{"scope": "pool:own", "tokens": 30}]);
    assert_eq!(reserve(&mut one, own, 500)["tokens"], 30);
    let answer = reserve(&mut one, json!([]), 500);
    assert_eq!(answer["tokens"], 20, "{answer}");
    let answer = reserve(&mut one, json!([]), 500);
    assert_eq!(answer["granted"], false, "{answer}");
    assert_eq!(answer["refused"]["scope"], "hub", "{answer}");
}
