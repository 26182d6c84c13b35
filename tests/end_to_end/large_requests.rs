//! Requests that the hub carries out in parts: all or none over `kill -9`, in order, and without delay for other clients.

use crate::common::{Client, Hub, Setup, ids, sentence, until, word};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

/// The number of kills, spread over the time that a batch takes.
const KILLS: u32 = 6;
/// The most tasks of one request.
const MANY: usize = 10_000;

fn tasks(count: usize, keys: &str) -> Value {
    let task =
        |n: usize| json!({"prompt": format!("task {n}"), "idempotency_key": format!("{keys}{n}")});
    Value::from_iter((0..count).map(task))
}

fn plain(count: usize) -> Value {
    Value::from(vec![json!({"prompt": "p"}); count])
}

fn total(client: &mut Client) -> i64 {
    client.call("stats", json!({}))["stats"]["total_tasks"]
        .as_i64()
        .unwrap()
}

#[test]
fn a_kill_in_the_middle_of_a_large_batch_leaves_all_of_it_or_nothing() {
    // Begin: how long the whole batch takes on this machine.
    let hub = Hub::start();
    let begun = Instant::now();
    hub.client()
        .call("enqueue_batch", json!({"tasks": tasks(MANY, "k")}));
    let took = begun.elapsed();
    drop(hub);
    let mut seen = [0, 0];
    for step in 0..KILLS {
        let hub = Setup::new().start();
        let mut client = hub.client();
        client.enqueue("before");
        client.send("enqueue_batch", json!({"tasks": tasks(MANY, "k")}));
        // Not a wait for anything: the kills are spread over this time.
        thread::sleep(took * (step + 1) / KILLS);
        let hub = hub.kill().start();
        let mut client = hub.client();
        let kept = total(&mut client);
        assert!(kept == 1 || kept == 1 + MANY as i64, "{kept} tasks");
        seen[usize::from(kept > 1)] += 1;
        let again = client.call("enqueue_batch", json!({"tasks": tasks(MANY, "k")}));
        let wanted: Vec<i64> = (2..2 + MANY as i64).collect();
        assert_eq!(again["task_ids"], json!(wanted));
        assert_eq!(total(&mut client), 1 + MANY as i64);
        assert_eq!(client.task(1 + MANY as i64)["prompt"], "task 9999");
    }
    println!("none of the batch: {}, all: {}", seen[0], seen[1]);
}

#[test]
fn requests_of_one_client_keep_their_order_around_a_large_one() {
    let hub = Hub::start();
    let mut client = hub.client();
    let requests = [
        ("enqueue", json!({"prompt": "first"})),
        ("enqueue_batch", json!({"tasks": tasks(MANY, "a")})),
        ("enqueue", json!({"prompt": "then"})),
        ("enqueue_batch", json!({"tasks": tasks(MANY, "b")})),
        ("lease", json!({"max_tasks": 1000})),
        ("stats", json!({})),
    ];
    let mut numbers = Vec::new();
    for (method, params) in requests {
        numbers.push(client.send(method, params));
    }
    let said: Vec<Value> = numbers.iter().map(|id| client.result(*id)).collect();
    let many = MANY as i64;
    assert_eq!(said[1]["task_ids"][0], 2);
    assert_eq!(said[2]["task_id"], 2 + many);
    assert_eq!(said[3]["task_ids"][MANY - 1], 2 + 2 * many);
    assert_eq!(ids(&said[4]).len(), 1000);
    assert_eq!(said[5]["stats"]["total_tasks"], 2 + 2 * many);
}

#[test]
fn a_request_with_a_key_of_a_batch_under_way_waits_for_it() {
    let hub = Hub::start();
    let mut clients: Vec<Client> = (0..3).map(|_| hub.client()).collect();
    let batch = json!({"tasks": tasks(MANY, "k")});
    let mut numbers = vec![clients[0].send("enqueue_batch", batch.clone())];
    // The batch is under way when its first tasks are there.
    let mut looks = hub.client();
    until("a part of the batch", || {
        (total(&mut looks) > 0).then_some(())
    });
    numbers.push(clients[1].send("enqueue_batch", batch));
    let last = json!({"prompt": "task 9999", "idempotency_key": "k9999"});
    numbers.push(clients[2].send("enqueue", last));
    let said: Vec<Value> = (0..3).map(|n| clients[n].result(numbers[n])).collect();
    assert_eq!(said[0]["task_ids"], said[1]["task_ids"]);
    assert_eq!(said[1]["existed"].as_array().unwrap().len(), MANY);
    assert_eq!(said[2]["task_id"], said[0]["task_ids"][MANY - 1]);
    assert_eq!(total(&mut looks), MANY as i64);
}

#[test]
fn a_refused_large_batch_leaves_nothing() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut batch = tasks(MANY, "k");
    batch[MANY - 1]["depends_on"] = json!([12_345]);
    let refused = client.refused("enqueue_batch", json!({"tasks": batch}));
    assert_eq!(word(&refused), "invalid_params");
    assert!(
        sentence(&refused).contains("`tasks[9999].depends_on` names unknown task 12345"),
        "{refused}"
    );
    assert_eq!(total(&mut client), 0);
    let kept = client.enqueue_with(json!({"prompt": "other", "idempotency_key": "k0"}));
    assert_eq!(kept, 1, "its keys are free");
}

#[test]
fn each_of_many_acks_is_answered() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.call("enqueue_batch", json!({"tasks": plain(MANY)}));
    let mut acks = Vec::new();
    for _ in 0..MANY / 1000 {
        let leased = client.call("lease", json!({"max_tasks": 1000}));
        acks.extend(
            ids(&leased)
                .iter()
                .map(|id| json!({"task_id": id, "status": "done"})),
        );
    }
    acks[MANY / 2]["fence"] = json!(77);
    let said = client.call("ack", json!({"acks": acks, "lease": {"max_tasks": 1}}));
    let outcomes = said["acks"].as_array().unwrap();
    assert_eq!(outcomes.len(), MANY);
    let refused: Vec<usize> = (0..MANY)
        .filter(|n| !outcomes[*n]["error"].is_null())
        .collect();
    assert_eq!(refused, [MANY / 2], "{}", outcomes[MANY / 2]);
    let order: Vec<i64> = outcomes
        .iter()
        .map(|outcome| outcome["task_id"].as_i64().unwrap())
        .collect();
    assert!(order.is_sorted());
    assert_eq!(said["tasks"], json!([]));
    assert_eq!(
        client.call("stats", json!({}))["stats"]["done"],
        MANY as i64 - 1
    );
}

#[test]
fn a_crash_of_the_writer_in_the_middle_of_a_lease_gives_its_tasks_back_at_once() {
    let hub = Hub::start();
    let mut client = hub.client();
    let mut workers: Vec<Client> = (0..4).map(|_| hub.client()).collect();
    let (mut held, mut unknown) = (0, 0);
    // Until the crash has met one of them between two commits.
    for round in 0..5 {
        let queue = format!("q{round}");
        let tasks = vec![json!({"prompt": "p", "queue": queue}); workers.len() * 1000];
        client.call("enqueue_batch", json!({"tasks": tasks}));
        let lease = json!({"max_tasks": 1000, "queues": queue});
        let mut send = |worker: &mut Client| worker.send("lease", lease.clone());
        let sent: Vec<u64> = workers.iter_mut().map(&mut send).collect();
        // A change that is answered when the first parts are committed.
        client.call("pause", json!({"queue": "other"}));
        client.call("_panic", json!({"path": "root/writer"}));
        for (worker, id) in workers.iter_mut().zip(sent) {
            let answer = worker.answer(id);
            match answer["error"].is_null() {
                true => held += ids(&answer["result"]).len(),
                false => unknown += usize::from(answer["error"]["data"]["effect"] == "unknown"),
            }
        }
        until("only answered leases", || {
            let leased = client.call("stats", json!({}))["stats"]["leased"].take();
            (leased == held).then_some(())
        });
        if unknown > 0 {
            return;
        }
    }
    panic!("no crash in the middle of a lease");
}

#[test]
fn each_of_many_leases_gets_its_actor_with_its_first_report() {
    let hub = Hub::start();
    let mut client = hub.client();
    client.call("enqueue_batch", json!({"tasks": plain(1000)}));
    let leased = ids(&client.call("lease", json!({"max_tasks": 1000})));
    assert_eq!(leased.len(), 1000);
    let report = json!({"task_id": leased[500], "text": "out"});
    client.call("output", report.clone());
    client.call("output", report);
    let task = client.call("get", json!({"task_id": leased[500], "output": true}));
    assert_eq!(task["output"][0]["text"], "out".repeat(2), "{task}");
    let tree = client.call("tree", json!({}))["tree"].take();
    let children = tree["children"].as_array().unwrap().iter();
    let actors: Vec<&Value> = children
        .filter(|child| child["name"] == "leases")
        .flat_map(|leases| leases["children"].as_array().unwrap())
        .collect();
    assert_eq!(actors.len(), 1, "{actors:?}");
    client.call("ack", json!({"task_id": leased[500], "status": "done"}));
}

#[test]
fn others_are_served_while_a_large_request_is_under_way() {
    let hub = Hub::start();
    let (mut large, mut small) = (hub.client(), hub.client());
    let mut served = 0;
    let begun = Instant::now();
    // Whether another client is served in between shows in the ids that it gets.
    while served == 0 && begun.elapsed() < Duration::from_secs(60) {
        let number = large.send("enqueue_batch", json!({"tasks": plain(MANY)}));
        let mut between = Vec::new();
        let batch = thread::scope(|scope| {
            let answer = scope.spawn(|| large.result(number)["task_ids"].take());
            while !answer.is_finished() {
                between.push(small.enqueue("s"));
            }
            answer.join().unwrap()
        });
        let (first, last) = (
            batch[0].as_i64().unwrap(),
            batch[MANY - 1].as_i64().unwrap(),
        );
        served = between
            .iter()
            .filter(|id| (first..last).contains(*id))
            .count();
    }
    assert!(served > 0, "every request waited for a whole batch");
}

#[test]
fn long_lines_keep_their_place_and_the_last_needs_no_line_end() {
    let hub = Hub::start();
    let mut client = hub.client();
    // Longer than a line whose parameters are read on the hub's own thread.
    let long = "p".repeat(300 << 10);
    let enqueue = |id: u32, prompt: &str| {
        json!({"id": id, "method": "enqueue", "params": {"prompt": prompt}}).to_string()
    };
    client.raw([enqueue(1, &long), enqueue(2, "short"), enqueue(3, &long)].join("\n"));
    client.half_close();
    for id in 1..=3 {
        let answer = client.read();
        assert_eq!(answer["id"], id, "{answer}");
        assert_eq!(answer["result"]["task_id"], id, "{answer}");
    }
    assert_eq!(client.rest(), "");

    let mut client = hub.client();
    let refused = client.refused("enqueue", json!({"prompt": long, "priority": 5000}));
    assert_eq!(word(&refused), "invalid_params");
    assert_eq!(client.enqueue("after it"), 4);
}

/// A text of many pieces, with characters of several bytes.
fn long_text(salt: &str) -> String {
    salt.to_owned() + &"😀é text ".repeat(500_000)
}

fn commits(client: &mut Client) -> u64 {
    let answer = client.call("metrics", json!({}));
    let mut series = answer["metrics"].as_array().unwrap().iter();
    let commits = series.find(|series| series["name"] == "kirosu_commit_commands");
    commits.unwrap()["count"].as_u64().unwrap()
}

#[test]
fn long_texts_are_stored_in_parts_and_read_back_whole() {
    let hub = Hub::start();
    let mut client = hub.client();
    let [prompt, result] = ["prompt", "result"].map(long_text);
    let parts = (prompt.len() >> 20) as u64;
    let before = commits(&mut client);
    let id = client.enqueue_with(json!({"prompt": prompt, "idempotency_key": "k"}));
    assert!(commits(&mut client) - before > parts);
    let leased = client.call("lease", json!({}));
    assert!(leased["tasks"][0]["prompt"] == prompt);
    let before = commits(&mut client);
    let ack = json!({"task_id": id, "status": "done", "result": result, "lease": {}});
    assert_eq!(client.call("ack", ack.clone())["ok"], true);
    assert!(commits(&mut client) - before > parts);
    let task = client.task(id);
    assert!(task["prompt"] == prompt && task["result"] == result);
    assert_eq!(client.call("ack", ack)["ok"], true, "the same again");
    // Again with its key: the same task, and other parameters are refused.
    let again = json!({"prompt": prompt, "idempotency_key": "k"});
    assert_eq!(client.enqueue_with(again), id);
    let other = json!({"prompt": long_text("other"), "idempotency_key": "k"});
    assert_eq!(word(&client.refused("enqueue", other)), "invalid_params");
    // In a list each is answered for itself; and a batch has whole texts, too.
    let batch = json!([{"prompt": "short"}, {"prompt": prompt}]);
    let batch = client.call("enqueue_batch", json!({"tasks": batch}));
    assert_eq!(batch["task_ids"], json!([2, 3]));
    client.call("lease", json!({"max_tasks": 5}));
    let acks = json!([
        {"task_id": 2, "status": "done", "result": "r"},
        {"task_id": 3, "status": "done", "result": result, "fence": 7},
        {"task_id": 3, "status": "failed", "error": result},
    ]);
    let answer = client.call("ack", json!({"acks": acks}));
    let codes: Vec<bool> = answer["acks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| outcome["ok"] == true)
        .collect();
    assert_eq!(codes, [true, false, true], "{answer}");
    let task = client.task(3);
    assert!(task["prompt"] == prompt && task["error"] == result);
}

#[test]
fn requests_of_one_client_keep_their_order_around_a_long_text() {
    let hub = Hub::start();
    let mut client = hub.client();
    let requests = [
        ("enqueue", json!({"prompt": "first"})),
        ("enqueue", json!({"prompt": long_text("a")})),
        ("enqueue", json!({"prompt": "then"})),
        ("enqueue", json!({"prompt": long_text("b")})),
        ("stats", json!({})),
    ];
    let numbers = requests.map(|(method, params)| client.send(method, params));
    let said = numbers.map(|id| client.result(id));
    for (place, answer) in said[..4].iter().enumerate() {
        assert_eq!(answer["task_id"], 1 + place as i64);
    }
    assert_eq!(said[4]["stats"]["total_tasks"], 4);
}

#[test]
fn a_kill_in_the_middle_of_a_long_text_leaves_all_of_it_or_nothing() {
    let hub = Hub::start();
    let new = json!({"prompt": long_text("p"), "idempotency_key": "k"});
    let begun = Instant::now();
    hub.client().call("enqueue", new.clone());
    let took = begun.elapsed();
    drop(hub);
    let mut seen = [0, 0];
    for step in 0..KILLS {
        let hub = Setup::new().start();
        let mut client = hub.client();
        client.enqueue("before");
        client.send("enqueue", new.clone());
        // Not a wait for anything: the kills are spread over this time.
        thread::sleep(took * (step + 1) / KILLS);
        let hub = hub.kill().start();
        let mut client = hub.client();
        let kept = total(&mut client);
        assert!(kept == 1 || kept == 2, "{kept} tasks");
        seen[usize::from(kept > 1)] += 1;
        assert_eq!(client.enqueue_with(new.clone()), 2);
        assert!(client.task(2)["prompt"] == new["prompt"]);
        assert_eq!(total(&mut client), 2);
    }
    println!("nothing of the text: {}, all: {}", seen[0], seen[1]);
}
