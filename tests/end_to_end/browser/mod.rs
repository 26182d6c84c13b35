//! A real browser on a page of another site, which tries to add, read and stop work.
//!
//! Each attempt is also made against a server that checks nothing: it shows that the attempts are made, and would succeed.

mod sites;

use crate::common::http::with;
use crate::common::process::{address, setup};
use crate::common::{Hub, until, until_within};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use sites::{EvilSite, OPEN_TEXT, OpenSite};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Text of a task, which no page may read.
const CONFIDENTIAL: &str = "the confidential prompt";

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Time for a browser to start and a page to make all its attempts, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A browser without a window. `evil.test` is this machine, as the name of a site whose owner has changed its address.
struct Browser {
    process: Child,
    profile: TempDir,
}

impl Browser {
    /// `None` if no browser is installed.
    fn start(arguments: &[&str]) -> Option<Browser> {
        let profile = tempfile::tempdir().unwrap();
        let at = profile.path();
        let start = |name: &&str| {
            Command::new(name)
                // Without a sandbox, because root cannot have one; it opens pages of this test only.
                .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
                .args(["--disable-dev-shm-usage", "--no-first-run"])
                .args(["--disable-background-networking", "--disable-sync"])
                .arg("--host-resolver-rules=MAP evil.test 127.0.0.1")
                .arg(format!("--user-data-dir={}", at.join("profile").display()))
                .args(arguments)
                .env("HOME", at)
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(std::fs::File::create(at.join("output")).unwrap())
                .stderr(Stdio::null())
                .spawn()
                .ok()
        };
        let Some(process) = BROWSERS.iter().find_map(start) else {
            println!("skipped: no browser is installed (tests/setup.sh installs chromium)");
            return None;
        };
        Some(Browser { process, profile })
    }

    /// The document at an address, as the browser shows it.
    fn document(url: &str) -> Option<String> {
        let mut browser = Browser::start(&["--dump-dom", url])?;
        until_within(PATIENCE, "the browser has opened the address", || {
            browser.process.try_wait().unwrap()
        });
        let output = browser.profile.path().join("output");
        Some(std::fs::read_to_string(output).unwrap())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// A hub with all its ports that serves its own user without a key, and a task that waits for a person. Returns the addresses
/// of gateway and metrics, too.
fn open_hub() -> (Hub, String, String) {
    let hub = setup()
        .set("metrics.enabled=true")
        .set("metrics.port=0")
        .start();
    let task = json!({"prompt": CONFIDENTIAL, "requires_approval": true});
    hub.client().enqueue_with(task);
    let gateway = address(&hub);
    let metrics = until("the log names the address of the metrics", || {
        let log = hub.log();
        let line = log.lines().find(|it| it.contains("metrics are served"))?;
        let (_, address) = line.split_once("address=")?;
        address.split_whitespace().next().map(str::to_owned)
    });
    (hub, gateway, metrics)
}

fn port_of(address: &str) -> u16 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_page_of_another_site_adds_reads_and_stops_nothing() {
    let (mut hub, gateway, metrics) = open_hub();
    let open = OpenSite::start();
    let ports = json!({
        "hub": hub.port, "gateway": port_of(&gateway), "metrics": port_of(&metrics), "open": open.port,
    });
    let site = EvilSite::start(ports.to_string());
    let page = format!("http://evil.test:{}/", site.port);
    let Some(_browser) = Browser::start(&[&page]) else {
        return;
    };
    let report = until_within(PATIENCE, "the page has made its attempts", || site.report());
    let report: Vec<Value> = serde_json::from_str(&report).unwrap();

    // At the site that checks nothing they succeed.
    let requests = open.requests();
    for sent in [
        "POST /tasks HTTP/1.1\r\n",
        "POST /mcp HTTP/1.1\r\n",
        "DELETE /keys/page HTTP/1.1\r\n",
        "GET /tasks/1/cancel HTTP/1.1\r\n",
        "content-type: text/plain",
        "content-type: application/json",
        "upgrade: websocket",
        "\"method\":\"enqueue\"",
        "\r\n\r\n{\"id\":1,\"method\":\"shutdown\",\"x\":\"=\",\"params\":{}}\r\n",
    ] {
        let has = |request: &String| {
            request.contains(sent) || request.to_lowercase().contains(&sent.to_lowercase())
        };
        assert!(
            requests.iter().any(has),
            "{sent} was not sent: {requests:#?}"
        );
    }
    let read = |entry: &&Value| entry["read"].as_str().is_some_and(|it| it == OPEN_TEXT);
    let of = |entry: &Value, target: &str| entry["name"].as_str().unwrap().starts_with(target);
    let read_there = report
        .iter()
        .filter(read)
        .filter(|it| of(it, "open"))
        .count();
    assert!(read_there > 20, "{report:#?}");

    // At the hub no page reads anything: what a request without permission to read yields is empty.
    for entry in report.iter().filter(|it| !of(it, "open")) {
        let is_blind = match entry["read"].as_str() {
            None => true,
            Some("" | "queued" | "sent" | "loaded" | "unreadable") => true,
            Some(_) => false,
        };
        assert!(is_blind, "{entry}");
    }
    // Nothing was added, decided, ended or stopped.
    let mut client = hub.client();
    let tasks = client.call("list", json!({"limit": 0}))["tasks"].clone();
    let state = |task: &Value| (task["prompt"].clone(), task["status"].clone());
    let states: Vec<_> = tasks.as_array().unwrap().iter().map(state).collect();
    assert_eq!(states, [(json!(CONFIDENTIAL), json!("awaiting_approval"))]);
    assert_eq!(client.call("key_list", json!({}))["keys"], json!([]));
    assert!(hub.is_running());
    assert_eq!(with(&gateway, "GET", "/tasks/1", "", "").status, 200);
}

/// A site whose name leads to this machine from now on is of the same origin as the address that it names: the browser lets its
/// page read what this address answers.
#[test]
fn an_address_under_the_name_of_another_site_shows_nothing() {
    let (hub, gateway, metrics) = open_hub();
    let open = OpenSite::start();
    let Some(shown) = Browser::document(&format!("http://evil.test:{}/tasks", open.port)) else {
        return;
    };
    assert!(shown.contains(OPEN_TEXT), "{shown}");
    for (port, path, own) in [
        (port_of(&gateway), "/tasks", CONFIDENTIAL),
        (port_of(&metrics), "/metrics", "kirosu_"),
    ] {
        let shown = Browser::document(&format!("http://evil.test:{port}{path}")).unwrap();
        assert!(!shown.contains(own), "{shown}");
        let shown = with(&format!("127.0.0.1:{port}"), "GET", path, "", "");
        assert!(shown.body.contains(own), "{shown:?}");
    }
    let shown = Browser::document(&format!("http://evil.test:{}/", hub.port)).unwrap();
    assert!(!shown.contains("Kirosu"), "{shown}");
}
