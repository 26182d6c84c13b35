//! A hub serves the page by default, on a port that it gets, and shows a link to the person at its terminal.

use super::kit::{Browser, call, ticket_in};
use crate::common::http::get;
use crate::common::process::address;
use crate::common::tmux::Tmux;
use crate::common::{Client, Setup, until};
use serde_json::json;
use std::net::TcpListener;

/// A hub with the default settings of the gateway.
fn default_setup() -> Setup {
    Setup::new()
        .with_default_gateway()
        .environment("KIROSU_HUB__KEYLESS", "owner")
}

#[test]
fn two_hubs_of_a_machine_serve_their_pages_at_different_ports() {
    // Another program may have it; then it is taken all the same.
    let _taken = TcpListener::bind("127.0.0.1:8000");
    let (one, two) = (default_setup().start(), default_setup().up().start());
    let (first, second) = (address(&one), address(&two));
    assert_ne!(first, second);
    for (hub, at) in [(&one, &first), (&two, &second)] {
        assert!(
            hub.first_line.starts_with("KIRO_SWARM_HUB tcp://"),
            "{}",
            hub.first_line
        );
        assert_ne!(at, "127.0.0.1:8000");
        assert!(
            hub.log().contains("gateway's default port"),
            "{}",
            hub.log()
        );
        assert_eq!(get(at, "/").status, 200);
    }
}

#[test]
fn a_port_that_the_user_has_set_and_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let setup = default_setup().set(&format!("gateway.port={port}"));
    let (status, _, log) = setup.run();
    assert!(!status.success(), "{log}");
    assert!(log.contains("another `port` in [gateway]"), "{log}");
}

#[test]
fn a_hub_without_a_tcp_port_serves_no_page_unless_the_settings_say_so() {
    let closed = || {
        let setup = default_setup().without_port();
        let socket = setup.directory.path().join("hub.sock");
        setup
            .set("hub.port=off")
            .set(&format!("hub.socket={}", socket.display()))
    };
    let hub = closed().start();
    assert!(
        hub.first_line.starts_with("KIRO_SWARM_HUB unix://"),
        "{}",
        hub.first_line
    );
    let ready = until("it is ready", || {
        hub.log().contains("ready").then(|| hub.log())
    });
    assert!(!ready.contains("REST is served"), "{ready}");
    drop(hub);
    let hub = closed()
        .set("gateway.enabled=true")
        .set("gateway.port=0")
        .start();
    assert_eq!(get(&address(&hub), "/").status, 200);
}

#[test]
fn a_hub_that_a_person_starts_on_a_terminal_shows_a_link_with_all_rights() {
    let setup = default_setup().set("gateway.port=0");
    let command = setup.command();
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let home = setup.directory.path().display().to_string();
    let tmux = Tmux::start(
        (200, 24),
        &[
            ("HOME", &home),
            ("USER", "grace"),
            ("KIROSU_HUB__KEYLESS", "owner"),
            ("KIROSU_LOG__FILE", &format!("{home}/hub.log")),
        ],
        &words.join(" "),
    );
    let screen = until("the link is shown", || {
        let screen = tmux.screen();
        screen.contains("logs in once").then_some(screen)
    });
    let line = |name: &str| {
        let line = screen.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {screen}"))
            .trim()
            .to_owned()
    };
    let api = line("KIRO_SWARM_API http://");
    let hub = line("KIRO_SWARM_HUB tcp://127.0.0.1:");
    assert!(
        screen.contains(&format!("web page: http://{api}/#ticket=krl_")),
        "{screen}"
    );
    let mut browser = Browser {
        address: api,
        cookie: String::new(),
    };
    let ticket = json!({"ticket": ticket_in(&screen)});
    assert_eq!(browser.log_in(&ticket).status, 204);
    let key = std::fs::read_to_string(setup.directory.path().join(".local/share/kirosu/hub.key"));
    let mut client = Client::connect(hub.parse().unwrap());
    client.call("hello", json!({"auth_token": key.unwrap().trim()}));
    let task = client.enqueue_with(json!({"prompt": "p", "requires_approval": true}));
    let approved = browser.change("POST", &format!("/tasks/{task}/approve"), "{}");
    assert_eq!(approved.status, 200, "{approved:?}");
    let detail = client.call("get", json!({"task_id": task}));
    assert_eq!(detail["decisions"][0]["by"], "grace", "{detail}");
    let log = std::fs::read_to_string(setup.directory.path().join("hub.log")).unwrap();
    assert!(
        log.contains("REST is served") && !log.contains("krl_"),
        "{log}"
    );
    client.call("shutdown", json!({}));
}

#[test]
fn a_hub_without_a_terminal_shows_no_link() {
    let hub = default_setup().set("gateway.port=0").start();
    address(&hub);
    call(&hub, "stats", json!({}));
    assert!(
        !hub.log().contains("krl_") && !hub.log().contains("web page:"),
        "{}",
        hub.log()
    );
}
