//! `kirosu audit --follow`.

use crate::common::{Hub, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A running `kirosu audit --follow`, and its lines.
struct Following {
    process: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(hub: &Hub, arguments: &[&str]) -> Following {
        let home = hub.setup.directory.path();
        let mut process = Command::new(env!("CARGO_BIN_EXE_kirosu"))
            .args(["audit", "--follow", "--port", &hub.port.to_string()])
            .args(arguments)
            .env_clear()
            .env("HOME", home)
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (said, lines) = channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.for_each(|line| drop(said.send(line)));
        });
        Following { process, lines }
    }

    /// The first line from now on that fits.
    fn line(&self, fits: impl Fn(&str) -> bool) -> String {
        until("the entry is printed", || {
            self.lines.try_iter().find(|line| fits(line))
        })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn entries_are_printed_as_they_are_added_and_counted_up() {
    let hub = Hub::start();
    let mut client = hub.client();
    let first = client.enqueue("before");
    let added = client.call("key_add", json!({"name": "looks-on", "role": "observe"}));
    let following = Following::start(&hub, &["--json"]);
    let entry = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let about = |task: i64| {
        move |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            entry["method"] == "enqueue" && entry["task_id"] == task
        }
    };
    following.line(about(first));
    let second = client.enqueue("after");
    following.line(about(second));

    let mut observer = hub.client();
    observer.call("hello", json!({"auth_token": added["key"]}));
    for wanted in 1..=2 {
        observer.refused("enqueue", json!({"prompt": "p"}));
        let line = following.line(|line| entry(line)["code"] == "forbidden");
        // The second one is in another minute at times.
        let count = entry(&line)["count"].as_i64().unwrap();
        assert!(count == wanted || count == 1, "{line}");
    }

    // Only of one party; in a pipe with tabs.
    let of_key = Following::start(&hub, &["--who", "looks-on"]);
    let line = of_key.line(|_| true);
    assert!(line.contains("looks-on\tobserve\t"), "{line}");
}
