//! The figures for Prometheus: the built binary, scraped over HTTP and judged by Prometheus' own promtool.

use crate::common::{Hub, PATIENCE, Setup, tool, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A hub whose figures are served.
fn setup() -> Setup {
    Setup::new()
        .set("metrics.enabled=true")
        .set("notify.desk.kind=desktop")
        .set("metrics.port=0")
}

/// Where a process that has started serves its figures, as its log says.
fn address(hub: &Hub) -> String {
    until("the log names the address", || {
        let log = hub.log();
        let line = log
            .lines()
            .rev()
            .find(|l| l.contains("metrics are served"))?;
        let (_, address) = line.split_once("address=")?;
        address.split_whitespace().next().map(str::to_owned)
    })
}

/// One answer over HTTP: status line, head and body.
fn get(address: &str, path: &str) -> (String, String, String) {
    let mut stream = TcpStream::connect(address).expect("the figures are served");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let (status, head) = head.split_once("\r\n").unwrap();
    (status.to_owned(), head.to_lowercase(), body.to_owned())
}

fn scrape(address: &str) -> String {
    let (status, head, body) = get(address, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    body
}

/// The value of a series, written as on the page, or `None` without such a series.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find(|line| {
        line.strip_prefix(series)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

#[track_caller]
fn expect(page: &str, series: &str, expected: f64) {
    assert_eq!(value(page, series), Some(expected), "{series} in\n{page}");
}

/// Runs promtool, feeds it, and asserts that it is content.
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new(tool("promtool"));
    command.args(arguments).stdin(Stdio::piped());
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| {
        panic!("promtool cannot be started ({error}): tests/setup.sh installs it")
    });
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

/// Three tasks done, one failed, one cancelled, one lost and then left; one of another queue waits.
fn load(hub: &Hub) {
    let mut client = hub.client();
    for outcome in ["done", "done", "done", "failed"] {
        let id = client.enqueue(outcome);
        let task = client.lease(json!({}))["tasks"][0].clone();
        client.call(
            "ack",
            json!({
                "task_id": id, "fence": task["fence"], "status": outcome, "provider": "codex", "model": "m",
                "usage": {"input_tokens": 100, "output_tokens": 10, "cost_usd": 0.25},
            }),
        );
    }
    let cancelled = client.enqueue("x");
    client.call("cancel", json!({"task_id": cancelled}));
    client.enqueue_with(json!({"prompt": "x", "queue": "docs"}));
    client.enqueue("lost");
    client.lease(json!({"lease_seconds": 1}));
}

#[test]
fn a_known_load_is_counted_and_promtool_is_content() {
    let hub = setup()
        .set("gateway.enabled=true")
        .set("gateway.port=0")
        .start();
    let address = address(&hub);
    load(&hub);
    let lost = r#"kirosu_leases_lost_total{reason="expired"}"#;
    let page = until("the lease is lost", || {
        let page = scrape(&address);
        (value(&page, lost) == Some(1.0)).then_some(page)
    });
    for (series, expected) in [
        ("kirosu_up", 1.0),
        (r#"kirosu_tasks{state="done"}"#, 3.0),
        (r#"kirosu_tasks{state="failed"}"#, 1.0),
        (r#"kirosu_queue_tasks{queue="default",state="queued"}"#, 1.0),
        (r#"kirosu_queue_tasks{queue="docs",state="queued"}"#, 1.0),
        (r#"kirosu_tasks_enqueued_total{queue="default"}"#, 6.0),
        (r#"kirosu_tasks_enqueued_total{queue="docs"}"#, 1.0),
        (
            r#"kirosu_tasks_finished_total{queue="default",state="done"}"#,
            3.0,
        ),
        (
            r#"kirosu_tasks_finished_total{queue="default",state="failed"}"#,
            1.0,
        ),
        (
            r#"kirosu_tasks_finished_total{queue="default",state="cancelled"}"#,
            1.0,
        ),
        (
            r#"kirosu_invocations_total{outcome="done",provider="codex"}"#,
            3.0,
        ),
        (
            r#"kirosu_invocations_total{outcome="provider_error",provider="codex"}"#,
            1.0,
        ),
        (
            r#"kirosu_tokens_total{kind="input",model="m",provider="codex"}"#,
            400.0,
        ),
        (r#"kirosu_cost_usd_total{model="m",provider="codex"}"#, 1.0),
        (r#"kirosu_task_wait_seconds_count{queue="default"}"#, 5.0),
        (r#"kirosu_task_run_seconds_count{queue="default"}"#, 4.0),
        (
            r#"kirosu_task_completion_seconds_count{queue="default"}"#,
            3.0,
        ),
        (
            r#"kirosu_task_completion_seconds_bucket{queue="default",le="+Inf"}"#,
            3.0,
        ),
        (r#"kirosu_leases_lost_total{reason="session_lost"}"#, 0.0),
        ("kirosu_leases_released_total", 0.0),
        (
            r#"kirosu_actor_restarts_total{actor="writer",kind="writer"}"#,
            0.0,
        ),
    ] {
        expect(&page, series, expected);
    }
    for grown in [
        "kirosu_commit_seconds_count",
        "kirosu_commit_commands_sum",
        "kirosu_wal_bytes",
        "kirosu_connections",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        r#"kirosu_queue_oldest_task_seconds{queue="docs",state="queued"}"#,
    ] {
        assert!(value(&page, grown) > Some(0.0), "{grown} in\n{page}");
    }
    let start = value(&page, "process_start_time_seconds").unwrap();
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    assert!(
        (now - 120.0..=now + 2.0).contains(&start),
        "{start} at {now}"
    );
    promtool(&["check", "metrics"], &page);
    docs_tell_of(&page);
    dashboard_and_rules_name_only(&page);
    let (status, _, body) = get(&address, "/");
    assert!(
        status.contains("404") && body.contains("GET /metrics"),
        "{status} {body}"
    );
}

/// A name on the page with its kind, its labels, and those of docs/metrics.md, compared.
fn docs_tell_of(page: &str) {
    let mut served: BTreeMap<&str, (&str, BTreeSet<&str>)> = BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            served.insert(name, (kind, BTreeSet::new()));
        } else if !line.starts_with('#') {
            let (series, labels) = line.split_once('{').unwrap_or((line, ""));
            let series = series.split(' ').next().unwrap();
            let stems = ["_bucket", "_sum", "_count"].map(|end| series.strip_suffix(end));
            let mut names = stems.into_iter().flatten().chain([series]);
            let name = names.find(|name| served.contains_key(name)).unwrap();
            let labels = labels
                .split("\",")
                .filter_map(|label| label.split_once("=\""));
            let known = &mut served.get_mut(name).unwrap().1;
            known.extend(labels.map(|(name, _)| name).filter(|name| *name != "le"));
        }
    }
    let mut told = BTreeMap::new();
    for line in include_str!("../../docs/metrics.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [
            _,
            name,
            kind @ ("counter" | "gauge" | "histogram"),
            labels,
            ..,
        ] = cells[..]
        {
            let labels = labels.split(", ").map(|label| label.trim_matches('`'));
            let labels = labels.filter(|label| !label.is_empty()).collect();
            told.insert(name.trim_matches('`'), (kind, labels));
        }
    }
    // A hub without pools has no provider accounts; `runs_of_sessions_are_counted_by_provider` sees them.
    told.retain(|name, _| !name.starts_with("kirosu_account_"));
    assert_eq!(served, told, "left: the page, right: docs/metrics.md");
}

/// Whatever the dashboard and the alerts ask for is there.
fn dashboard_and_rules_name_only(page: &str) {
    let served: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let dashboard: Value =
        serde_json::from_str(include_str!("../../deploy/grafana/kirosu.json")).unwrap();
    let mut asked = String::from(include_str!("../../deploy/prometheus/rules.yml"));
    let mut panels = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        panels += 1;
        for target in panel["targets"].as_array().unwrap() {
            asked += target["expr"].as_str().unwrap();
            asked.push('\n');
        }
    }
    assert!(panels > 10);
    let words = asked.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let metrics = words.filter(|word| word.starts_with("kirosu_") || word.starts_with("process_"));
    let mut seen = 0;
    for metric in metrics {
        let stems = ["_bucket", "_sum", "_count"].map(|end| metric.strip_suffix(end));
        let known = stems.into_iter().flatten().chain([metric]);
        assert!(
            known.into_iter().any(|name| served.contains(name)),
            "no metric {metric}"
        );
        seen += 1;
    }
    assert!(seen > 20);
}

#[test]
fn promtool_takes_the_configuration_and_the_alerts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    promtool(&["check", "config", &file("kirosu.yml")], "");
    promtool(&["check", "rules", &file("rules.yml")], "");
}

#[test]
fn runs_of_sessions_are_counted_by_provider() {
    let hub = setup()
        .up()
        .set("pool.p.provider=echo")
        .set("pool.p.size=2")
        .start();
    let address = address(&hub);
    let mut client = hub.client();
    let tasks: Vec<i64> = (0..5).map(|_| client.enqueue("x")).collect();
    client.call("wait", json!({"task_ids": tasks, "timeout_seconds": 30}));
    let page = scrape(&address);
    expect(
        &page,
        r#"kirosu_invocations_total{outcome="done",provider="echo"}"#,
        5.0,
    );
    expect(&page, r#"kirosu_sessions{connected="true"}"#, 2.0);
    for figure in ["parked", "running", "waiting"] {
        let series = format!("kirosu_account_{figure}{{account=\"echo\"}}");
        expect(&page, &series, 0.0);
    }
    expect(
        &page,
        r#"kirosu_actor_restarts_total{actor="pools/p/sessions",kind="session"}"#,
        0.0,
    );
    until("both sessions wait for a task", || {
        (value(&scrape(&address), "kirosu_waiting_leases") == Some(2.0)).then_some(())
    });
}

/// A process of our own that is gone when the test is.
struct Own(Child);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `kirosu api` for a hub at a port, and where it serves the figures.
fn api_of(port: u16) -> (Own, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command.args(["api", "--port", "0", "--hub", &format!("127.0.0.1:{port}")]);
    for setting in ["metrics.enabled=true", "metrics.port=0"] {
        command.args(["--set", setting]);
    }
    command.env_clear().env("HOME", home.path());
    command.current_dir(home.path()).stdin(Stdio::null());
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut api = Own(piped.spawn().unwrap());
    let mut lines = BufReader::new(api.0.stdout.take().unwrap()).lines();
    let named = lines.find_map(|line| {
        let line = line.unwrap();
        let url = line.strip_prefix("KIRO_SWARM_METRICS http://")?;
        Some(url.strip_suffix("/metrics")?.to_owned())
    });
    (api, named.expect("a line that names the address"))
}

#[test]
fn a_hub_that_is_away_is_said_to_be_and_found_again() {
    let hub = Hub::start();
    let port = hub.port;
    let (_api, address) = api_of(port);
    let up = |expected: f64| {
        until("the hub's state is told", || {
            (value(&scrape(&address), "kirosu_up") == Some(expected)).then_some(())
        });
    };
    up(1.0);
    let gone = hub.kill();
    up(0.0);
    let page = scrape(&address);
    assert_eq!(value(&page, r#"kirosu_tasks{state="done"}"#), None);
    promtool(&["check", "metrics"], &page);
    let _hub = Setup { port, ..gone }.start();
    up(1.0);
}

/// Needs the feature `fault-injection` (the README's test command has it).
#[cfg(feature = "fault-injection")]
#[test]
fn a_crash_of_an_actor_is_counted_and_one_of_the_figures_own_heals() {
    let hub = setup().start();
    let address = address(&hub);
    let restarts = |actor: &str, kind: &str| {
        let page = scrape(&address);
        value(
            &page,
            &format!("kirosu_actor_restarts_total{{actor=\"{actor}\",kind=\"{kind}\"}}"),
        )
    };
    assert_eq!(restarts("reaper", "reaper"), Some(0.0));
    let mut client = hub.client();
    client.call("_panic", json!({"path": "root/reaper"}));
    until("the restart is counted", || {
        (restarts("reaper", "reaper") == Some(1.0)).then_some(())
    });
    client.call("_panic", json!({"path": "root/gateway/metrics"}));
    until("the figures are served again", || {
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        value(
            &answer,
            "kirosu_actor_restarts_total{actor=\"gateway/metrics\",kind=\"metrics\"}",
        )
        .filter(|restarts| *restarts == 1.0)
    });
}

#[test]
fn a_web_page_cannot_read_the_metrics_of_its_visitors_machine() {
    let hub = setup().start();
    let address = address(&hub);
    let status = |headers: &str| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let own = format!("host: {address}\r\n");
    assert_eq!(status(&own), "200");
    assert_eq!(status("host: localhost\r\n"), "200");
    assert_eq!(status("host: rebound.example\r\n"), "403");
    assert_eq!(
        status(&format!("{own}origin: https://evil.example\r\n")),
        "403"
    );
}
