//! A program that fails each run at once must not drain the queue: after a few tasks one at a time is tried, until one goes.

use crate::common::{Client, Setup, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const TASKS: u64 = 60;
/// Agents of the pool: their runs that began before the breaker opened cost nothing.
const SIZE: u64 = 4;
const THRESHOLD: u64 = 5;

/// `kirosu up` with codex, which answers as long as there is no file `broken`.
fn setup() -> Setup {
    let setup = Setup::new().up();
    let home = setup.directory.path().canonicalize().unwrap();
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("actors/providers/tests/captures");
    let program = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && exec echo codex-cli 1.0\ncat > /dev/null\n\
         [ -e '{home}/broken' ] && {{ echo 'unexpected argument' >&2; exit 1; }}\nexec cat '{capture}'\n",
        home = home.display(),
        capture = captures.join("codex/json.out").display()
    );
    fs::write(home.join("codex"), program).unwrap();
    fs::set_permissions(home.join("codex"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    setup
        .environment("PATH", &format!("{}:{path}", home.display()))
        .set("pool.p.provider=codex")
        .set(&format!("pool.p.size={SIZE}"))
}

fn stats(client: &mut Client) -> Value {
    client.call("stats", json!({}))["stats"].take()
}

fn standing(client: &mut Client) -> (String, String) {
    let pools = client.call("pools", json!({}));
    let text = |key: &str| {
        pools["pools"][0][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("state"), text("note"))
}

#[test]
fn a_program_that_fails_each_run_parks_its_pool() {
    let setup = setup();
    let broken = setup.directory.path().join("broken");
    fs::write(&broken, "").unwrap();
    let hub = setup.start();
    let mut client = hub.client();
    client.call("pause", json!({}));
    for number in 0..TASKS {
        client.enqueue(&format!("task {number}"));
    }
    client.call("resume", json!({}));
    let note = until("the breaker opens", || {
        let (state, note) = standing(&mut client);
        (state == "failing").then_some(note)
    });
    assert!(
        note.contains("exited with code 1") && note.contains("unexpected argument"),
        "{note}"
    );
    // Those under way have ended, and one has found out that nothing is better.
    let failed = until("one more was tried", || {
        let failed = stats(&mut client)["failed"].as_u64().unwrap();
        (failed > THRESHOLD).then_some(failed)
    });
    assert!(failed <= THRESHOLD + 2, "{failed}");
    fs::remove_file(&broken).unwrap();
    client.call("pools", json!({"probe": "p"}));
    let stats = until("the rest is done", || {
        let stats = stats(&mut client);
        (stats["queued"] == 0 && stats["leased"] == 0).then_some(stats)
    });
    assert_eq!(
        stats["done"].as_u64().unwrap() + stats["failed"].as_u64().unwrap(),
        TASKS
    );
    assert!(stats["failed"].as_u64().unwrap() <= failed + 1, "{stats}");
    assert_eq!(standing(&mut client).0, "running");
    let warnings = hub
        .log()
        .lines()
        .filter(|line| line.contains("takes fewer tasks"))
        .count();
    assert_eq!(warnings, 1, "{}", hub.log());
}

#[test]
fn a_program_of_ones_own_may_fail_each_task() {
    let setup = Setup::new()
        .up()
        .set("providers.own.kind=command")
        .set("providers.own.command=[\"false\"]")
        .set("pool.p.provider=own");
    let hub = setup.start();
    let mut client = hub.client();
    for number in 0..20 {
        client.enqueue(&format!("task {number}"));
    }
    until("all have failed", || {
        (stats(&mut client)["failed"] == 20).then_some(())
    });
    assert_eq!(standing(&mut client).0, "running");
}
