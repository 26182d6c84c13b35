//! Every screen of the page while a swarm works, driven by programs for Playwright (`page/*.mjs`).
//!
//! A program gets the address, keys and ids as JSON in `PAGE`. A line `ask WORD` of its output asks this test to do something,
//! which answers with a line of JSON. It fails by its exit code.

use crate::common::process::{Api, address};
use crate::common::{Client, Hub, Setup, until_within};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time for all that one program does, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(420);
/// How long the flood lasts, in seconds. `KIROSU_PAGE_FLOOD` sets another time.
const FLOOD_SECONDS: u64 = 20;

/// An agent that prints, and that fails or takes its time if the prompt says so.
const AGENT: &str = r#"
import sys, time
prompt = sys.stdin.read()
if "fail" in prompt:
    print("reading the files", flush=True)
    sys.exit("error: cannot parse line 12")
for n in range(2000 if "slow" in prompt else 3):
    print(f"line {n}: looked at src/part_{n}.rs", flush=True)
    time.sleep(0.2 if "slow" in prompt else 0)
print("finished: " + prompt[:80])
"#;
const PLAN: &str = "
name: review-modules
pipeline:
  - id: read
    pool: coders
    map: { over: [boot, store, hub, fail-here, gateway, page], key: '{{ item }}', tolerate: 50% }
    prompt: 'review {{ item }}'
    max_attempts: 1
  - { id: digest, depends_on: [read], reduce: { of: read, arity: 3 }, prompt: 'Merge: {% for r in results %}- {{ r.result }} {% endfor %}' }
  - { id: ok, depends_on: [digest], approve: { prompt: 'Publish the report?' } }
";
/// Every text of a task as an attack: elements, addresses, escape sequences, characters that turn text around.
const ATTACK: &str = "<img src=x onerror=\"window.attacked=1\"><script>window.attacked=1</script> javascript:window.attacked=1 \
    https://example.org/a?b=<b> \u{202e}txt.exe \u{1b}[31mred\u{1b}]0;title\u{7} \u{200b}hidden";

fn settings(folder: &Path) -> String {
    let agent = folder.join("agent.py");
    format!(
        "[gateway]\nenabled = true\nport = 0\n\
         [providers.agent]\nkind = \"command\"\ncommand = [\"python3\", \"{}\"]\n\
         [[pool]]\nname = \"echo\"\nprovider = \"echo\"\nsize = 2\nqueues = [\"default\"]\n\
         [[pool]]\nname = \"coders\"\nprovider = \"agent\"\nsize = 3\nqueues = [\"coders\"]\nbudget = {{ tokens = 1000000 }}\n",
        agent.display()
    )
}

/// A swarm at work, and something for each screen.
struct Swarm {
    hub: Hub,
    page: Value,
}

impl Swarm {
    fn start() -> Swarm {
        let setup = Setup::new().with_default_gateway().up();
        let folder = setup.directory.path();
        std::fs::write(folder.join("agent.py"), AGENT).unwrap();
        std::fs::write(folder.join("kirosu.toml"), settings(folder)).unwrap();
        let hub = setup.start();
        let url = format!("http://{}", address(&hub));
        let mut client = hub.client();
        let page = json!({"url": url, "keys": keys(&mut client), "ids": work(&mut client)});
        Swarm { hub, page }
    }
}

fn keys(client: &mut Client) -> Value {
    let roles = ["observe", "person", "enqueue", "admin"];
    let made = roles.map(|role| {
        let made = client.call(
            "key_add",
            json!({"name": format!("{role}-1"), "role": role}),
        );
        (role.to_owned(), made["key"].clone())
    });
    Value::Object(made.into_iter().collect())
}

/// Tasks in each state, questions of each kind, runs, schedules, usage. Returns the numbers of some.
fn work(client: &mut Client) -> Value {
    let mut add = |task: Value| client.enqueue_with(task);
    for n in 0..70 {
        add(json!({"prompt": format!("Summarise chapter {n}"), "labels": ["night"]}));
    }
    let slow = add(json!({"prompt": "Review src/lib.rs, slow", "queue": "coders"}));
    let failed = add(
        json!({"prompt": "please fail", "queue": "coders", "max_attempts": 2, "retry": {"initial_seconds": 0.001}}),
    );
    let approval = add(
        json!({"prompt": "Drop the table `events`?\n\nIt has 41 million rows.", "requires_approval": true}),
    );
    let human =
        add(json!({"prompt": "Which of the two names?", "type": "human", "queue": "people"}));
    let form = json!({"type": "object", "required": ["severity"], "properties": {
        "severity": {"type": "string", "enum": ["low", "high"], "description": "How bad it is"},
        "days": {"type": "integer"}, "notify": {"type": "boolean"}, "note": {"type": "string"}}});
    let form = add(
        json!({"prompt": "How severe is the leak?", "type": "human", "queue": "people", "metadata": {"form": form}}),
    );
    let waits = add(json!({"prompt": "Nobody serves this queue", "queue": "forgotten"}));
    let later = add(json!({"prompt": "Collect the figures", "delay_seconds": 7200}));
    add(json!({"prompt": "Write the report", "depends_on": [later]}));
    for n in 0..130 {
        add(json!({"prompt": format!("Bulk work {n}"), "queue": "bulk"}));
    }
    let attack = add(
        json!({"prompt": if is_for_pictures() { "Translate the preface" } else { ATTACK }, "system_prompt": ATTACK, "labels": ["<b>label</b>"], "metadata": {"<i>": ATTACK},
        "queue": "<u>queue</u>", "provider": "<s>provider</s>"}),
    );
    let run = add(json!({"type": "plan", "prompt": PLAN}));
    client.call("schedule_add", json!({"name": "links", "cron": "0 3 * * *", "tz": "Europe/Berlin", "task": {"prompt": "Check the links"}}));
    let asked = questions(client);
    // Its texts are not for the pictures of documents.
    if !is_for_pictures() {
        attacked(client, attack);
    }
    json!({"slow": slow, "failed": failed, "approval": approval, "human": human, "form": form, "waits": waits, "attack": attack,
        "run": run, "asked": asked})
}

/// A worker of another program asks for two permissions, prints much, and reports the use of models.
fn questions(client: &mut Client) -> i64 {
    let asked = client.enqueue_with(json!({"prompt": "Publish the fix", "queue": "other"}));
    let lease = client
        .lease(json!({"queues": ["other"], "worker_id": "claude-1@laptop", "lease_seconds": 3600}));
    let (task_id, fence) = (asked, lease["fence"].clone());
    let args = json!({"command": "git push origin main --force-with-lease", "cwd": "/srv/project"});
    client.call("ask", json!({"task_id": task_id, "fence": fence, "call": "1", "tool": "shell", "title": "git push origin main", "args": args}));
    let options = json!([{"id": "pg", "name": "PostgreSQL"}, {"id": "my", "name": "MySQL"}]);
    client.call("ask", json!({"task_id": task_id, "fence": fence, "call": "2", "tool": "choose", "title": "Which database?", "options": options}));
    let lines: String = (0..3000)
        .map(|n| format!("{n:5} src/module_{n}.rs: checked\n"))
        .collect();
    client.call(
        "output",
        json!({"task_id": task_id, "fence": fence, "text": lines}),
    );
    for model in ["opus", "mini", "pro"] {
        client.enqueue_with(json!({"prompt": model, "queue": "used"}));
        let lease = client.lease(json!({"queues": ["used"], "lease_seconds": 60}));
        let usage = json!({"input_tokens": 12000, "cache_read_tokens": 400000, "output_tokens": 2100, "cost_usd": 0.41});
        client.call("ack", json!({"task_id": lease["task_id"], "fence": lease["fence"], "status": "done", "result": "see https://example.org/a",
            "provider": "claude", "model": model, "pool": "coders", "usage": usage}));
    }
    asked
}

/// Gives a task whose texts attack also a worker, output, progress and an error that do.
fn attacked(client: &mut Client, task: i64) {
    let lease =
        client.lease(json!({"queues": ["<u>queue</u>"], "worker_id": ATTACK, "lease_seconds": 60}));
    let fence = &lease["fence"];
    client.call(
        "output",
        json!({"task_id": task, "fence": fence, "text": ATTACK}),
    );
    client.call(
        "progress",
        json!({"task_id": task, "fence": fence, "data": {"text": ATTACK}}),
    );
    client.call("ask", json!({"task_id": task, "fence": fence, "call": "1", "tool": ATTACK, "title": ATTACK, "args": {"x": ATTACK}}));
    let ack = json!({"task_id": task, "fence": fence, "status": "failed", "error": ATTACK, "class": "bad_input", "provider": ATTACK});
    client.call("ack", ack);
}

/// A program that is gone when the test is.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end. `asked` does what a line of its output asks for.
fn drive(name: &str, page: &Value, mut asked: impl FnMut(&str) -> Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fetched = root.join("target/agents/node/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([fetched]);
    let started = Command::new("node")
        .arg(root.join("tests/end_to_end/web/page").join(name))
        .env("PATH", std::env::join_paths(folders).unwrap())
        .env("PAGE", page.to_string())
        .env("MODULES", root.join("target/tools/web/node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut program = Program(started.expect("node runs (tests/setup.sh installs it)"));
    let mut answers = program.0.stdin.take().unwrap();
    let output = BufReader::new(program.0.stdout.take().unwrap());
    let begin = Instant::now();
    for line in output.lines() {
        let line = line.unwrap();
        match line.strip_prefix("ask ") {
            Some(word) => writeln!(answers, "{}", asked(word)).unwrap(),
            None => println!("{line}"),
        }
        assert!(begin.elapsed() < PATIENCE, "{name} takes too long");
    }
    let status = until_within(PATIENCE, "the program has ended", || {
        program.0.try_wait().unwrap()
    });
    assert!(status.success(), "{name}: {status}");
}

fn nothing(word: &str) -> Value {
    panic!("the program asked for {word}")
}

/// With `KIROSU_SCREENSHOTS` it makes pictures in that folder, of a swarm in which tasks go on.
#[test]
fn every_screen_is_in_order() {
    let swarm = Swarm::start();
    let end = Arc::new(AtomicBool::new(false));
    let (port, ended) = (swarm.hub.port, end.clone());
    let traffic = is_for_pictures().then(|| std::thread::spawn(move || traffic(port, &ended)));
    drive("screens.mjs", &swarm.page, nothing);
    end.store(true, Ordering::Relaxed);
    if let Some(thread) = traffic {
        thread.join().unwrap();
    }
}

/// Adds some tasks again and again, more and fewer in turn.
fn traffic(port: u16, ended: &AtomicBool) {
    let mut client = Client::connect(port);
    for turn in 0_usize.. {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let tasks =
            vec![json!({"prompt": "Summarise a page of the handbook"}); 4 + (turn / 5 * 7) % 23];
        let added = client.call("enqueue_batch", json!({"tasks": tasks}));
        let wait = json!({"task_ids": added["task_ids"], "timeout_seconds": 5});
        client.call("wait", wait);
    }
}

fn is_for_pictures() -> bool {
    std::env::var_os("KIROSU_SCREENSHOTS").is_some()
}

#[test]
fn people_steer_from_the_page() {
    let swarm = Swarm::start();
    let mut client = swarm.hub.client();
    drive("actions.mjs", &swarm.page, |word| {
        let (method, params) = word.split_once(' ').unwrap();
        client.call(method, serde_json::from_str(params).unwrap())
    });
}

/// The gateway is a process of its own, so that the browser sees a gateway without a hub, too.
#[test]
fn the_page_outlives_the_hub() {
    let Swarm { hub, mut page } = Swarm::start();
    let port = hub.port;
    let settings = hub.setup.directory.path().join("kirosu.toml");
    let setup = hub
        .setup
        .clone()
        .environment("KIROSU_CONFIG", settings.to_str().unwrap());
    let api = Api::start(&setup, port, &[]);
    page["url"] = json!(format!("http://{}", api.address));
    let (mut running, mut stopped) = (Some(hub), None::<Setup>);
    drive("outage.mjs", &page, |word| {
        match word {
            "kill" => stopped = running.take().map(Hub::kill),
            _ => {
                let setup = Setup {
                    port,
                    ..stopped.take().unwrap()
                };
                running = Some(setup.start());
            }
        }
        json!(true)
    });
}

/// As many events as the hub can make.
#[test]
fn a_flood_of_events_leaves_the_page_quick_and_small() {
    let mut swarm = Swarm::start();
    let asked = std::env::var("KIROSU_PAGE_FLOOD").ok();
    let seconds = asked.map_or(FLOOD_SECONDS, |text| {
        text.parse().expect("a number of seconds")
    });
    swarm.page["seconds"] = json!(seconds);
    let port = swarm.hub.port;
    let mut flood = None;
    drive("flood.mjs", &swarm.page, |word| match word {
        "begin" => {
            flood = Some(std::thread::spawn(move || flood_of(port, seconds)));
            json!(true)
        }
        _ => json!(flood.take().unwrap().join().unwrap()),
    });
}

/// Adds, leases and ends tasks in large batches. Returns the number of events that this made.
fn flood_of(port: u16, seconds: u64) -> u64 {
    const BATCH: usize = 1000;
    let mut client = Client::connect(port);
    let (begin, mut events) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(seconds) {
        let tasks = vec![json!({"prompt": "flood", "queue": "flood"}); BATCH];
        client.call("enqueue_batch", json!({"tasks": tasks}));
        let lease = json!({"queues": ["flood"], "max_tasks": BATCH, "lease_seconds": 60});
        let leased = client.call("lease", lease)["tasks"]
            .as_array()
            .unwrap()
            .clone();
        let ack = |task: &Value| json!({"task_id": task["task_id"], "fence": task["fence"], "status": "done", "result": "x"});
        let acks: Vec<Value> = leased.iter().map(ack).collect();
        client.call("ack", json!({"acks": acks}));
        events += 3 * leased.len() as u64;
    }
    events
}
