//! A run against the processes that contain it: it stops or kills its runner, or reads what the hub has in memory.

use crate::common::{Hub, Setup};
use serde_json::{Value, json};
use std::os::unix::fs::chown;
use std::process::Command;

/// A user without rights, for tests that root starts.
const NOBODY: u32 = 65534;

const KEY: &str = "the-key-of-the-hub-for-these-tests";

/// `kirosu up` with a pool that runs prompts as shell scripts.
fn setup() -> Setup {
    Setup::new()
        .up()
        .environment("KIRO_SWARM_KEY", KEY)
        .set("providers.sh.kind=command")
        .set("providers.sh.command=[\"sh\"]")
        .set("pool.p.provider=sh")
        .set("pool.p.size=1")
}

fn ran(hub: &Hub, prompt: &str) -> Value {
    let mut client = hub.client();
    let id = client.enqueue_with(json!({"prompt": prompt, "max_attempts": 1, "auth_token": KEY}));
    let wait = json!({"task_ids": [id], "timeout_seconds": 25, "auth_token": KEY});
    let ended = client.call("wait", wait);
    assert_eq!(ended["finished"], true, "{ended}");
    client.call("get", json!({"task_id": id, "auth_token": KEY}))["task"].clone()
}

#[test]
fn a_run_that_stops_its_runner_ends_all_the_same() {
    let hub = setup().start();
    let task = ran(&hub, "echo fine; kill -STOP $PPID");
    assert_eq!(task["status"], "done", "{task}");
    assert_eq!(task["result"], "fine", "{task}");
    assert!(hub.log().contains("a runner was stopped"), "{}", hub.log());
    // Again and again: the runner is killed, and the attempt fails.
    let task = ran(
        &hub,
        "while kill -STOP $PPID; do sleep 0.05; done; sleep 600",
    );
    assert_eq!(task["status"], "failed", "{task}");
    let task = ran(&hub, "echo next");
    assert_eq!(task["result"], "next", "{task}");
}

#[test]
fn a_killed_runner_is_no_proof_that_nothing_is_left_but_an_empty_cgroup_is() {
    let hub = setup().start();
    let task = ran(&hub, "kill -9 $PPID; sleep 600");
    assert_eq!(task["status"], "failed", "{task}");
    let error = task["error"].as_str().unwrap_or_default();
    let is_proof = kirosu_providers::Cgroups::expected().missing().is_none();
    let expected = match is_proof {
        true => "all processes of the run were ended",
        false => "others may be left",
    };
    assert!(error.contains(expected), "{task}");
}

/// The user of the hub cannot be root, who may read everything.
#[test]
fn a_run_cannot_read_the_environment_of_the_hub_or_of_its_runner() {
    let mut setup = setup();
    if rustix::process::geteuid().is_root() {
        let id = NOBODY.to_string();
        let user = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
        let is_usable = Command::new(user[0])
            .args(&user[1..])
            .args([env!("CARGO_BIN_EXE_kirosu"), "--version"])
            .output();
        if !is_usable.is_ok_and(|it| it.status.success()) {
            eprintln!(
                "skipped: another user cannot run {}",
                env!("CARGO_BIN_EXE_kirosu")
            );
            return;
        }
        chown(setup.directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        setup = setup.under(&user);
    }
    let hub = setup.start();
    let hubs = format!("/proc/{}", hub.pid());
    let task = ran(
        &hub,
        &format!(
            "for it in {hubs} /proc/$PPID; do cat $it/environ | tr '\\0' '\\n' | grep -c -e {KEY}; ls $it/fd; done 2>&1; true"
        ),
    );
    assert_eq!(task["status"], "done", "{task}");
    let result = task["result"].as_str().unwrap_or_default();
    assert_eq!(result.matches("ermission denied").count(), 4, "{result}");
    let found = result.lines().filter(|line| line.parse::<u32>().is_ok());
    assert_eq!(found.collect::<Vec<_>>(), ["0", "0"], "{result}");
}
