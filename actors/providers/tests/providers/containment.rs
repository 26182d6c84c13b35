//! No process survives its run, whatever the program does and whichever process is killed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kirosu_providers::containment::{Swept, sweep_instance};
use kirosu_providers::{Cancel, EventSink, FailureKind};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{BOUND, Fixture, eventually, holds, processes};

/// A program, a child, a double fork in a session of its own without our environment, and one that holds stdout; all ignore
/// SIGTERM. It does without pgrep, which may not be installed.
const DEAF_FAMILY: &str = r#"
trap '' TERM
(trap '' TERM; sleep 4001 & wait) &
(setsid sh -c "trap '' TERM HUP; sleep 4002 & wait" &) &
(env -i PATH="$PATH" MARK="$MARK" setsid sh -c 'trap "" TERM; sleep "$MARK" & wait' &)
until cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -q "[s]leep $MARK"; do :; done
echo ready
while :; do sleep 4004; done
"#;

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// The process of the family without a marker, found by its argument.
fn marked(mark: &str) -> Vec<i32> {
    processes(|pid| holds(pid, "cmdline", mark))
}

fn mark(number: u32) -> String {
    format!("4003.{}{number}", std::process::id())
}

fn runner_of(fixture: &Fixture) -> i32 {
    let runner = env!("CARGO_BIN_EXE_kirosu-runner");
    let exe = |pid| std::fs::read_link(format!("/proc/{pid}/exe"));
    let runners = fixture.alive().into_iter();
    let mut runners = runners.filter(|&pid| exe(pid).is_ok_and(|it| it.ends_with(runner)));
    runners.next().expect("a runner")
}

#[tokio::test]
async fn cancel_ends_a_family_that_ignores_sigterm_and_hides() {
    let fixture = Fixture::new();
    let mark = mark(1);
    let mut job = fixture.job("");
    job.env = vec![("MARK".to_owned(), mark.clone())];
    let running = fixture
        .run_until(fixture.shell(DEAF_FAMILY), job, "ready")
        .await;
    assert!(fixture.alive().len() >= 5);
    assert_eq!(marked(&mark).len(), 1);
    let begin = Instant::now();
    let failure = running.cancel().await;
    assert_eq!(failure.kind, FailureKind::Cancelled);
    assert_eq!(failure.output, "ready");
    assert!(begin.elapsed() >= fixture.containment.grace);
    fixture.assert_empty();
    assert!(marked(&mark).is_empty());
}

#[tokio::test]
async fn a_program_that_obeys_sigterm_ends_at_once_and_may_clean_up() {
    let fixture = Fixture::new();
    let script = "trap 'echo cleaned; exit 0' TERM; echo ready; sleep 4005 & wait";
    let running = fixture
        .run_until(fixture.shell(script), fixture.job(""), "ready")
        .await;
    let failure = running.cancel().await;
    // Exit code 0 after our SIGTERM is not a success.
    assert_eq!(failure.kind, FailureKind::Cancelled);
    assert_eq!(failure.output, "ready\ncleaned");
    fixture.assert_empty();
}

#[tokio::test]
async fn leftovers_of_a_finished_program_are_ended_and_the_answer_counts() {
    let fixture = Fixture::new();
    // The grandchild holds stdout open for longer than any test runs.
    let script = "(setsid sh -c 'trap \"\" TERM; echo kept; sleep 4006' &); echo answer";
    let begin = Instant::now();
    let finished = fixture
        .run(&*fixture.shell(script), fixture.job(""))
        .await
        .unwrap();
    assert!(finished.text.contains("answer"));
    assert!(begin.elapsed() < BOUND);
    fixture.assert_empty();
}

#[tokio::test]
async fn dropping_the_run_ends_it_too() {
    let fixture = Fixture::new();
    let running = fixture
        .run_until(fixture.shell(DEAF_FAMILY), fixture.job(""), "ready")
        .await;
    running.task.abort();
    eventually("nothing left", || fixture.alive().is_empty()).await;
}

#[tokio::test]
async fn a_killed_runner_is_detected_and_its_processes_are_swept() {
    let fixture = Fixture::new();
    let script = "trap '' TERM; (setsid sleep 4007 &); env -i sleep 4008 & echo ready; wait";
    let running = fixture
        .run_until(fixture.shell(script), fixture.job(""), "ready")
        .await;
    kill(runner_of(&fixture));
    let failure = running.end().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Crashed);
    assert!(failure.message.contains("runner"), "{failure}");
    fixture.assert_empty();
    assert!(marked("4008").is_empty());
}

#[tokio::test]
async fn a_program_that_stops_its_runner_gains_nothing() {
    let fixture = Fixture::new();
    let script = "trap '' TERM; echo ready; until [ -e go ]; do sleep 0.01; done;
        kill -STOP $PPID; echo stopped; sleep 4010";
    let mut running = fixture
        .run_until(fixture.shell(script), fixture.job(""), "ready")
        .await;
    std::fs::write(fixture.workdir.path().join("go"), "").unwrap();
    running.wait_for("stopped").await;
    let failure = running.cancel().await;
    assert_eq!(failure.kind, FailureKind::Cancelled);
    fixture.assert_empty();
}

#[tokio::test]
async fn a_chain_of_forks_each_in_a_new_session_is_ended() {
    let fixture = Fixture::new();
    // Each generation makes a session, forks the next and exits, so a signal never finds the process that was seen.
    let code = "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\nwhile True:\n    if os.fork(): os._exit(0)\n    os.setsid()";
    let running = fixture
        .run_until(fixture.python(), fixture.job(code), "ready")
        .await;
    let _ = running.end().await;
    fixture.assert_empty();
}

/// Not a test: the process that the next tests kill. It runs a program until it dies.
#[tokio::test]
async fn stand_in_parent() {
    let Ok(instance) = std::env::var("STAND_IN_INSTANCE") else {
        return;
    };
    let fixture = Fixture::named(&instance);
    let provider = fixture.shell(DEAF_FAMILY);
    let _ = provider
        .run(fixture.job(""), EventSink::discard(), Cancel::never())
        .await;
}

/// Starts the stand-in and waits until its family is complete.
async fn stand_in(fixture: &Fixture, mark: &str) -> std::process::Child {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "containment::stand_in_parent"])
        .env("STAND_IN_INSTANCE", &fixture.containment.instance)
        .env("MARK", mark)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the family", || {
        marked("4004")
            .iter()
            .any(|pid| fixture.alive().contains(pid))
    })
    .await;
    child
}

#[tokio::test]
async fn a_killed_hub_takes_everything_with_it() {
    let fixture = Fixture::new();
    let mark = mark(2);
    let mut parent = stand_in(&fixture, &mark).await;
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("nothing left", || {
        fixture.alive().is_empty() && marked(&mark).is_empty()
    })
    .await;
}

#[tokio::test]
async fn the_next_start_ends_what_a_hub_and_its_runner_left() {
    let fixture = Fixture::new();
    let bystander = Fixture::new();
    let other = bystander
        .run_until(
            bystander.shell("echo ready; sleep 4009"),
            bystander.job(""),
            "ready",
        )
        .await;
    let mark = mark(3);
    let mut parent = stand_in(&fixture, &mark).await;
    kill_process(Pid::from_child(&parent), Signal::STOP).unwrap();
    kill(runner_of(&fixture));
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(!fixture.alive().is_empty());

    let instance = fixture.containment.instance.clone();
    let sweep = move || sweep_instance(&instance, Duration::from_millis(50));
    let swept: Swept = tokio::task::spawn_blocking(sweep).await.unwrap();
    assert!(swept.ended >= 4 && swept.alive == 0, "{swept:?}");
    fixture.assert_empty();
    // The sweep cannot find a process that cleared its environment.
    marked(&mark).into_iter().for_each(kill);

    assert!(!bystander.alive().is_empty(), "others are spared");
    let failure = other.cancel().await;
    assert_eq!(failure.kind, FailureKind::Cancelled);
}
