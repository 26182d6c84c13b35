//! Verbs as a person types them: help, the end of a log, times on a terminal, settings with a fault elsewhere.

use crate::common::tmux::Tmux;
use crate::common::{Hub, Setup};
use serde_json::json;
use std::fs;
use std::process::{Command, Output};

fn kirosu(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_of_a_verb_is_the_same_as_its_flag() {
    let whole = kirosu(&["--help"]);
    assert_eq!(kirosu(&["help"]).stdout, whole.stdout);
    let page = text(&whole.stdout);
    let verbs = page.lines().filter_map(|line| line.strip_prefix("  "));
    let verbs = verbs.filter_map(|line| Some(line.split_once("  ")?.0));
    let verbs: Vec<&str> = verbs
        .filter(|verb| verb.chars().all(|c| c.is_ascii_lowercase()))
        .collect();
    assert!(
        verbs.contains(&"enqueue") && verbs.contains(&"reload"),
        "{verbs:?}"
    );
    for verb in verbs.into_iter().filter(|verb| !verb.is_empty()) {
        let by_flag = kirosu(&[verb, "--help"]);
        let by_verb = kirosu(&["help", verb]);
        assert_eq!(by_verb.status.code(), Some(0), "{verb}");
        assert_eq!(text(&by_verb.stdout), text(&by_flag.stdout), "{verb}");
    }
    for nested in [
        ["config", "example"],
        ["pool", "resize"],
        ["pool", "probe"],
        ["task", "add"],
        ["db", "import-legacy"],
    ] {
        let by_verb = kirosu(&["help", nested[0], nested[1]]);
        assert_eq!(
            by_verb.stdout,
            kirosu(&[nested[0], nested[1], "--help"]).stdout,
            "{nested:?}"
        );
    }
    let unknown = kirosu(&["help", "enqeue"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("enqeue"), "{unknown:?}");
}

#[test]
fn the_end_of_a_log_is_shown_and_gone_on_with() {
    let hub = Hub::start();
    let mut client = hub.client();
    let id = client.enqueue("x");
    let task = client.lease(json!({"worker_id": "w"}));
    let mut print = |text: &str| {
        client.call(
            "output",
            json!({"task_id": id, "fence": task["fence"], "text": text}),
        );
    };
    print("one\ntwo\n");
    print("three\nfo");
    print("ur\n");
    let id = id.to_string();
    for (lines, expected) in [
        ("0", ""),
        ("1", "four\n"),
        ("2", "three\nfour\n"),
        ("9", "one\ntwo\nthree\nfour\n"),
    ] {
        let output = hub.cli(&["logs", &id, "--tail", lines]);
        assert_eq!(text(&output.stdout), expected);
    }
    assert_eq!(
        hub.cli(&["logs", &id, "--tail", "-1"]).status.code(),
        Some(2)
    );
    let binary = env!("CARGO_BIN_EXE_kirosu");
    let command = format!(
        "'{binary}' logs -f {id} --tail 1 --config /dev/null --port {}",
        hub.port
    );
    let tmux = Tmux::start((80, 24), &[], &command);
    tmux.see(&["four"]);
    print("five\nsix\n");
    let screen = tmux.see(&["five", "six"]);
    assert!(!screen.contains("three"), "{screen}");
}

#[test]
fn times_are_local_on_a_terminal_and_utc_where_that_is_wanted() {
    let hub = Hub::start();
    let id = hub
        .client()
        .enqueue_with(json!({"prompt": "x", "run_at": 1_811_844_000}));
    let binary = env!("CARGO_BIN_EXE_kirosu");
    let show = |zone: &str, flags: &str, verb: &str| {
        let command = format!(
            "'{binary}' {verb} --config /dev/null --port {} {flags}",
            hub.port
        );
        Tmux::start((80, 24), &[("TZ", zone)], &command)
    };
    let get = format!("get {id}");
    show("Europe/Berlin", "", &get).see(&["2027-06-01 12:00:00 +02:00"]);
    show("America/New_York", "", &get).see(&["2027-06-01 06:00:00 -04:00"]);
    show("Europe/Berlin", "--utc", &get).see(&["2027-06-01T10:00:00.000Z"]);
    show("Mars/Olympus", "", &get).see(&["2027-06-01T10:00:00.000Z"]);
    show("Asia/Kolkata", "", "dashboard --screen events").see(&["TIME (+05:30)"]);
    show("Asia/Kolkata", "--utc", "dashboard --screen events").see(&["TIME (UTC)"]);
    let watch = show("Asia/Kolkata", "", "watch");
    crate::common::until("an event is shown with its zone", || {
        hub.client().enqueue("y");
        watch.screen().contains(" +05:30  task").then_some(())
    });
    // A pipe is for programs.
    let output = hub.cli(&["get", &id.to_string()]);
    assert!(text(&output.stdout).contains("2027-06-01T10:00:00.000Z"));
}

#[test]
fn a_ping_shows_whether_the_hub_answers() {
    let hub = Hub::start();
    let pinged = hub.cli(&["ping"]);
    assert_eq!(pinged.status.code(), Some(0), "{pinged:?}");
    let expected = format!("the hub at 127.0.0.1:{} answers in ", hub.port);
    assert!(text(&pinged.stdout).starts_with(&expected), "{pinged:?}");
    let answer: serde_json::Value =
        serde_json::from_slice(&hub.cli(&["ping", "--json"]).stdout).unwrap();
    assert_eq!(
        answer["boot_id"],
        hub.client().call("ping", json!({}))["boot_id"]
    );
    assert!(answer["round_trip_ms"].as_f64() > Some(0.0), "{answer}");
    let alone = kirosu(&[
        "ping",
        "--config",
        "/dev/null",
        "--socket",
        "/nowhere/hub.sock",
    ]);
    assert_eq!(alone.status.code(), Some(5), "{alone:?}");
}

#[test]
fn a_half_edited_pool_stops_no_client() {
    let hub = Hub::start();
    let home = hub.setup.directory.path();
    let rest = "[[pool]]\nname = \"coders\"\nprovider = \nqueues = [\"a\n";
    fs::write(
        home.join("kirosu.toml"),
        format!("[hub]\nport = {}\n{rest}", hub.port),
    )
    .unwrap();
    let client = |verb: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
        command
            .args(verb)
            .env_clear()
            .env("HOME", home)
            .env("KIROSU_CONFIG", home.join("kirosu.toml"))
            .current_dir(home)
            .output()
            .unwrap()
    };
    for verb in [
        &["list"][..],
        &["status"],
        &["stats"],
        &["enqueue", "x"],
        &["cancel", "1"],
        &["get", "1"],
    ] {
        let output = client(verb);
        assert!(output.status.success(), "{verb:?} {output:?}");
        let said = text(&output.stderr);
        assert!(said.contains("kirosu config check"), "{said}");
    }
    // Verbs that serve, or use the agents' folders, need all settings.
    let (status, _, said) = Setup {
        port: 0,
        ..hub.setup.clone()
    }
    .up()
    .run();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("kirosu.toml:5"), "{said}");
    assert_eq!(client(&["workspaces"]).status.code(), Some(1));
    assert_eq!(client(&["config", "check"]).status.code(), Some(1));
}
