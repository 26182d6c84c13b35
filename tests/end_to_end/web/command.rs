//! `kirosu web`.

use super::kit::{Browser, command, on_a_terminal, setup, ticket_in};
use crate::common::Setup;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_link_is_printed_alone_where_no_browser_can_be_opened() {
    let hub = setup().start();
    let output = command(&hub, &["web"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(printed.starts_with("http://127.0.0.1:"), "{printed}");
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(note.contains("five minutes"), "{note}");
}

#[test]
fn a_browser_is_opened_with_the_link_where_there_is_a_display() {
    let hub = setup().start();
    let folder = hub.setup.directory.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let opener = folder.join("xdg-open");
    std::fs::write(
        &opener,
        "#!/bin/sh\nprintf %s \"$1\" > opened\n[ ! -e broken ]\n",
    )
    .unwrap();
    std::fs::set_permissions(&opener, PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", folder.display());
    let run = || {
        let mut command = command(&hub, &["web"]);
        command.env("PATH", &path).env("DISPLAY", ":0");
        command.output().unwrap()
    };
    let output = run();
    assert!(output.status.success(), "{output:?}");
    let opened = std::fs::read_to_string(hub.setup.directory.path().join("opened")).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("opened http://"), "{printed}");
    assert!(!printed.contains("krl_"), "{printed}");
    // The browser belongs to the hub's user.
    Browser::by(&hub, &json!({"ticket": ticket_in(&opened)}));

    std::fs::write(hub.setup.directory.path().join("broken"), "").unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--print"), "{said}");
}

#[test]
fn without_a_page_or_a_hub_it_says_what_to_do() {
    let hub = Setup::new()
        .environment("KIROSU_HUB__KEYLESS", "owner")
        .start();
    let output = command(&hub, &["web", "--print"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("gateway.enabled") && said.contains("--at"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
    let wrong = command(&hub, &["web", "--at", "kirosu.example"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let at = on_a_terminal(&hub, "web --print --at https://kirosu.example");
    assert!(at.contains("https://kirosu.example/#ticket=krl_"), "{at}");
    hub.cli(&["shutdown"]);
    let mut hub = hub;
    hub.ended();
    let output = command(&hub, &["web"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
}
