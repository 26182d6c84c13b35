//! Bounds of runs: memory, processes and CPU time of a run, and its end by its cgroup.

use crate::common::{Hub, Setup, until};
use kirosu_providers::Cgroups;
use serde_json::{Value, json};
use std::path::Path;

/// A pool that runs prompts as shell scripts, two at a time.
pub fn setup() -> Setup {
    Setup::new()
        .up()
        .set("providers.sh.kind=command")
        .set("providers.sh.command=[\"sh\"]")
        .set("pool.p.provider=sh")
        .set("pool.p.size=2")
}

/// The reason why this machine cannot enforce limits (or end runs by their cgroup), if it cannot.
pub fn cannot(limit: &str) -> bool {
    let cgroups = Cgroups::expected();
    let unlimited = cgroups.unlimited();
    let limits = unlimited.iter().find(|(key, _)| *key == limit);
    let why = match limit {
        "kill" => cgroups.missing(),
        _ => limits.map(|(_, why)| *why),
    };
    why.inspect(|why| eprintln!("skipped: {limit}: {why}"))
        .is_some()
}

pub fn enqueue(hub: &Hub, prompt: &str) -> i64 {
    hub.client()
        .enqueue_with(json!({"prompt": prompt, "max_attempts": 1}))
}

pub fn ended(hub: &Hub, id: i64) -> Value {
    let mut client = hub.client();
    let wait = client.call("wait", json!({"task_ids": [id], "timeout_seconds": 25}));
    assert_eq!(wait["finished"], true, "{wait}");
    let got = client.call("get", json!({"task_id": id}));
    let mut task = got["task"].clone();
    task["outcome"] = got["attempts"][0]["outcome"].clone();
    task
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn written(file: &Path) -> String {
    until("a file of the run", || {
        let text = std::fs::read_to_string(file).ok()?;
        text.ends_with('\n').then_some(text)
    })
}

#[test]
fn a_run_that_allocates_without_end_is_killed_alone() {
    if cannot("memory") {
        return;
    }
    let setup = setup().set("pool.p.memory=64 MiB");
    let hub = setup.start();
    let folder = setup.directory.path();
    let patient = enqueue(
        &hub,
        "echo >started; while [ ! -e go ]; do sleep 0.05; done; echo well",
    );
    written(&folder.join("started"));
    let hog = enqueue(
        &hub,
        "exec python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'",
    );
    let task = ended(&hub, hog);
    assert_eq!(task["status"], "failed", "{task}");
    assert_eq!(task["outcome"], "out_of_memory", "{task}");
    let error = task["error"].as_str().unwrap_or_default();
    assert!(error.contains("limit 64 MiB of pool p"), "{task}");

    std::fs::write(folder.join("go"), "").unwrap();
    assert_eq!(ended(&hub, patient)["result"], "well");
    let next = enqueue(&hub, "echo next");
    assert_eq!(ended(&hub, next)["result"], "next");
}

#[test]
fn a_run_that_forks_without_end_is_bounded_and_ended() {
    if cannot("processes") || cannot("kill") {
        return;
    }
    let setup = setup().set("pool.p.processes=30").set("pool.p.timeout=2s");
    let hub = setup.start();
    // Each process starts two, whose shell ends when the kernel refuses one.
    let bomb = enqueue(&hub, "b() { b | b & }; b; sleep 600");
    let next = enqueue(&hub, "echo next");
    assert_eq!(ended(&hub, next)["result"], "next");
    let task = ended(&hub, bomb);
    assert_eq!(task["status"], "failed", "{task}");
    // A limit of the pool is no shortage of the machine, after which the task would be tried without end.
    let many = enqueue(
        &hub,
        "i=0; while [ $i -lt 60 ]; do sleep 600 & i=$((i + 1)); done; echo never",
    );
    let task = ended(&hub, many);
    assert_eq!(task["outcome"], "provider_error", "{task}");
    let error = task["error"].as_str().unwrap_or_default();
    assert!(error.contains("limit 30 of pool p"), "{task}");
}

#[test]
fn a_process_that_leaves_its_runner_and_mark_ends_with_the_run() {
    if cannot("kill") {
        return;
    }
    let setup = setup();
    let hub = setup.start();
    let file = setup.directory.path().join("pid");
    // Without the environment's mark, in a session of its own, an orphan; and then the runner is gone.
    let id = enqueue(
        &hub,
        "env -i setsid sh -c '(echo $$ >pid; exec sleep 600) & exec sleep 600' & while [ ! -s pid ]; do sleep 0.05; done; kill -9 $PPID; sleep 600",
    );
    let pid = written(&file);
    let task = ended(&hub, id);
    assert_eq!(task["status"], "failed", "{task}");
    assert!(!is_alive(&pid), "{pid} survived its run");
    let error = task["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("all processes of the run were ended"),
        "{task}"
    );
}

#[test]
fn cpu_time_is_limited() {
    if cannot("cpu") {
        return;
    }
    let hub = setup().set("pool.p.cpu=0.2").start();
    // A second of wall time with a fifth of a core.
    let id = enqueue(
        &hub,
        "exec python3 -c '\nimport time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass\nprint(time.process_time())'",
    );
    let task = ended(&hub, id);
    let used: f64 = task["result"].as_str().unwrap().parse().unwrap();
    assert!(used < 0.6, "{used} s of CPU time in a second");
}

#[test]
fn what_a_killed_host_has_left_is_ended_at_the_next_start() {
    if cannot("kill") {
        return;
    }
    let setup = setup();
    let hub = setup.start();
    let file = setup.directory.path().join("pid");
    // The runner is stopped, so it does not notice the end of the hub.
    enqueue(
        &hub,
        "env -i setsid sh -c 'echo $$ >pid; exec sleep 600' & while [ ! -s pid ]; do sleep 0.05; done; while kill -STOP $PPID; do sleep 0.02; done",
    );
    let pid = written(&file);
    let setup = hub.kill();
    let _hub = setup.start();
    until("the end of the process", || (!is_alive(&pid)).then_some(()));
}

#[test]
fn a_limit_that_cannot_be_enforced_is_refused_at_the_start() {
    // The run's own group is below that of the hub, which another user may not change.
    let nobody = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    let is_usable = std::process::Command::new(nobody[0])
        .args(&nobody[1..])
        .args([env!("CARGO_BIN_EXE_kirosu"), "--version"])
        .output();
    if !is_usable.is_ok_and(|it| it.status.success()) {
        eprintln!("skipped: cannot start kirosu as another user");
        return;
    }
    let setup = setup().set("pool.p.memory=64 MiB").under(&nobody);
    std::os::unix::fs::chown(setup.directory.path(), Some(65534), Some(65534)).unwrap();
    let (status, _, error) = setup.run();
    assert!(!status.success());
    assert!(
        error.contains("cannot start pool p: memory cannot be limited here"),
        "{error}"
    );
    assert!(error.contains("Delegate=yes"), "{error}");
}
