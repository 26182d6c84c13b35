//! docs/protocol.md says what the hub says: its examples are sent to a fresh hub in the order of the page, its worker
//! is run, its tables name what there is.

use crate::common::{Client, Hub, PATIENCE, until};
use kirosu_protocol::{ErrorCode, Limits, Method};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

const PAGE: &str = include_str!("../../docs/protocol.md");

/// The fields whose values no example can foretell; their types must be right all the same.
const DIFFERS: [&str; 9] = [
    "boot_id",
    "busy",
    "bytes",
    "handled",
    "path",
    "peer",
    "run_token",
    "seq",
    "version",
];
/// Stands for more fields, or for more elements.
const MORE: &str = "...";
/// A text with the machine's name in it differs too.
const MACHINE: &str = "laptop";

/// The lines of the fenced blocks of a kind, each with its number on the page.
fn blocks(kind: &str) -> Vec<(usize, &'static str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (index, line) in PAGE.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(fence) => inside = fence == kind,
            None if inside => lines.push((index + 1, line)),
            None => {}
        }
    }
    lines
}

/// Whether the hub's line is the page's, as far as it can be.
fn compare(page: &Value, hub: &Value, place: &str) -> Result<(), String> {
    let differs = DIFFERS.contains(&place.rsplit('.').next().unwrap_or_default());
    let unlike = || Err(format!("{place}: the page says {page}, the hub {hub}"));
    match (page, hub) {
        (Value::Object(page), Value::Object(hub)) => {
            for (key, value) in page.iter().filter(|(key, _)| *key != MORE) {
                let Some(found) = hub.get(key) else {
                    return Err(format!("{place}.{key}: the hub does not say it"));
                };
                compare(value, found, &format!("{place}.{key}"))?;
            }
            let unknown = hub.keys().find(|key| !page.contains_key(*key));
            match unknown.filter(|_| !page.contains_key(MORE)) {
                Some(key) => Err(format!("{place}.{key}: the page does not say it")),
                None => Ok(()),
            }
        }
        (Value::Array(page), Value::Array(hub)) => {
            let shown = page.iter().filter(|value| *value != MORE);
            let count = shown.clone().count();
            if hub.len() < count || (hub.len() > count && count == page.len()) {
                return Err(format!(
                    "{place}: {count} elements on the page, {} from the hub",
                    hub.len()
                ));
            }
            shown
                .zip(hub)
                .enumerate()
                .try_for_each(|(at, (a, b))| compare(a, b, &format!("{place}.{at}")))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => Ok(()),
        (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_)) if differs => {
            Ok(())
        }
        (Value::String(a), Value::String(_)) if a.contains(MACHINE) => Ok(()),
        _ if page == hub => Ok(()),
        _ => unlike(),
    }
}

/// A hub with one pool of one echo, as the examples presume.
struct DocumentedHub {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl DocumentedHub {
    fn start() -> DocumentedHub {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command.args(["up", "--port", "0", "--quiet", "--config", "/dev/null"]);
        for setting in ["provider=echo", "size=1", "queues=echo"] {
            command.arg("--set").arg(format!("pool.echo.{setting}"));
        }
        for setting in ["kind=command", "command=[\"true\"]", "events=[\"drained\"]"] {
            command.arg("--set").arg(format!("notify.ops.{setting}"));
        }
        command.env_clear().env("HOME", folder.path());
        // The examples show every method, without a key.
        command.env("KIROSU_HUB__KEYLESS", "all");
        command.env("KIROSU_GATEWAY__ENABLED", "false");
        command.current_dir(folder.path()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (said, first_line) = channel();
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .for_each(|l| drop(said.send(l)))
        });
        let mut hub = DocumentedHub {
            child,
            port: 0,
            _folder: folder,
        };
        let line = first_line.recv_timeout(PATIENCE).expect("a first line");
        let port = line.strip_prefix("KIRO_SWARM_HUB tcp://127.0.0.1:");
        hub.port = port.expect("the line of the page").parse().unwrap();
        hub
    }
}

impl Drop for DocumentedHub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pool has connected: its session is among the agents, as the page shows.
fn wait_for_the_pool(port: u16) {
    let mut client = Client::connect(port);
    until("the pool connects", || {
        let answer = client.call("agents", json!({}));
        (!answer["agents"].as_array().unwrap().is_empty()).then_some(())
    });
}

#[test]
fn the_examples_are_answered_as_the_page_says() {
    let mut hub = DocumentedHub::start();
    wait_for_the_pool(hub.port);
    let mut client = Client::connect(hub.port);
    // Lines of the hub that no line of the page was compared with yet.
    let mut heard: Vec<Value> = Vec::new();
    for (number, line) in blocks("wire") {
        if let Some(request) = line.strip_prefix("> ") {
            client.raw(format!("{request}\n"));
            continue;
        }
        let page = line
            .strip_prefix("< ")
            .unwrap_or_else(|| panic!("line {number}: neither > nor <"));
        let page: Value =
            serde_json::from_str(page).unwrap_or_else(|e| panic!("line {number}: {e}"));
        // Answers by their id, notifications by their method.
        let by = |value: &Value| (value.get("id").cloned(), value.get("method").cloned());
        let hub = loop {
            if let Some(at) = heard.iter().position(|hub| by(hub) == by(&page)) {
                break heard.remove(at);
            }
            heard.push(client.read());
        };
        if let Err(why) = compare(&page, &hub, "") {
            panic!("docs/protocol.md, line {number}: {why}\nthe hub said {hub}");
        }
    }
    let status = until("the hub has stopped", || hub.child.try_wait().unwrap());
    assert!(status.success(), "{status}");
}

#[test]
fn every_method_error_and_limit_is_on_the_page() {
    let requests: Vec<&str> = blocks("wire")
        .into_iter()
        .filter_map(|(_, line)| line.strip_prefix("> "))
        .collect();
    for method in Method::ALL.map(Method::name) {
        assert!(
            PAGE.contains(&format!("\n## {method}\n")),
            "no section {method}"
        );
        let call = format!("\"method\":\"{method}\"");
        assert!(
            requests.iter().any(|line| line.contains(&call)),
            "no example of {method}"
        );
    }
    for code in ErrorCode::ALL {
        let row = format!("| {} | `{}` |", code.number(), code.as_str());
        assert!(PAGE.contains(&row), "no row {row}");
    }
    let limits = serde_json::to_value(Limits::default()).unwrap();
    for name in limits.as_object().unwrap().keys() {
        assert!(PAGE.contains(&format!("`{name}`")), "no limit {name}");
    }
}

/// A process of our own that is gone when the test is.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_worker_of_the_page_works() {
    let code: Vec<&str> = blocks("python").into_iter().map(|(_, line)| line).collect();
    let hub = Hub::start();
    let mut command = Command::new("python3");
    command
        .args(["-c", &code.join("\n")])
        .env("KIRO_SWARM_PORT", hub.port.to_string());
    command
        .env("KIRO_SWARM_HOST", "127.0.0.1")
        .env_remove("KIRO_SWARM_KEY");
    let Ok(worker) = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map(Worker)
    else {
        eprintln!("python3 cannot be started: the worker of docs/protocol.md was not tried");
        return;
    };
    let mut client = hub.client();
    let task = client.enqueue("one two three");
    let ended = client.call("wait", json!({"task_ids": [task], "timeout_seconds": 30}));
    assert_eq!(ended["tasks"][0]["result"], "3 words");

    // The hub dies and comes back at its port: the worker comes back too.
    let setup = hub.setup.clone();
    let port = hub.port;
    hub.kill();
    let hub = crate::common::Setup { port, ..setup }.start();
    let mut client = hub.client();
    let task = client.enqueue("four words this time");
    let ended = client.call("wait", json!({"task_ids": [task], "timeout_seconds": 30}));
    assert_eq!(ended["tasks"][0]["result"], "4 words");
    drop(worker);
}
