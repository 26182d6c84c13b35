//! The torture, small: every fault that needs no file system of its own strikes a hub at work, once or twice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

#[test]
fn no_promise_is_broken_whatever_strikes() {
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
        .args(["--mode", "clients", "--tasks", "600", "--workers", "4"])
        .args(["--kills", "1", "--strikes", "1", "--seed", "1"])
        .output()
        .expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{errors}");
    for what in ["kill", "stop", "cut", "stall", "full", "twice"] {
        assert!(
            said.contains(&format!("times {what}")),
            "no {what} in {said}"
        );
    }
}
