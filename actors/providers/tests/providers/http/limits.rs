//! Time limits, cancel, and endless streams.

use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use kirosu_providers::{Cancel, EventSink, FailureKind, Job, RunEvent, TimeoutKind};

use crate::http::service::{BOUND, Script, Service, begin, chunk, closed, responding, run, status};

const PIECE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"more and more \"}}]}\n\n";

/// A script that repeats a piece `count` times or until the connection closes. The receiver gets whether it closed.
fn endless(piece: String, count: usize) -> (Script, std::sync::mpsc::Receiver<bool>) {
    let (sender, reported) = channel();
    let script = move |stream: &mut TcpStream| {
        begin(stream);
        let spoke = (0..count).all(|_| chunk(stream, piece.as_bytes()));
        // The end of the connection shows as a write or a read that fails.
        let _ = sender.send(!spoke || closed(stream));
    };
    (Box::new(script), reported)
}

/// Waits for the script's result. The connection can close meanwhile, which needs this thread.
async fn script_result(reported: std::sync::mpsc::Receiver<bool>) -> bool {
    let reported = tokio::task::spawn_blocking(move || reported.recv_timeout(BOUND)).await;
    reported.unwrap().expect("the script ended")
}

#[tokio::test]
async fn each_limit_of_time_closes_the_connection() {
    let loading = || {
        let body = "{\"error\":{\"message\":\"Loading model\"}}";
        responding(status("503 Service Unavailable", "", body))
    };
    let (silent, silence) = endless(PIECE.to_owned(), 3);
    let (babbling, babble) = endless(": still here\n\n".to_owned(), usize::MAX);
    let cases = [
        (TimeoutKind::Silence, silent, Some(silence)),
        (TimeoutKind::Total, babbling, Some(babble)),
        (TimeoutKind::Start, loading(), None),
    ];
    for (which, script, reported) in cases {
        let mut scripts = vec![script];
        scripts.extend((0..20).map(|_| loading()));
        let service = Service::play(scripts);
        let mut job = Job::new("x", "/");
        let limit = Some(Duration::from_millis(800));
        match which {
            TimeoutKind::Start => job.timeouts.start = limit,
            TimeoutKind::Silence => job.timeouts.silence = limit,
            TimeoutKind::Total => job.timeouts.total = limit,
        }
        let outcome = run(&*service.provider("openai"), job, Cancel::never())
            .await
            .1;
        let failure = outcome.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout { which });
        if let Some(reported) = reported {
            assert!(script_result(reported).await, "{which:?}");
        }
    }
}

#[tokio::test]
async fn a_cancel_in_the_middle_closes_the_connection_at_once() {
    let (script, reported) = endless(PIECE.to_owned(), 2);
    let service = Service::play(vec![script]);
    let provider = service.provider("openai");
    let (sink, mut events) = EventSink::channel(8);
    let (handle, cancel) = Cancel::pair();
    let running = tokio::spawn(async move { provider.run(Job::new("x", "/"), sink, cancel).await });
    while !matches!(events.recv().await.unwrap(), RunEvent::Text { .. }) {}
    let begin = Instant::now();
    handle.cancel();
    let failure = running.await.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Cancelled);
    assert!(failure.output.starts_with("more and more"));
    assert!(script_result(reported).await);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn a_flood_is_bounded_and_its_end_still_counts() {
    let flood = move |stream: &mut TcpStream| {
        begin(stream);
        assert!((0..2000).all(|_| chunk(stream, PIECE.as_bytes())));
        chunk(stream, b"data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9}}\n\n");
        chunk(stream, b"data: [DONE]\n\n");
    };
    let service = Service::play(vec![Box::new(flood)]);
    let mut job = Job::new("x", "/");
    job.max_output_bytes = 1000;
    let (events, outcome) = run(&*service.provider("openai"), job, Cancel::never()).await;
    let finished = outcome.unwrap();
    assert!(finished.truncated);
    assert!(finished.text.len() < 1100 && finished.text.contains("[output cut here"));
    assert_eq!(crate::http::service::text(&events).len(), 1000);
    assert_eq!(finished.usage.unwrap().output, 9);
}

#[tokio::test]
async fn an_event_without_end_is_refused() {
    let (script, reported) = endless("x".repeat(1 << 20), usize::MAX);
    let service = Service::play(vec![script]);
    let outcome = run(
        &*service.provider("openai"),
        Job::new("x", "/"),
        Cancel::never(),
    )
    .await
    .1;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProviderError);
    assert!(
        failure.message.contains("an event of more than"),
        "{}",
        failure.message
    );
    assert!(script_result(reported).await);
}
