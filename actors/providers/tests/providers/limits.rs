//! Limits of size and time.

use std::time::{Duration, Instant};

use kirosu_providers::{Cancel, EventSink, FailureKind, TimeoutKind};

use crate::support::{BOUND, Fixture};

/// Resident memory of this process, now and at its maximum, in KiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|it| it.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[tokio::test]
async fn a_flood_is_cut_with_a_mark_and_never_grows_memory() {
    let fixture = Fixture::new();
    let (before, _) = memory();
    let provider =
        fixture.shell("head -c 100000000 /dev/zero | tr '\\0' x; yes | head -c 9000000 >&2");
    let finished = fixture.run(&*provider, fixture.job("")).await.unwrap();
    let (_, most) = memory();
    assert!(finished.truncated);
    let kept = 1024 * 1024;
    assert!(finished.text[..kept].bytes().all(|it| it == b'x'));
    let mark = format!("{} more bytes were not kept", 100_000_000 - kept);
    assert!(finished.text[kept..].contains(&mark));
    assert!(most < before + 32 * 1024, "{before} KiB grew to {most} KiB");
    fixture.assert_empty();
}

#[tokio::test]
async fn a_reader_that_does_not_read_slows_the_program_and_does_not_stop_a_cancel() {
    let fixture = Fixture::new();
    let (sink, mut events) = EventSink::channel(4);
    let (handle, cancel) = Cancel::pair();
    let mut job = fixture.job("");
    // A program that waits for its reader is not silent.
    // The start has a limit of its own, because it takes longer on a busy machine.
    job.timeouts.start = Some(BOUND);
    job.timeouts.silence = Some(Duration::from_millis(100));
    let provider = fixture.command(&["yes"]);
    let task = tokio::spawn(async move { provider.run(job, sink, cancel).await });
    tokio::time::timeout(BOUND, events.recv()).await.unwrap();
    // Three times the silence limit pass without a reader, and the run continues.
    let patience = tokio::time::sleep(Duration::from_millis(300));
    tokio::pin!(task);
    tokio::select! {
        () = patience => {}
        ended = &mut task => panic!("ended early: {ended:?}"),
    }
    handle.cancel();
    let ended = tokio::time::timeout(BOUND, task).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().kind, FailureKind::Cancelled);
    fixture.assert_empty();
}

#[tokio::test]
async fn each_time_limit_ends_the_run_and_says_which() {
    let limit = Some(Duration::from_millis(150));
    let cases = [
        ("sleep 1000", TimeoutKind::Start),
        ("echo first; sleep 1000", TimeoutKind::Silence),
        ("while :; do echo on; sleep 0.01; done", TimeoutKind::Total),
    ];
    for (script, which) in cases {
        let fixture = Fixture::new();
        let mut job = fixture.job("");
        match which {
            TimeoutKind::Start => job.timeouts.start = limit,
            TimeoutKind::Silence => job.timeouts.silence = limit,
            TimeoutKind::Total => job.timeouts.total = limit,
        }
        let begin = Instant::now();
        let failure = fixture.run(&*fixture.shell(script), job).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout { which }, "{script}");
        assert!(begin.elapsed() >= Duration::from_millis(150));
        let printed = !failure.output.is_empty();
        assert_eq!(printed, which != TimeoutKind::Start, "{script}");
        fixture.assert_empty();
    }
}
