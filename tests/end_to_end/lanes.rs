//! Provider accounts end to end: `kirosu up` against a service that counts how often it is asked, and says when it has
//! had enough.

use crate::common::{Client, Hub, Setup, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

// ---------------------------------------------------------------- the service

/// The service's reaction to a request.
#[derive(Clone, Copy, PartialEq)]
pub enum Does {
    Answers,
    /// Refuses for so long.
    Limits(Duration),
    /// Wants a key.
    Refuses,
}

#[derive(Default)]
struct Seen {
    /// When it was asked, and whether it answered.
    asked: Vec<(Instant, bool)>,
    busy: usize,
    /// Most requests at a time.
    most: usize,
}

/// A model API of OpenAI's form on a port of its own.
#[derive(Clone)]
pub struct Service {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    does: Arc<Mutex<Does>>,
    /// How long an answer takes.
    takes: Duration,
}

impl Service {
    pub fn start(does: Does, takes: Duration) -> Service {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Service {
            port: door.local_addr().unwrap().port(),
            seen: Arc::default(),
            does: Arc::new(Mutex::new(does)),
            takes,
        };
        let open = service.clone();
        std::thread::spawn(move || {
            for visitor in door.incoming().flatten() {
                let service = open.clone();
                std::thread::spawn(move || service.attend(visitor));
            }
        });
        service
    }

    pub fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        self.seen.lock().unwrap().asked.len()
    }

    fn answered(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.asked.iter().filter(|(_, answered)| *answered).count()
    }

    /// One request a connection.
    fn attend(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or_default() == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let answer = match first.starts_with("POST") {
            true => self.complete(),
            // The look whether it is there.
            false => json_answer("200 OK", "", r#"{"data":[]}"#),
        };
        let _ = (&stream).write_all(answer.as_bytes());
    }

    fn complete(&self) -> String {
        let does = *self.does.lock().unwrap();
        {
            let mut seen = self.seen.lock().unwrap();
            seen.asked.push((Instant::now(), does == Does::Answers));
            seen.busy += 1;
            seen.most = seen.most.max(seen.busy);
        }
        if does == Does::Answers {
            // Answers take time; only the caller waits for this.
            std::thread::park_timeout(self.takes);
        }
        self.seen.lock().unwrap().busy -= 1;
        match does {
            Does::Answers => answer(),
            Does::Limits(wait) => {
                let after = format!("retry-after-ms: {}\r\n", wait.as_millis());
                let body = r#"{"error":{"message":"slow down"}}"#;
                json_answer("429 Too Many Requests", &after, body)
            }
            Does::Refuses => {
                let body = r#"{"error":{"message":"no such key"}}"#;
                json_answer("401 Unauthorized", "", body)
            }
        }
    }
}

fn json_answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer() -> String {
    let chunks = [
        json!({"choices":[{"index":0,"delta":{"role":"assistant","content":"fine"}}]}),
        json!({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}),
        json!({"choices":[],"usage":{"prompt_tokens":90,"completion_tokens":10,"total_tokens":100}}),
    ];
    let events: String = chunks.map(|it| format!("data: {it}\n\n")).concat();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}data: [DONE]\n\n"
    )
}

// ---------------------------------------------------------------- the swarm

/// `kirosu up` with `svc` as a provider that speaks to the service.
fn setup(service: &Service) -> Setup {
    provider(Setup::new().up(), "svc", service)
}

pub fn provider(setup: Setup, name: &str, service: &Service) -> Setup {
    setup
        .set(&format!("providers.{name}.kind=openai"))
        .set(&format!(
            "providers.{name}.base_url=http://127.0.0.1:{}/v1",
            service.port
        ))
        .set(&format!("providers.{name}.model=m"))
}

pub fn pool(setup: Setup, name: &str, provider: &str, queue: &str, size: u32) -> Setup {
    setup
        .set(&format!("pool.{name}.provider={provider}"))
        .set(&format!("pool.{name}.queues={queue}"))
        .set(&format!("pool.{name}.size={size}"))
}

fn enqueue(client: &mut Client, queue: &str, count: usize) -> Vec<i64> {
    let task = |_| client.enqueue_with(json!({"prompt": "x", "queue": queue}));
    (0..count).map(task).collect()
}

fn pool_info(client: &mut Client, name: &str) -> Value {
    let pools = client.call("pools", json!({}));
    let all = pools["pools"].as_array().unwrap();
    all.iter().find(|it| it["name"] == name).unwrap().clone()
}

/// Waits until these tasks are done; what `get` says of each.
fn all_done(client: &mut Client, tasks: &[i64]) -> Vec<Value> {
    client.call("wait", json!({"task_ids": tasks, "timeout_seconds": 30}));
    let got = |id: &i64| {
        let got = client.call("get", json!({"task_id": id}));
        assert_eq!(got["task"]["status"], "done", "{got}");
        got
    };
    tasks.iter().map(got).collect()
}

fn kirosu(hub: &Hub, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    let output = command
        .args(words)
        .args(["--port", &hub.port.to_string()])
        .env_clear()
        .env("HOME", hub.setup.directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{words:?}: {text}");
    text
}

#[test]
fn a_429_fails_no_task_and_is_followed_by_one_probe_at_its_reset() {
    let service = Service::start(Does::Limits(Duration::from_millis(1500)), Duration::ZERO);
    let mut setup = pool(setup(&service), "one", "svc", "default", 2);
    setup = pool(setup, "two", "svc", "default", 2);
    let hub = pool(setup, "other", "echo", "aside", 1).start();
    let mut client = hub.client();
    let tasks = enqueue(&mut client, "default", 12);
    until("it is parked", || {
        (pool_info(&mut client, "one")["state"] == "rate_limited").then_some(())
    });
    let begun = Instant::now();
    for name in ["one", "two"] {
        let info = pool_info(&mut client, name);
        assert_eq!(info["state"], "rate_limited", "{info}");
        assert_eq!(info["lanes"][0]["account"], "svc", "{info}");
        assert!(info["lanes"][0]["until"].as_u64().unwrap() > 1_000_000_000);
        assert!(
            info["note"].as_str().unwrap().contains("slow down"),
            "{info}"
        );
    }
    // A task that waits for the account says so, and until when.
    let waiting = client.task(tasks[11])["waiting"].take();
    assert_eq!(waiting["reason"], "rate_limited", "{waiting}");
    assert!(waiting["until"].as_f64().unwrap() > 1e9, "{waiting}");
    // Others go on meanwhile.
    let aside = enqueue(&mut client, "aside", 3);
    all_done(&mut client, &aside);
    assert!(
        begun.elapsed() < Duration::from_millis(1400),
        "they had to wait"
    );
    let burst = service.asked();
    assert!(burst <= 4, "one a session that was under way: {burst}");
    // At the reset exactly one run calls the service, and gets the same error again.
    until("one asks", || (service.asked() > burst).then_some(()));
    service.now(Does::Answers);
    until("it is parked again", || {
        (pool_info(&mut client, "two")["state"] == "rate_limited").then_some(())
    });
    let done = all_done(&mut client, &tasks);
    assert_eq!(service.asked(), burst + 1 + tasks.len());
    assert_eq!(service.answered(), tasks.len());
    assert!(done.iter().all(|got| got["task"]["result"] == "fine"));
    let seen = service.seen.lock().unwrap();
    let asked: Vec<Instant> = seen.asked.iter().map(|(at, _)| *at).collect();
    let reset = Duration::from_millis(1500);
    assert!(asked[burst] - asked[burst - 1] >= reset - Duration::from_millis(5));
    assert!(asked[burst + 1] - asked[burst] >= reset - Duration::from_millis(5));
    drop(seen);
    let stats = client.call("stats", json!({}));
    assert_eq!(stats["stats"]["failed"], 0, "{stats}");
    let log = hub.log();
    assert_eq!(log.matches("no tasks are taken for it").count(), 2, "{log}");
    assert_eq!(log.matches(": the account works again").count(), 1, "{log}");
}

#[test]
fn a_missing_login_waits_for_a_person_and_asks_once() {
    let service = Service::start(Does::Refuses, Duration::ZERO);
    let hub = pool(setup(&service), "one", "svc", "default", 1).start();
    let mut client = hub.client();
    let tasks = enqueue(&mut client, "default", 3);
    until("it is parked", || {
        (pool_info(&mut client, "one")["state"] == "auth_required").then_some(())
    });
    assert_eq!(service.asked(), 1);
    // The account is parked a moment before the hub hears of the run's end.
    until("the task waits for a person", || {
        (client.status(tasks[0]) == "awaiting_approval").then_some(())
    });
    assert_eq!(client.status(tasks[1]), "queued");
    let waiting = client.task(tasks[1])["waiting"].take();
    assert_eq!(waiting["reason"], "auth_required", "{waiting}");
    let list = kirosu(&hub, &["pool", "list"]);
    assert!(list.contains("kirosu pool probe svc"), "{list}");
    service.now(Does::Answers);
    assert_eq!(service.asked(), 1);
    kirosu(&hub, &["pool", "probe", "svc"]);
    all_done(&mut client, &tasks[1..]);
    client.call("approve", json!({"task_id": tasks[0]}));
    all_done(&mut client, &tasks);
    let unknown = client.refused("pools", json!({"probe": "nobody"}));
    assert_eq!(crate::common::word(&unknown), "not_found");
}

#[test]
fn concurrency_counts_for_all_pools_of_an_account() {
    let service = Service::start(Does::Answers, Duration::from_millis(20));
    let mut setup = setup(&service).set("providers.svc.account=team");
    setup = provider(setup, "again", &service)
        .set("providers.again.account=team")
        .set("providers.again.concurrency=2");
    setup = pool(setup, "one", "svc", "one", 4);
    let hub = pool(setup, "two", "again", "two", 4).start();
    let mut client = hub.client();
    let mut tasks = Vec::new();
    for _ in 0..10 {
        tasks.extend(enqueue(&mut client, "one", 1));
        tasks.extend(enqueue(&mut client, "two", 1));
    }
    // The queue of waiting sessions is visible; none of them holds a lease.
    until("some wait", || {
        let info = pool_info(&mut client, "one");
        let lane = &info["lanes"][0];
        let full = lane["waiting"].as_u64()? > 0 && lane["running"] == 2;
        assert!(
            lane["running"].as_u64()? <= 2 && lane["concurrency"] == 2,
            "{lane}"
        );
        full.then_some(())
    });
    all_done(&mut client, &tasks);
    assert_eq!(service.seen.lock().unwrap().most, 2);
    assert_eq!(service.asked(), 20);
}

#[test]
fn an_empty_pool_does_not_keep_the_account_from_another() {
    let service = Service::start(Does::Answers, Duration::from_millis(5));
    let mut setup = setup(&service).set("providers.svc.concurrency=1");
    setup = pool(setup, "idle", "svc", "nothing", 8);
    let hub = pool(setup, "busy", "svc", "default", 2).start();
    let mut client = hub.client();
    for _ in 0..5 {
        let tasks = enqueue(&mut client, "default", 6);
        all_done(&mut client, &tasks);
        let late = enqueue(&mut client, "nothing", 1);
        all_done(&mut client, &late);
    }
    assert_eq!(service.seen.lock().unwrap().most, 1);
}

#[test]
fn requests_and_tokens_a_minute_are_kept_and_what_waits_can_be_cancelled() {
    for limit in ["requests_per_minute=3", "tokens_per_minute=250"] {
        let service = Service::start(Does::Answers, Duration::ZERO);
        let setup = setup(&service)
            .set(&format!("providers.svc.{limit}"))
            .set("providers.svc.concurrency=1");
        let hub = pool(setup, "one", "svc", "default", 2).start();
        let mut client = hub.client();
        let tasks = enqueue(&mut client, "default", 5);
        all_done(&mut client, &tasks[..3]);
        until("the rest waits", || {
            let waiting = pool_info(&mut client, "one")["lanes"][0]["waiting"].as_u64();
            (waiting == Some(2)).then_some(())
        });
        assert_eq!(service.asked(), 3, "{limit}");
        assert_eq!(client.status(tasks[3]), "queued");
        client.call("cancel", json!({"task_id": tasks[3]}));
        assert_eq!(client.status(tasks[3]), "cancelled");
    }
}

#[test]
fn a_task_that_names_a_full_provider_says_that_it_waits_and_can_be_cancelled() {
    let service = Service::start(Does::Answers, Duration::from_secs(600));
    let mut setup = setup(&service).set("providers.svc.concurrency=1");
    setup = pool(setup, "one", "svc", "one", 1);
    let hub = pool(setup, "echoes", "echo", "default", 1).start();
    let mut client = hub.client();
    enqueue(&mut client, "one", 1);
    until("it is busy", || (service.asked() == 1).then_some(()));
    let task = client.enqueue_with(json!({"prompt": "x", "provider": "svc"}));
    until("it says that it waits", || {
        let got = client.call("get", json!({"task_id": task}));
        got.to_string()
            .contains("waiting for provider svc: 0 before it")
            .then_some(())
    });
    client.call("cancel", json!({"task_id": task}));
    until("it ends", || {
        (client.status(task) == "cancelled").then_some(())
    });
    assert_eq!(service.asked(), 1);
    // The session is free again.
    let next = enqueue(&mut client, "default", 1);
    all_done(&mut client, &next);
}

// ---------------------------------------------------------------- the router

/// A program that reads its prompt and prints `says`.
fn script(setup: &Setup, name: &str, body: &str) -> String {
    let path = setup.directory.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\ncat > /dev/null\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_program_that_says_when_its_limit_is_over_is_asked_again_then_and_once() {
    let setup = Setup::new().up();
    let here = setup.directory.path().to_owned();
    let body = "echo x >> calls\ntest -e open && echo fine && exit 0\necho '429: retry after 1 seconds' >&2\nexit 1";
    let program = script(&setup, "agent", body);
    let mut setup = setup
        .set("providers.agent.kind=command")
        .set(&format!("providers.agent.command=[{program:?}]"))
        .set("providers.agent.output={ format = \"text\", errors = [{ contains = \"429\", class = \"rate_limited\" }] }");
    setup = pool(setup, "one", "agent", "default", 2);
    let hub = pool(setup, "two", "agent", "default", 2).start();
    let calls = || {
        let text = std::fs::read_to_string(here.join("calls"));
        text.map_or(0, |text| text.lines().count())
    };
    let mut client = hub.client();
    let tasks = enqueue(&mut client, "default", 8);
    until("it is parked", || {
        (pool_info(&mut client, "one")["state"] == "rate_limited").then_some(())
    });
    until("all that were under way have ended", || {
        let pools = client.call("pools", json!({}));
        let busy = |pool: &Value| pool["busy"] != 0;
        (!pools["pools"].as_array().unwrap().iter().any(busy)).then_some(())
    });
    let burst = calls();
    assert!(burst <= 4, "{burst}");
    until("one asks", || (calls() > burst).then_some(()));
    std::fs::write(here.join("open"), "").unwrap();
    all_done(&mut client, &tasks);
    // A run that called too early may have got the error once more.
    let asked = calls() - burst - tasks.len();
    assert!(asked <= 1, "{asked}");
    assert_eq!(client.call("stats", json!({}))["stats"]["failed"], 0);
}

fn router(setup: Setup, members: &str) -> Setup {
    setup
        .set("providers.any.kind=router")
        .set(&format!("providers.any.providers={members}"))
}

#[test]
fn a_router_moves_on_and_says_who_answered() {
    let limited = Service::start(Does::Limits(Duration::from_secs(600)), Duration::ZERO);
    let refusing = Service::start(Does::Refuses, Duration::ZERO);
    let setup = Setup::new().up();
    let local = script(&setup, "local", "echo answered here");
    let mut setup = provider(setup, "limited", &limited);
    setup = provider(setup, "refusing", &refusing)
        .set("providers.gone.kind=command")
        .set("providers.gone.command=[\"/nowhere/program\"]")
        .set("providers.away.kind=openai")
        .set("providers.away.base_url=http://127.0.0.1:1/v1")
        .set("providers.away.model=m")
        .set("providers.local.kind=command")
        .set(&format!("providers.local.command=[{local:?}]"));
    setup = router(setup, "limited,refusing,gone,away,local");
    let hub = pool(setup, "p", "any", "default", 1).start();
    let mut client = hub.client();
    let tasks = enqueue(&mut client, "default", 3);
    for task in all_done(&mut client, &tasks) {
        assert_eq!(task["task"]["result"], "answered here");
        assert_eq!(task["attempts"][0]["provider"], "local", "{task}");
    }
    assert_eq!(
        (limited.asked(), refusing.asked()),
        (1, 1),
        "parked after the first"
    );
    let info = pool_info(&mut client, "p");
    assert_eq!(info["state"], "running", "{info}");
    let lanes = info["lanes"].as_array().unwrap();
    let state = |account: &str| {
        let lane = lanes.iter().find(|lane| lane["account"] == account);
        lane.map(|lane| lane["state"].clone())
    };
    assert_eq!(state("limited"), Some(json!("rate_limited")));
    assert_eq!(state("refusing"), Some(json!("auth_required")));
    assert_eq!(state("gone"), Some(json!("missing")));
    assert_eq!(state("away"), Some(json!("network")));
    let output = kirosu(&hub, &["logs", &tasks[0].to_string()]);
    assert!(
        output.contains("'limited' failed (rate_limited"),
        "{output}"
    );
    assert!(output.contains("'local' runs the task instead"), "{output}");
}

#[test]
fn work_of_a_router_waits_for_the_first_that_opens() {
    let soon = Service::start(Does::Limits(Duration::from_millis(1500)), Duration::ZERO);
    let late = Service::start(Does::Limits(Duration::from_secs(600)), Duration::ZERO);
    let mut setup = provider(Setup::new().up(), "late", &late);
    setup = router(provider(setup, "soon", &soon), "late,soon");
    let hub = pool(setup, "p", "any", "default", 3).start();
    let mut client = hub.client();
    let tasks = enqueue(&mut client, "default", 6);
    until("both are parked", || {
        (pool_info(&mut client, "p")["state"] == "rate_limited").then_some(())
    });
    soon.now(Does::Answers);
    all_done(&mut client, &tasks);
    assert!(late.asked() <= 3 && soon.asked() <= 3 + 6);
    assert_eq!(client.call("stats", json!({}))["stats"]["failed"], 0);
}

#[test]
fn what_is_wrong_with_a_router_is_told_before_anything_runs() {
    let setup = router(Setup::new().up(), "claud,any").set("providers.any.on=netwrok");
    let (status, _, said) = setup.run();
    assert!(!status.success());
    assert!(
        said.contains("no provider claud is defined; did you mean claude?"),
        "{said}"
    );
    assert!(said.contains("goes in a circle: any, any"), "{said}");
    assert!(said.contains("netwrok is no failure"), "{said}");
}
