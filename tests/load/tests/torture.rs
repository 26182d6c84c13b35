//! The torture, small: every fault that needs no file system of its own strikes a hub at work, once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

/// The count that the tool has printed under this name.
fn counted(said: &str, what: &str) -> u64 {
    let lines = said.lines().filter_map(|line| line.trim().split_once("  "));
    let mut counts = lines.filter(|(_, name)| *name == what);
    let (count, _) = counts.next().expect(what);
    count.parse().expect("a number")
}

/// Runs the tool; what it has printed.
fn torture(arguments: &[&str]) -> String {
    let tool = Path::new(env!("CARGO_BIN_EXE_kirosu-torture"));
    let hub = tool.with_file_name("kirosu");
    assert!(
        hub.exists(),
        "there is no {}: build it with `cargo build -p kirosu`, or test the whole workspace",
        hub.display()
    );
    let output = Command::new(tool)
        .arg("--binary")
        .arg(hub)
        .args(["--workers", "4", "--kills", "1", "--strikes", "1"])
        .args(["--seed", "1"])
        .args(arguments)
        .output()
        .expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

#[test]
fn no_promise_is_broken_whatever_strikes() {
    let said = torture(&["--mode", "clients", "--tasks", "600"]);
    for what in ["kill", "stop", "cut", "stall", "full", "restore", "twice"] {
        assert_eq!(counted(&said, &format!("times {what}")), 1, "{said}");
    }
    // The restore undid leases and tasks, and a client used them afterwards.
    for what in ["enqueues", "leases", "acks"] {
        let undone = counted(&said, &format!("{what} undone by a restore"));
        assert_ne!(undone, 0, "{said}");
    }
    for what in ["lease", "batch"] {
        let most = counted(&said, &format!("most tasks of one {what}"));
        assert!(most >= 500, "{said}");
    }
    let refused = "leases undone by a restore whose ack came and was refused";
    assert_ne!(counted(&said, refused), 0, "{said}");
}

#[test]
fn no_promise_is_broken_where_the_hubs_own_pools_work() {
    let said = torture(&["--mode", "up", "--tasks", "300"]);
    for what in ["kill", "restore"] {
        assert_eq!(counted(&said, &format!("times {what}")), 1, "{said}");
    }
    let undone = counted(&said, "tasks done that a restore undid");
    assert_ne!(undone, 0, "{said}");
}
