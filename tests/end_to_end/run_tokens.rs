//! The tokens of runs: an agent reports on its own run and adds tasks below its own task, and nothing else.

use crate::common::http::with;
use crate::common::process::{address, shell};
use crate::common::{Client, Hub, sentence, until, word};
use kirosu_protocol::Method;
use serde_json::{Value, json};

/// Leases a task over a session, as an agent host does. Returns the connection of the host and the leased task.
fn leased(hub: &Hub, session: &str, params: Value) -> (Client, Value) {
    let mut host = hub.session(session);
    let queue = params.get("queue").cloned().unwrap_or(json!("default"));
    host.enqueue_with(params);
    let task = host.lease(json!({"queues": [queue]}));
    (host, task)
}

/// A connection that speaks for a run.
fn of_run(hub: &Hub, task: &Value) -> Client {
    let mut client = hub.client();
    client.call("hello", json!({"auth_token": task["run_token"]}));
    client
}

fn limit(error: &Value) -> &str {
    assert_eq!(word(error), "forbidden", "{error}");
    error["data"]["limit"].as_str().unwrap_or_default()
}

#[test]
fn a_session_gets_the_token_of_each_run_and_a_client_without_one_does_not() {
    let hub = Hub::start();
    let (_host, task) = leased(&hub, "s", json!({"prompt": "p"}));
    let token = task["run_token"].as_str().unwrap();
    assert!(token.starts_with("krt_"), "{token}");
    let mut plain = hub.client();
    let id = plain.enqueue("p");
    assert!(plain.lease(json!({}))["run_token"].is_null());
    // No query shows a token.
    assert!(plain.task(id)["run_token"].is_null());
}

#[test]
fn a_run_adds_children_of_its_own_task_reads_its_tree_and_changes_its_children() {
    let hub = Hub::start();
    let other = hub.client().enqueue("the secret of another task");
    let (_host, task) = leased(
        &hub,
        "s",
        json!({"prompt": "p", "queue": "q", "priority": 9}),
    );
    let own = task["task_id"].as_i64().unwrap();
    let mut run = of_run(&hub, &task);

    // It does not say whose children they are.
    let child = run.enqueue_with(json!({"prompt": "c", "priority": 9, "labels": ["mine"]}));
    let answer = run.call(
        "enqueue_batch",
        json!({"tasks": [{"prompt": "d"}, {"prompt": "e", "depends_on": [child]}]}),
    );
    let batch: Vec<i64> = answer["task_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_i64().unwrap())
        .collect();
    assert_eq!(hub.client().task(child)["parent_id"], own);
    assert_eq!(hub.client().task(batch[1])["parent_id"], own);
    let listed = run.call("list", json!({}));
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 3);
    assert_eq!(
        listed["stats"]["total_tasks"], 0,
        "the hub's counters are not for a run"
    );

    assert_eq!(run.task(own)["prompt"], "p");
    assert_eq!(run.task(child)["prompt"], "c");
    run.call("cancel", json!({"task_id": child}));
    let waited = run.call("wait", json!({"task_ids": [child], "timeout_seconds": 5}));
    assert_eq!(waited["tasks"][0]["status"], "cancelled");
    run.call("retry", json!({"task_id": child}));
    run.call("cancel", json!({"parent_id": own}));
    let waited = run.call("wait", json!({"parent_id": own, "timeout_seconds": 5}));
    assert_eq!(waited["finished"], true, "{waited}");

    run.call("heartbeat", json!({"task_id": own}));
    run.call("progress", json!({"task_id": own, "data": {"step": 2}}));
    let shown = until("the progress is stored", || {
        let shown = hub.client().call("get", json!({"task_id": own}));
        (!shown["progress"].is_null()).then_some(shown)
    });
    assert_eq!(shown["progress"]["step"], 2, "{shown}");

    for (method, params) in [
        ("get", json!({"task_id": other})),
        ("get", json!({"task_id": 999_999})),
        ("list", json!({"parent_id": other})),
        ("wait", json!({"task_ids": [child, other]})),
        ("wait", json!({"task_ids": [own]})),
        ("cancel", json!({"task_id": other})),
        ("cancel", json!({"task_id": own})),
        ("cancel", json!({"parent_id": other})),
        ("retry", json!({"task_id": other})),
        ("enqueue", json!({"prompt": "x", "parent_id": other})),
        ("enqueue", json!({"prompt": "x", "depends_on": [other]})),
        ("enqueue", json!({"prompt": "x", "continues": other})),
        ("enqueue", json!({"prompt": "x", "continues": own})),
        ("progress", json!({"task_id": other, "data": 1})),
        ("heartbeat", json!({"task_id": other})),
        ("wait_children", json!({"task_id": other})),
    ] {
        let refused = run.refused(method, params.clone());
        assert_eq!(limit(&refused), "tree", "{method} {params}");
    }
    assert_eq!(hub.client().task(other)["status"], "queued");
}

#[test]
fn a_run_reads_the_results_on_which_its_task_depends() {
    let hub = Hub::start();
    let mut client = hub.client();
    let (first, other) = (client.enqueue("first"), client.enqueue("other"));
    for id in [first, other] {
        client.lease(json!({}));
        client.call(
            "ack",
            json!({"task_id": id, "status": "done", "result": "r"}),
        );
    }
    let (_host, task) = leased(&hub, "s", json!({"prompt": "p", "depends_on": [first]}));
    let mut run = of_run(&hub, &task);
    assert_eq!(run.task(first)["result"], "r");
    run.call("wait", json!({"task_ids": [first]}));
    assert_eq!(
        limit(&run.refused("get", json!({"task_id": other}))),
        "tree"
    );
    assert_eq!(
        limit(&run.refused("retry", json!({"task_id": first}))),
        "tree"
    );
}

#[test]
fn a_run_can_do_nothing_else() {
    let hub = Hub::start();
    let (_host, task) = leased(&hub, "s", json!({"prompt": "p"}));
    let own = task["task_id"].as_i64().unwrap();
    let allowed = [
        Method::Hello,
        Method::Ping,
        Method::Enqueue,
        Method::EnqueueBatch,
        Method::Heartbeat,
        Method::Progress,
        Method::WaitChildren,
        Method::Get,
        Method::List,
        Method::Wait,
        Method::Cancel,
        Method::Retry,
    ];
    for method in Method::ALL.into_iter().filter(|it| !allowed.contains(it)) {
        let params = match method {
            Method::Watch => json!({"kinds": ["task"]}),
            Method::Ack => json!({"task_id": own, "status": "done", "result": "r"}),
            Method::Approve | Method::Reject | Method::Release => {
                json!({"task_id": own, "fence": task["fence"]})
            }
            Method::Answer => json!({"task_id": own, "text": "yes"}),
            Method::Output => json!({"task_id": own, "text": "x"}),
            Method::Reserve => {
                json!({"task_id": own, "fence": task["fence"], "scopes": [{"scope": "hub", "tokens": 1}], "want": {"tokens": 1}})
            }
            Method::Ask => {
                json!({"task_id": own, "fence": task["fence"], "call": "c", "tool": "t", "args": {}})
            }
            Method::RunFile => json!({"task_id": own, "step": "a"}),
            Method::KeyAdd => json!({"name": "x", "role": "admin"}),
            Method::KeyRevoke => json!({"name": "x"}),
            Method::WebLogout => json!({"session": "x"}),
            Method::Source => json!({"items": ["x"]}),
            Method::Run
            | Method::RunItems
            | Method::RunPause
            | Method::RunResume
            | Method::RunRetry => json!({"task_id": own}),
            Method::ScheduleAdd => {
                json!({"name": "x", "every_seconds": 60, "task": {"prompt": "p"}})
            }
            Method::ScheduleSet => json!({"name": "x", "paused": true}),
            Method::PoolDown => json!({"pool": "p", "state": "missing"}),
            Method::NotifyTest
            | Method::NotifyTake
            | Method::ScheduleRun
            | Method::ScheduleRemove => json!({"name": "x"}),
            _ => json!({}),
        };
        let refused = of_run(&hub, &task).refused(method.name(), params);
        assert_eq!(word(&refused), "forbidden", "{} {refused}", method.name());
        assert_eq!(refused["data"]["right"], "run", "{}", method.name());
    }
    let refused = of_run(&hub, &task).refused("hello", json!({"session_id": "s"}));
    assert_eq!(word(&refused), "forbidden");
    assert_eq!(hub.client().task(own)["status"], "leased");
}

#[test]
fn a_token_ends_with_its_lease_and_survives_a_restart_of_the_hub() {
    let hub = Hub::start();
    let (_host, task) = leased(&hub, "s", json!({"prompt": "p", "max_attempts": 9}));
    let own = task["task_id"].as_i64().unwrap();
    of_run(&hub, &task).enqueue("c");

    let hub = hub.kill().start();
    let again = of_run(&hub, &task).enqueue("c");
    assert_eq!(hub.client().task(again)["parent_id"], own);

    let mut host = hub.session("s");
    host.call("release", json!({"task_id": own, "fence": task["fence"]}));
    let mut open = hub.client();
    let refused = open.refused(
        "enqueue",
        json!({"prompt": "late", "auth_token": task["run_token"]}),
    );
    assert_eq!(word(&refused), "unauthorized");
    assert!(sentence(&refused).contains("is over"), "{refused}");
    // The next run of the task has another one.
    let next = host.lease(json!({}));
    assert_eq!(next["task_id"], own);
    of_run(&hub, &next).enqueue("c");
    assert_eq!(
        word(&open.refused("ping", json!({"auth_token": task["run_token"]}))),
        "unauthorized"
    );
    // A token that the hub has not made is a wrong key.
    let forged = next["run_token"].as_str().unwrap().replacen(
        &format!("krt_{own}."),
        &format!("krt_{}.", own + 1),
        1,
    );
    assert_eq!(
        word(&open.refused("ping", json!({"auth_token": forged}))),
        "unauthorized"
    );
}

#[test]
fn depth_number_queues_types_priority_and_checks_of_children_are_limited() {
    let hub = Hub::with(&[
        "children.depth=2",
        "children.per_task=3",
        "children.per_tree=4",
        "children.queues=[\"default\", \"q\"]",
    ]);
    let (mut host, top) = leased(&hub, "s", json!({"prompt": "top"}));
    let mut run = of_run(&hub, &top);
    for (named, params) in [
        ("queues", json!({"prompt": "x", "queue": "other"})),
        ("types", json!({"prompt": "x", "type": "python"})),
        ("priority", json!({"prompt": "x", "priority": 1})),
        (
            "accept",
            json!({"prompt": "x", "accept": {"command": ["true"]}}),
        ),
    ] {
        let refused = run.refused("enqueue", params);
        // Without the opt-in of the hub, that refusal comes first.
        if word(&refused) != "not_trusted" {
            assert_eq!(limit(&refused), named);
        }
    }
    let batch = |count| json!({"tasks": vec![json!({"prompt": "c"}); count]});
    assert_eq!(limit(&run.refused("enqueue_batch", batch(4))), "per_task");
    run.call("enqueue_batch", batch(3));
    assert_eq!(
        limit(&run.refused("enqueue", json!({"prompt": "c"}))),
        "per_task"
    );

    let child = host.lease(json!({}));
    let mut child_run = of_run(&hub, &child);
    // A repeated request is not another child.
    let first = child_run.enqueue_with(json!({"prompt": "g", "idempotency_key": "k"}));
    assert_eq!(
        child_run.enqueue_with(json!({"prompt": "g", "idempotency_key": "k"})),
        first
    );
    // Another client's key of the same name is another one.
    assert_ne!(
        hub.client()
            .enqueue_with(json!({"prompt": "g", "idempotency_key": "k", "queue": "z"})),
        first
    );
    assert_eq!(
        limit(&child_run.refused("enqueue", json!({"prompt": "g"}))),
        "per_tree"
    );

    let mut grandchild = host.lease(json!({}));
    while grandchild["task_id"] != first {
        grandchild = host.lease(json!({}));
    }
    let refused = of_run(&hub, &grandchild).refused("enqueue", json!({"prompt": "x"}));
    assert_eq!(limit(&refused), "depth");
    assert!(sentence(&refused).contains("children.depth"), "{refused}");
}

#[test]
fn a_tree_that_runs_grow_has_a_budget() {
    let hub = Hub::with(&["children.tokens=1000"]);
    let (mut host, top) = leased(&hub, "s", json!({"prompt": "top"}));
    of_run(&hub, &top).enqueue("c");
    let child = host.lease(json!({}));
    let scopes = json!([]);
    let reserve = |want: u64| json!({"task_id": child["task_id"], "fence": child["fence"], "scopes": scopes, "want": {"tokens": want}});
    // No more than the tree's budget, which no settings of a pool and no client has named.
    let granted = host.call("reserve", reserve(2000));
    assert_eq!(granted["tokens"], 1000, "{granted}");
    of_run(&hub, &top).enqueue("d");
    let second = host.lease(json!({}));
    let refused = host.call(
        "reserve",
        json!({"task_id": second["task_id"], "fence": second["fence"], "scopes": [], "want": {"tokens": 1}}),
    );
    assert_eq!(refused["granted"], false, "{refused}");
    let tree = format!("tree:{}", top["task_id"]);
    assert!(refused.to_string().contains(&tree), "{refused}");
}

#[test]
fn agents_grow_the_swarm_over_three_levels_by_cli_rest_and_socket() {
    let hub = shell().set("pool.p.size=4").start();
    let kirosu = env!("CARGO_BIN_EXE_kirosu");
    let rest = address(&hub);
    // Each level adds the next with another way in, none of which says whose child it is.
    let leaf = format!("{kirosu} enqueue too-deep 2>&1 || true");
    let by_socket = format!(
        "python3 - <<'END'\nimport json, os, socket\nhost, port = os.environ['KIROSU_HUB'].rsplit(':', 1)\n\
         s = socket.create_connection((host, int(port))).makefile('rwb')\n\
         s.write(json.dumps({{'id': 1, 'method': 'enqueue', 'params': {{'prompt': {leaf:?}, 'auth_token': os.environ['KIROSU_TOKEN']}}}}).encode() + b'\\n')\n\
         s.flush()\nprint(s.readline().decode())\nEND\n"
    );
    let body = json!({ "prompt": by_socket }).to_string();
    let by_rest = format!(
        "cat > body.json <<'BODY'\n{body}\nBODY\ncurl -sf -H \"Authorization: Bearer $KIROSU_TOKEN\" -H 'Content-Type: application/json' --data-binary @body.json http://{rest}/tasks\n"
    );
    let by_cli = format!("cat > next <<'NEXT'\n{by_rest}\nNEXT\n{kirosu} enqueue - < next\n");
    let mut client = hub.client();
    let top = client.enqueue_with(json!({"prompt": by_cli, "max_attempts": 1}));
    let mut ids = vec![top];
    for _ in 0..3 {
        let parent = ids[ids.len() - 1];
        let child = until("the task has a child", || {
            let listed = client.call("list", json!({"parent_id": parent}));
            listed["tasks"]
                .get(0)
                .and_then(|task| task["task_id"].as_i64())
        });
        ids.push(child);
    }
    client.call("wait", json!({"task_ids": ids, "timeout_seconds": 60}));
    for id in &ids {
        let task = client.task(*id);
        assert_eq!(task["status"], "done", "{task}");
    }
    let last = client.task(ids[3])["result"].as_str().unwrap().to_owned();
    assert!(
        last.contains("level 3") && last.contains("children.depth"),
        "{last}"
    );
}

#[test]
fn a_full_pool_does_not_wait_for_itself() {
    // Neither does the account, which also serves one run at a time.
    let hub = shell()
        .set("pool.p.size=1")
        .set("providers.shell.concurrency=1")
        .start();
    let kirosu = env!("CARGO_BIN_EXE_kirosu");
    let leaf = "echo leaf";
    let middle = format!("{kirosu} enqueue '{leaf}' --wait");
    let top = format!("cat > next <<'NEXT'\n{middle}\nNEXT\n{kirosu} enqueue - --wait < next");
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": top, "max_attempts": 1}));
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 60}));
    let task = client.task(id);
    assert_eq!(
        task["result"].as_str().map(str::trim),
        Some("leaf"),
        "{task}"
    );
    // The additional sessions end with the waits.
    until("the pool has its one session", || {
        let agents = client.call("agents", json!({}))["agents"].take();
        (agents.as_array()?.len() == 1).then_some(())
    });
}

#[test]
fn an_agent_cannot_approve_ack_or_look_around_with_its_token() {
    let hub = shell().start();
    let kirosu = env!("CARGO_BIN_EXE_kirosu");
    let mut client = hub.client();
    let other =
        client.enqueue_with(json!({"prompt": "DEPLOY", "requires_approval": true, "queue": "z"}));
    let script = format!(
        "for try in 'approve {other}' 'answer {other} yes' 'get {other}' 'shutdown' 'pool resize p 9' 'key add x --role admin' 'pause'; do \
         {kirosu} $try </dev/null 2>&1 && echo \"DID $try\"; done; {kirosu} list --queue z"
    );
    let id = client.enqueue_with(json!({"prompt": script, "max_attempts": 1}));
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 60}));
    let task = client.task(id);
    let said = task["result"].as_str().unwrap_or_default();
    assert_eq!(task["status"], "done", "{task}");
    assert!(!said.contains("DID ") && !said.contains("DEPLOY"), "{task}");
    assert_eq!(client.task(other)["status"], "awaiting_approval");
}

#[test]
fn a_pool_may_give_its_agents_no_token() {
    let hub = shell().set("pool.p.run_token=false").start();
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": "echo token=$KIROSU_TOKEN.", "max_attempts": 1}));
    client.call("wait", json!({"task_ids": [id], "timeout_seconds": 60}));
    assert_eq!(
        client.task(id)["result"].as_str().unwrap().trim(),
        "token=."
    );
}

#[test]
fn over_rest_a_token_is_checked_by_the_hub() {
    let hub = shell().start();
    let rest = address(&hub);
    let (_host, task) = leased(&hub, "s", json!({"prompt": "p", "queue": "q"}));
    let header = |token: &Value| format!("Authorization: Bearer {}\r\n", token.as_str().unwrap());
    let own = task["task_id"].as_i64().unwrap();
    let shown = with(
        &rest,
        "GET",
        &format!("/tasks/{own}"),
        &header(&task["run_token"]),
        "",
    );
    assert_eq!(shown.status, 200, "{}", shown.head);
    let refused = with(
        &rest,
        "POST",
        &format!("/tasks/{own}/approve"),
        &header(&task["run_token"]),
        "{}",
    );
    assert_eq!(refused.status, 403, "{}", refused.head);
    let wrong = with(&rest, "GET", "/tasks", &header(&json!("krt_1.1.00")), "");
    assert_eq!(wrong.status, 403, "{}", wrong.head);
}

#[test]
fn children_end_with_their_parent_where_asked() {
    let hub = shell().set("pool.p.size=4").start();
    let kirosu = env!("CARGO_BIN_EXE_kirosu");
    let folder = hub.setup.directory.path();
    let marks = folder.display();
    // Each says that it runs; the two that end with their parents would run for longer than this test.
    let grandchild = format!("touch {marks}/grandchild; exec sleep 300");
    let child = format!(
        "{kirosu} enqueue '{grandchild}' --ends-with-parent; touch {marks}/child; exec sleep 300"
    );
    let other = format!("until [ -e {marks}/go ]; do sleep 0.05; done; echo went on");
    let top = format!(
        "cat > child <<'NEXT'\n{child}\nNEXT\n{kirosu} enqueue - --ends-with-parent < child\n\
         {kirosu} enqueue '{other}'\nuntil [ -e {marks}/grandchild -a -e {marks}/child ]; do sleep 0.05; done\n"
    );
    let mut client = hub.client();
    let top = client.enqueue_with(json!({"prompt": top, "max_attempts": 1}));
    client.call("wait", json!({"task_ids": [top], "timeout_seconds": 60}));
    assert_eq!(client.status(top), "done");
    let below = |client: &mut Client, parent: i64| -> Vec<i64> {
        let listed = client.call("list", json!({"parent_id": parent}));
        let tasks = listed["tasks"].as_array().unwrap().iter().rev();
        tasks
            .map(|task| task["task_id"].as_i64().unwrap())
            .collect()
    };
    let children = below(&mut client, top);
    let grandchildren = below(&mut client, children[0]);
    for (id, parent, is) in [
        (children[0], top, "done"),
        (grandchildren[0], children[0], "cancelled"),
    ] {
        let task = client.task(id);
        assert_eq!(task["status"], "cancelled", "{task}");
        assert_eq!(task["ends_with_parent"], true);
        let error = format!("cancelled: its parent, task {parent}, is {is}");
        assert_eq!(task["error"], error.as_str());
    }
    // Their programs have ended: only the session of the other child is at work.
    until("their sessions are idle", || {
        let pools = client.call("pools", json!({}));
        (pools["pools"][0]["busy"] == 1).then_some(())
    });
    std::fs::write(folder.join("go"), "").unwrap();
    client.call(
        "wait",
        json!({"task_ids": [children[1]], "timeout_seconds": 60}),
    );
    assert_eq!(client.task(children[1])["result"], "went on");
    let error = client.refused(
        "enqueue",
        json!({"prompt": "x", "parent_id": top, "ends_with_parent": true}),
    );
    assert_eq!(word(&error), "wrong_state");
}
