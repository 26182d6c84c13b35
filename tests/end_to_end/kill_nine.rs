//! `kill -9` of the hub in the middle of work: nothing is lost, nothing is done twice. (`tests/load` does this for hours
//! and checks every call; this is the version that runs with each change.)

use crate::common::{Client, Setup, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const TASKS: usize = 400;
const WORKERS: usize = 6;
/// The hub is killed when this number of tasks is done.
const KILLS: [i64; 3] = [60, 170, 290];

/// A client that takes broken connections as a matter of course.
struct Stubborn {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
}

impl Stubborn {
    fn new(port: u16) -> Stubborn {
        Stubborn { port, stream: None }
    }

    /// One try; an error leaves open whether the request took effect.
    fn attempt(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port))?;
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        let line = json!({"id": 1, "method": method, "params": params}).to_string() + "\n";
        stream.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        if stream.read_line(&mut answer)? == 0 || !answer.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream = Some(stream);
        Ok(serde_json::from_str(&answer)?)
    }

    /// The same request again and again until it is answered.
    fn insist(&mut self, method: &str, params: &Value) -> Value {
        until("the hub is back", || self.attempt(method, params).ok())
    }
}

/// The observations of the workers.
#[derive(Default)]
struct Seen {
    /// Leases handed out: no two alike.
    leases: HashSet<(i64, i64)>,
    /// The fences whose ack was taken, and what it said.
    acked: BTreeMap<i64, Vec<String>>,
}

fn work(port: u16, number: usize, stop: &AtomicBool, seen: &Mutex<Seen>) {
    let name = format!("w{number}");
    let mut hub = Stubborn::new(port);
    let lease = json!({"worker_id": name, "lease_seconds": 2, "wait_seconds": 0.2, "max_tasks": 1 + number % 3});
    while !stop.load(Ordering::Relaxed) {
        // A lease whose answer is lost comes back when it expires.
        let Ok(answer) = hub.attempt("lease", &lease) else {
            std::thread::yield_now();
            continue;
        };
        for task in answer["result"]["tasks"].as_array().into_iter().flatten() {
            let (id, fence) = (
                task["task_id"].as_i64().unwrap(),
                task["fence"].as_i64().unwrap(),
            );
            let fresh = seen.lock().unwrap().leases.insert((id, fence));
            assert!(fresh, "lease {fence} of task {id} was handed out twice");
            let result = format!("{name} {fence} {}", task["prompt"].as_str().unwrap());
            let mut ack = json!({"task_id": id, "status": "done", "result": result});
            // New clients say their fence, careful old ones their name.
            match number % 2 {
                0 => ack["fence"] = fence.into(),
                _ => ack["worker_id"] = name.as_str().into(),
            }
            let answer = hub.insist("ack", &ack);
            if answer["error"].is_null() {
                seen.lock()
                    .unwrap()
                    .acked
                    .entry(id)
                    .or_default()
                    .push(result);
            } else {
                assert_eq!(answer["error"]["data"]["code"], "stale_lease", "{answer}");
            }
        }
    }
}

/// Makes the tasks one by one, each with a key, so that a second try after a break makes no second task.
fn enqueue_all(port: u16) -> Vec<i64> {
    let mut hub = Stubborn::new(port);
    let one = |n: usize| {
        let params = json!({"prompt": format!("task {n}"), "idempotency_key": format!("key {n}")});
        let answer = hub.insist("enqueue", &params);
        answer["result"]["task_id"]
            .as_i64()
            .unwrap_or_else(|| panic!("{answer}"))
    };
    (0..TASKS).map(one).collect()
}

#[test]
fn nothing_is_lost_and_nothing_done_twice() {
    let mut setup = Setup::new();
    let mut hub = setup.start();
    // It comes back where its clients look for it.
    setup.port = hub.port;
    hub.setup.port = hub.port;
    let (stop, seen) = (AtomicBool::new(false), Mutex::new(Seen::default()));
    let (port, stop, seen) = (hub.port, &stop, &seen);
    let (mut hub, enqueued) = std::thread::scope(|scope| {
        let mut hub = hub;
        let stops = Stops(stop);
        for number in 0..WORKERS {
            scope.spawn(move || work(port, number, stop, seen));
        }
        let enqueuing = scope.spawn(move || enqueue_all(port));
        for limit in KILLS {
            done_at_least(port, limit);
            hub = hub.kill().start();
        }
        let enqueued = enqueuing.join().unwrap();
        done_at_least(port, TASKS as i64);
        drop(stops);
        (hub, enqueued)
    });

    let distinct: HashSet<i64> = enqueued.iter().copied().collect();
    assert_eq!(
        (distinct.len(), enqueued.len()),
        (TASKS, TASKS),
        "each key made one task"
    );
    let mut client = hub.client();
    let listed = client.call("list", json!({"limit": 0}));
    let stats = &listed["stats"];
    assert_eq!(
        (&stats["total_tasks"], &stats["done"]),
        (&json!(TASKS), &json!(TASKS)),
        "{stats}"
    );
    let seen = seen.lock().unwrap();
    for task in listed["tasks"].as_array().unwrap() {
        let id = task["task_id"].as_i64().unwrap();
        assert_eq!(task["status"], "done");
        assert!(distinct.contains(&id), "nobody made task {id}");
        let acked = seen.acked.get(&id).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(
            acked,
            [task["result"].as_str().unwrap()],
            "task {id}: one ack is taken, and its result stands"
        );
        let number = enqueued.iter().position(|e| *e == id).unwrap();
        assert_eq!(task["prompt"], format!("task {number}"));
    }
    client.call("shutdown", json!({}));
    assert_eq!(hub.ended().code(), Some(0));
    check_file(&setup);
}

/// Ends the workers even when an assertion fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn done_at_least(port: u16, limit: i64) {
    let mut client = Client::connect(port);
    until(&format!("{limit} tasks are done"), || {
        let stats = client.call("stats", json!({}))["stats"].take();
        (stats["done"].as_i64() >= Some(limit)).then_some(())
    });
}

/// Another program's SQLite finds the file in order, and no lease without an owner in it.
fn check_file(setup: &Setup) {
    let program = "import sqlite3, sys\n\
                   db = sqlite3.connect(sys.argv[1])\n\
                   print(db.execute('PRAGMA integrity_check').fetchall(), db.execute('PRAGMA foreign_key_check').fetchall(), db.execute('SELECT count(*) FROM task').fetchone()[0])";
    let output = Command::new("python3")
        .arg("-c")
        .arg(program)
        .arg(setup.database())
        .output();
    let output = output.expect("python3 is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), format!("[('ok',)] [] {TASKS}"), "{errors}");
}
