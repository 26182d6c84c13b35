//! Operation of a hub: stored reasons, lasting pauses, watches that notice a restart, clients that vanish, backups.

use crate::common::{Client, Hub, Setup, ids, sentence, until, word};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn get(client: &mut Client, id: i64) -> Value {
    client.call("get", json!({"task_id": id}))
}

// ---------------------------------------------------------------- reasons

#[test]
fn who_cancelled_a_task_and_why_is_kept_and_told() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut holder = hub.session("s-1");
    let running = client.enqueue("running");
    holder.lease(json!({}));
    let waiting = client.enqueue("waiting");
    let plain = client.enqueue("plain");
    for id in [running, waiting] {
        client.call(
            "cancel",
            json!({"task_id": id, "by": "ada", "reason": "not needed"}),
        );
    }
    client.call("cancel", json!({"task_id": plain}));
    assert_eq!(holder.notice("cancel")["reason"], "not needed");
    for id in [running, waiting] {
        let got = get(&mut client, id);
        assert_eq!(got["task"]["error"], "cancelled: not needed");
        let decision = &got["decisions"][0];
        assert_eq!(decision["verdict"], "cancelled");
        assert_eq!(decision["by"], "ada");
        assert_eq!(decision["comment"], "not needed");
        assert!(decision["at"].as_f64().unwrap() > 1e9, "{decision}");
    }
    assert_eq!(
        get(&mut client, running)["attempts"][0]["error"],
        "cancelled: not needed"
    );
    let got = get(&mut client, plain);
    assert_eq!(
        (&got["task"]["error"], &got["decisions"]),
        (&Value::Null, &Value::Null)
    );
    // A session that gives no name cancels in its own; the holder is not taken for the one who cancelled.
    let mut watcher = hub.client();
    watcher.call("watch", json!({"kinds": ["task"]}));
    let id = client.enqueue_with(json!({"prompt": "x", "queue": "other"}));
    holder.lease(json!({"queues": ["other"], "worker_id": "w"}));
    hub.session("s-2").call("cancel", json!({"task_id": id}));
    let event = until("the cancel is an event", || {
        let event = watcher.notice("event");
        (event["status"] == "cancelled").then_some(event)
    });
    assert_eq!(
        (&event["by"], &event["worker_id"], &event["reason"]),
        (&json!("s-2"), &json!("w"), &json!("cancelled"))
    );
    let got = get(&mut client, id);
    assert_eq!(got["decisions"][0]["by"], "s-2");
    assert_eq!(got["attempts"][0]["worker_id"], "w");
    // It survives a restart, and goes when the task is retried.
    let hub = hub.kill().start();
    let mut client = hub.client();
    assert_eq!(client.task(waiting)["error"], "cancelled: not needed");
    client.call("retry", json!({"task_id": waiting}));
    assert_eq!(client.task(waiting)["error"], Value::Null);
    let long = "x".repeat(70_000);
    let error = client.refused("cancel", json!({"task_id": waiting, "reason": long}));
    assert_eq!(word(&error), "too_large");
}

#[test]
fn the_words_of_a_release_and_of_a_decision_are_kept() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    client.lease(json!({}));
    client.call("release", json!({"task_id": id, "reason": "disk is full"}));
    client.lease(json!({}));
    client.call("release", json!({"task_id": id}));
    let got = get(&mut client, id);
    assert_eq!(got["attempts"][0]["outcome"], "released");
    assert_eq!(got["attempts"][0]["error"], "disk is full");
    assert_eq!(got["attempts"][1]["error"], Value::Null);
    assert_eq!(got["task"]["error"], Value::Null, "it did not fail");

    let asked = client.enqueue_with(json!({"prompt": "x", "requires_approval": true}));
    client.call(
        "approve",
        json!({"task_id": asked, "by": "ada", "comment": "go ahead"}),
    );
    let human = client.enqueue_with(json!({"prompt": "Deploy?", "type": "human"}));
    client.call("reject", json!({"task_id": human, "reason": "too risky"}));
    assert_eq!(
        get(&mut client, asked)["decisions"][0]["comment"],
        "go ahead"
    );
    let refused = get(&mut client, human);
    let decision = &refused["decisions"][0];
    assert_eq!(
        (&decision["verdict"], &decision["comment"], &decision["by"]),
        (&json!("rejected"), &json!("too risky"), &Value::Null)
    );
    assert_eq!(refused["task"]["error"], "rejected: too risky");
}

#[test]
fn a_heartbeat_learns_of_a_cancel_whose_notification_was_missed() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    let fence = client.lease(json!({}))["fence"].take();
    hub.client().call("cancel", json!({"task_id": id}));
    let error = client.refused("heartbeat", json!({"task_id": id, "fence": fence}));
    assert_eq!(word(&error), "stale_lease");
    assert_eq!(error["data"]["status"], "cancelled");
}

// ---------------------------------------------------------------- output

#[test]
fn every_attempt_shows_what_it_printed() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue_with(
        json!({"prompt": "x", "max_attempts": 5, "retry": {"initial_seconds": 0.001}}),
    );
    for attempt in 1..=2 {
        client.lease(json!({}));
        let text = format!("try {attempt}\n");
        client.call("output", json!({"task_id": id, "text": text}));
        client.call("ack", json!({"task_id": id, "status": "failed"}));
    }
    let mut output = |attempt: Value| {
        let params = json!({"task_id": id, "output": true, "attempt": attempt});
        client.call("get", params)["output"].take()
    };
    assert_eq!(output(Value::Null)[0]["text"], "try 2\n");
    assert_eq!(
        output(json!(1)),
        json!([{"fence": 1, "text": "try 1\n", "cut": false, "next_chunk": 1}])
    );
    let error = client.refused("get", json!({"task_id": id, "output": true, "attempt": 3}));
    assert_eq!(word(&error), "invalid_params");
    assert!(sentence(&error).contains("newest attempt"), "{error}");
}

#[test]
fn output_that_was_cut_says_so() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    client.lease(json!({}));
    let piece = "o".repeat(1 << 20);
    let cut = |client: &mut Client| {
        let got = client.call("get", json!({"task_id": id, "output": true}));
        got["output"][0]["cut"].as_bool().unwrap()
    };
    let mut print = |count| {
        for _ in 0..count {
            client.call("output", json!({"task_id": id, "text": piece}));
        }
        cut(&mut client)
    };
    // The limit of 4 MiB is met exactly, then exceeded.
    assert_eq!((print(4), print(1)), (false, true));
    let longer = json!({"task_id": id, "text": format!("{piece}o")});
    assert_eq!(word(&client.refused("output", longer)), "too_large");
}

// ---------------------------------------------------------------- watching

#[test]
fn a_watch_from_before_a_restart_has_a_gap_whatever_its_number() {
    let setup = Setup::new();
    let hub = setup.start();
    let mut client = hub.client();
    let watched = client.call("watch", json!({}));
    let boot_id = watched["boot_id"].clone();
    assert_eq!(boot_id, client.call("hello", json!({}))["boot_id"]);
    let since = watched["seq"].as_u64().unwrap();
    let again = json!({"since": since, "boot_id": boot_id});
    assert_eq!(hub.client().call("watch", again.clone())["gap"], false);
    let hub = hub.kill().start();
    let mut client = hub.client();
    // The new hub's numbers pass the old one.
    until("the numbers have passed", || {
        client.enqueue("x");
        (client.call("watch", json!({}))["seq"].as_u64().unwrap() > since).then_some(())
    });
    let mut late = hub.client();
    let answer = late.call("watch", again);
    assert_eq!(answer["gap"], true);
    assert_ne!(answer["boot_id"], boot_id);
    assert_eq!(
        late.notice("event")["seq"],
        1,
        "all that this hub has comes after it"
    );
}

#[test]
fn watchers_are_asked_when_a_task_begins_to_wait_for_a_person() {
    let hub = Hub::start();
    let (mut client, mut watcher) = (hub.client(), hub.client());
    watcher.call("watch", json!({"kinds": ["task"]}));
    let human =
        client.enqueue_with(json!({"prompt": "Deploy to production?\nreally", "type": "human"}));
    let asked = watcher.notice("approval");
    assert_eq!(asked["task_id"], human);
    assert_eq!(asked["question"], "Deploy to production?");
    let waits = client.enqueue_with(json!({"prompt": "Drop it", "requires_approval": true}));
    let asked = watcher.notice("approval");
    assert_eq!(asked["task_id"], waits);
    assert_eq!(asked["question"], "may it run? Drop it");
    // A run that cannot go on without a person asks too; so does one that depends on others, when its time comes.
    let login = client.enqueue("x");
    client.lease(json!({}));
    let later =
        client.enqueue_with(json!({"prompt": "And now?", "type": "human", "depends_on": [login]}));
    client.call(
        "ack",
        json!({"task_id": login, "status": "failed", "class": "auth_required", "error": "log in first"}),
    );
    let asked = watcher.notice("approval");
    assert_eq!(asked["task_id"], login);
    assert_eq!(asked["question"], "may it run again? log in first");
    client.call("approve", json!({"task_id": login}));
    let task = client.lease(json!({}));
    client.call(
        "ack",
        json!({"task_id": login, "fence": task["fence"], "status": "done"}),
    );
    let asked = watcher.notice("approval");
    assert_eq!(
        (&asked["task_id"], &asked["question"]),
        (&json!(later), &json!("And now?"))
    );
}

#[test]
fn watchers_are_told_that_the_hub_stops_before_their_connection_ends() {
    let mut hub = Hub::start();
    let mut watcher = hub.client();
    watcher.call("watch", json!({"kinds": ["hub"]}));
    hub.signal(rustix::process::Signal::TERM);
    assert_eq!(watcher.notice("event")["state"], "draining");
    assert_eq!(watcher.notice("event")["state"], "stopping");
    assert!(watcher.is_closed());
    assert!(hub.ended().success());
}

// ---------------------------------------------------------------- pause, filters

#[test]
fn a_pause_of_all_queues_covers_those_to_come() {
    let setup = Setup::new();
    let hub = setup.start();
    let (mut client, mut watcher) = (hub.client(), hub.client());
    watcher.call("watch", json!({"kinds": ["queue"]}));
    assert_eq!(
        client.call("stats", json!({}))["stats"]["paused"],
        json!([])
    );
    client.call("pause", json!({"queue": "docs"}));
    let all = json!({"ok": true, "paused": ["*", "docs"]});
    assert_eq!(client.call("pause", json!({})), all);
    assert_eq!(client.call("pause", json!({})), all, "twice is fine");
    for queue in ["docs", "*"] {
        let event = watcher.notice("event");
        assert_eq!(
            (&event["queue"], &event["state"]),
            (&json!(queue), &json!("paused"))
        );
    }
    let hub = hub.kill().start();
    let mut client = hub.client();
    client.enqueue_with(json!({"prompt": "x", "queue": "made-later"}));
    let lease = json!({"queues": ["made-later"]});
    assert_eq!(client.call("lease", lease.clone()), json!({"tasks": []}));
    let stats = client.call("list", json!({}))["stats"].take();
    assert_eq!(stats["paused"], json!(["*", "docs"]));
    // One queue cannot be let go while all are held.
    let answer = client.call("resume", json!({"queue": "docs"}));
    assert_eq!(answer["paused"], json!(["*"]));
    let mut worker = hub.client();
    let parked = worker.send(
        "lease",
        json!({"queues": ["made-later"], "wait_seconds": 20}),
    );
    until("the lease waits", || {
        let page = client.call("agents", json!({"all": true}));
        let waits = page["connections"].as_array().unwrap().iter();
        waits.filter(|c| c["in_flight"] == 1).nth(1).map(|_| ())
    });
    assert_eq!(
        client.call("resume", json!({})),
        json!({"ok": true, "paused": []})
    );
    assert_eq!(ids(&worker.result(parked)), [1]);
}

#[test]
fn the_children_of_a_task_are_listed_page_by_page() {
    let hub = Hub::with(&["store.retention=1h"]);
    let mut client = hub.client();
    let parent = client.enqueue("parent");
    let other = client.enqueue("other");
    let child = |client: &mut Client, parent: i64, queue: &str| {
        client.enqueue_with(json!({"prompt": "c", "parent_id": parent, "queue": queue}))
    };
    let first = child(&mut client, parent, "default");
    child(&mut client, other, "default");
    let second = child(&mut client, parent, "docs");
    let third = child(&mut client, parent, "default");
    client.call("cancel", json!({"task_id": first}));
    let mut list = |params: Value| client.call("list", params);
    assert_eq!(
        ids(&list(json!({"parent_id": parent}))),
        [third, second, first]
    );
    let page = list(json!({"parent_id": parent, "limit": 2}));
    assert_eq!(ids(&page), [third, second]);
    let rest = list(json!({"parent_id": parent, "limit": 2, "before": page["next"]}));
    assert_eq!((ids(&rest), &rest["next"]), (vec![first], &Value::Null));
    assert_eq!(
        ids(&list(
            json!({"parent_id": parent, "status": "queued", "queue": "docs"})
        )),
        [second]
    );
    assert_eq!(
        ids(&list(json!({"parent_id": parent, "status": "cancelled"}))),
        [first]
    );
    assert_eq!(ids(&list(json!({"parent_id": first}))), [0; 0]);
}

#[test]
fn failed_tasks_of_one_queue_are_retried_alone() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut failed = Vec::new();
    for queue in ["default", "docs", "docs"] {
        let id = client.enqueue_with(json!({"prompt": "x", "queue": queue}));
        client.lease(json!({"queues": [queue]}));
        client.call(
            "ack",
            json!({"task_id": id, "status": "failed", "error": "e"}),
        );
        failed.push(id);
    }
    let retry = |queue: Value| json!({"queue": queue});
    assert_eq!(
        client.call("retry_failed", retry(json!("nowhere"))),
        json!({"retried": 0})
    );
    assert_eq!(
        client.call("retry_failed", retry(json!("docs"))),
        json!({"retried": 2})
    );
    let states: Vec<String> = failed.iter().map(|id| client.status(*id)).collect();
    assert_eq!(states, ["failed", "queued", "queued"]);
    let stats = client.call("stats", json!({}))["stats"].take();
    assert_eq!((&stats["failed"], &stats["queued"]), (&json!(1), &json!(2)));
    assert_eq!(
        ids(&client.call("lease", json!({"queues": ["docs"], "max_tasks": 5}))),
        failed[1..]
    );
    assert_eq!(
        client.call("retry_failed", retry(Value::Null)),
        json!({"retried": 1})
    );
}

// ---------------------------------------------------------------- connections

#[test]
fn all_connections_are_shown_page_by_page() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.call("stats", json!({}));
    let mut waits = hub.client();
    waits.send("lease", json!({"wait_seconds": 60}));
    let _session = hub.session("s-1");
    let page = until("all three are there and one waits", || {
        let answer = client.call("agents", json!({"all": true}));
        let page = answer["connections"].as_array().unwrap().clone();
        (page.len() == 3 && page[1]["in_flight"] == 1).then_some(answer)
    });
    let connections = page["connections"].as_array().unwrap();
    assert_eq!(connections[1]["session_id"], Value::Null);
    assert_eq!(connections[2]["session_id"], "s-1");
    assert!(connections[0]["since"].as_f64() <= connections[2]["since"].as_f64());
    assert!(
        connections[1]["peer"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(page["next"], Value::Null);
    let first = client.call("agents", json!({"all": true, "limit": 2}));
    assert_eq!(first["connections"].as_array().unwrap().len(), 2);
    let rest = client.call("agents", json!({"all": true, "after": first["next"]}));
    assert_eq!(rest["connections"].as_array().unwrap().len(), 1);
    let plain = client.call("agents", json!({}));
    assert_eq!(plain["connections"], Value::Null);
    let error = client.refused("agents", json!({"all": true, "limit": 99_999}));
    assert!(sentence(&error).contains("10000"), "{error}");
}

#[test]
fn a_burst_of_waiting_requests_stays_within_the_limit_exactly() {
    let hub = Hub::with(&["limits.in_flight_per_connection=4"]);
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": "x", "queue": "held"}));
    let mut burst = String::new();
    for number in 0..20 {
        let line = match number % 2 {
            0 => json!({"id": number, "method": "lease", "params": {"wait_seconds": 60}}),
            _ => {
                json!({"id": number, "method": "wait", "params": {"task_ids": [id], "timeout_seconds": 60}})
            }
        };
        burst += &format!("{line}\n");
    }
    let mut many = hub.client();
    many.raw(burst);
    for _ in 0..16 {
        let answer = many.read();
        assert_eq!(answer["error"]["data"]["code"], "busy", "{answer}");
    }
    // Those four wait on, and give their places back when they are answered.
    let connections = client.call("agents", json!({"all": true}))["connections"].take();
    assert_eq!(connections[1]["in_flight"], 4);
    client.call("cancel", json!({"task_id": id}));
    for _ in 0..2 {
        assert_eq!(many.read()["result"]["finished"], true);
    }
    many.send("lease", json!({"wait_seconds": 0.001}));
    assert_eq!(many.read()["result"]["tasks"], json!([]));
}

/// The hub has no connection but this client's within a bounded time.
fn alone(client: &mut Client, what: &str) {
    until(what, || {
        let page = client.call("agents", json!({"all": true}));
        (page["connections"].as_array().unwrap().len() == 1).then_some(())
    });
}

#[test]
fn who_leaves_during_a_wait_does_not_keep_its_place() {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    let setup = Setup::new();
    let socket = setup.directory.path().join("hub.sock");
    let setting = format!("hub.socket={}", socket.display());
    let hub = setup.clone().set(&setting).start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    let wait =
        json!({"id": 1, "method": "wait", "params": {"task_ids": [id], "timeout_seconds": 600}});
    let wait = format!("{wait}\n");
    let arrived = |client: &mut Client| {
        until("the wait has arrived", || {
            let page = client.call("agents", json!({"all": true}));
            (page["connections"][1]["in_flight"] == 1).then_some(())
        });
    };

    // A Unix socket distinguishes a closed peer from one that only half-closed.
    let mut unix = UnixStream::connect(&socket).unwrap();
    unix.write_all(wait.as_bytes()).unwrap();
    arrived(&mut client);
    drop(unix);
    alone(&mut client, "the Unix client's connection is gone");

    // With TCP the hub learns it when the client's machine resets the connection.
    let mut tcp = std::net::TcpStream::connect(("127.0.0.1", hub.port)).unwrap();
    tcp.write_all(wait.as_bytes()).unwrap();
    arrived(&mut client);
    tcp.shutdown(std::net::Shutdown::Write).unwrap();
    let begun = Instant::now();
    rustix::net::sockopt::set_socket_linger(&tcp, Some(Duration::ZERO)).unwrap();
    drop(tcp);
    alone(&mut client, "the reset client's connection is gone");
    assert!(begun.elapsed() < Duration::from_secs(20));

    // A client that half-closes gets its answer, even after the check whether it still exists.
    let mut half = hub.client();
    half.raw(wait.replace("600", "3"));
    half.half_close();
    assert_eq!(half.read()["result"]["finished"], false);
}

#[test]
fn a_client_that_half_closes_gets_all_of_an_answer_that_it_reads_late() {
    let hub = Setup::new().start();
    let mut other = hub.client();
    // Far more than the buffers of both sockets take.
    let long = "x".repeat(8 << 20);
    let id = other.enqueue(&long);
    let mut half = hub.client();
    half.raw(format!(
        "{}\n",
        json!({"id": 1, "method": "get", "params": {"task_id": id}})
    ));
    half.half_close();
    // The hub has begun to send the answer, and knows that the client sends no more.
    until("only the late reader's answer is under way", || {
        let page = other.call("agents", json!({"all": true}));
        (page["connections"][1]["in_flight"] == 0 || page["connections"][1].is_null()).then_some(())
    });
    for _ in 0..20 {
        other.call("stats", json!({}));
    }
    let task = &half.read()["result"]["task"];
    assert!(task["prompt"] == long.as_str(), "the answer was cut");
}

// ---------------------------------------------------------------- backup, reload

#[test]
fn a_backup_is_a_store_that_a_hub_can_serve() {
    let setup = Setup::new();
    let data = setup.directory.path().join("data");
    let setting = format!("data_dir={}", data.display());
    let hub = setup.clone().set(&setting).start();
    let mut client = hub.client();
    for number in 0..50 {
        client.enqueue(&format!("task {number}"));
    }
    let made = client.call("backup", json!({"name": "first.db"}));
    assert_eq!(made["name"], "first.db");
    let path = std::path::PathBuf::from(made["path"].as_str().unwrap());
    assert_eq!(path, data.join("backups/first.db"));
    let file = std::fs::metadata(&path).unwrap();
    assert_eq!(file.len(), made["bytes"].as_u64().unwrap());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    client.enqueue("after it");

    // Existing files are not overwritten, and a client cannot choose the folder.
    let error = client.refused("backup", json!({"name": "first.db"}));
    assert_eq!(word(&error), "wrong_state");
    assert!(sentence(&error).contains("already"), "{error}");
    for name in ["../first.db", "/etc/x", ".hidden", "a b"] {
        let error = client.refused("backup", json!({"name": name}));
        assert_eq!(word(&error), "invalid_params", "{name}");
    }

    // By the command line, under a name of its own.
    let told = std::process::Command::new(env!("CARGO_BIN_EXE_kirosu"))
        .args(["backup", "--json", "--port", &hub.port.to_string()])
        .env_clear()
        .env("HOME", setup.directory.path())
        .current_dir(setup.directory.path())
        .output()
        .unwrap();
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let name = told["name"].as_str().unwrap();
    assert!(
        name.starts_with("kirosu-2") && name.ends_with("Z.db"),
        "{told}"
    );
    let mut files: Vec<_> = std::fs::read_dir(data.join("backups"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["first.db", name], "nothing unfinished is left");

    let restored = Setup::new();
    std::fs::copy(&path, restored.database()).unwrap();
    let restored = restored.start();
    let mut client = restored.client();
    let stats = client.call("stats", json!({}))["stats"].take();
    assert_eq!(stats["queued"], 50);
    assert_eq!(client.lease(json!({}))["prompt"], "task 0");
}

#[test]
fn a_reload_with_a_fault_in_a_definition_changes_nothing_and_tells_all_faults() {
    let setup = Setup::new().up();
    let file = setup.directory.path().join("kirosu.toml");
    let write = |prompt_bytes: &str, more: &str| {
        let text = format!(
            "[limits]\nprompt_bytes = \"{prompt_bytes}\"\n{more}\n\
             [providers.x]\nkind = \"command\"\ncommand = [\"cat\"]\n"
        );
        std::fs::write(
            &file,
            text + if more.is_empty() {
                ""
            } else {
                "mcp = { form = \"x\" }\n"
            },
        )
        .unwrap();
    };
    write("1 MiB", "");
    let hub = setup
        .argument("--config")
        .argument(file.to_str().unwrap())
        .start();
    write("1 KiB", "[retry]\njitter = 3");
    hub.signal(rustix::process::Signal::HUP);
    until("the reload is refused", || {
        hub.log().contains("was not reloaded").then_some(())
    });
    let log = hub.log();
    for part in ["retry.jitter", "providers.x.mcp.form"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    // The limit that it would have changed along with the fault is the old one.
    hub.client().enqueue(&"x".repeat(4096));
}

#[test]
fn rules_change_without_a_restart() {
    let setup = Setup::new();
    let file = setup.directory.path().join("kirosu.toml");
    let write = |retry: &str, rest: &str| {
        std::fs::write(
            &file,
            format!("[retry]\nmax = \"1day\"\ninitial = \"{retry}\"\njitter = 0.0\n{rest}"),
        )
        .unwrap();
    };
    write("20m", "");
    let hub = setup
        .argument("--config")
        .argument(file.to_str().unwrap())
        .start();
    let mut client = hub.client();
    let fail = |client: &mut Client| {
        let id = client.enqueue_with(json!({"prompt": "x", "max_attempts": 2}));
        client.lease(json!({}));
        client.call("ack", json!({"task_id": id, "status": "failed"}));
        let task = client.task(id);
        task["run_at"].as_f64().unwrap() - task["updated_at"].as_f64().unwrap()
    };
    assert_eq!(fail(&mut client).round(), 1200.0);
    let id = client.enqueue_with(json!({"prompt": "x", "queue": "late"}));
    let lease = json!({"queues": ["late"], "lease_seconds": 1});
    let late = client.lease(lease);
    write(
        "40m",
        "[lease]\nstrict_expiry = true\nsession_grace = \"0s\"\n",
    );
    let away = hub.session("s-1");
    hub.signal(rustix::process::Signal::HUP);
    until("the new rules are in force", || {
        hub.log()
            .contains("the configuration was reloaded")
            .then_some(())
    });
    assert!(!hub.log().contains("only after a restart"), "{}", hub.log());
    assert_eq!(fail(&mut client).round(), 2400.0);
    // A late ack is refused now.
    until("the lease is over", || {
        (client.status(id) == "queued").then_some(())
    });
    let ack = json!({"task_id": id, "fence": late["fence"], "status": "done"});
    assert_eq!(word(&client.refused("ack", ack)), "stale_lease");
    // A session that goes away is lost at once.
    drop(away);
    until("the session is gone", || {
        let agents = client.call("agents", json!({}))["agents"].take();
        (agents == json!([])).then_some(())
    });
}
