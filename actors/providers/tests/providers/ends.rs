//! Programs that do not end as they should: they stay, wait, or have lost their conversation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kirosu_providers::{
    Cancel, Conversation, EventSink, FailureKind, Finished, Job, Provider, ProviderOptions,
    RunEvent, RunFailure,
};

use crate::support::{BOUND, Fixture};

const INIT: &str = r#"echo '{"type":"system","subtype":"init","session_id":"s-1"}'"#;
const GOOD: &str = r#"echo '{"type":"result","subtype":"success","is_error":false,"result":"all done","session_id":"s-1"}'"#;

/// A preset with a shell script in place of the program.
fn script(fixture: &Fixture, preset: &str, script: &str) -> Arc<dyn Provider> {
    let places = [
        "{trust_args}",
        "{model_args}",
        "{system_args}",
        "{resume_args}",
        "{mcp_args}",
        "{extra_args}",
    ];
    let argv = ["sh", "-c", script, "program"].into_iter().chain(places);
    fixture.provider(&ProviderOptions {
        name: preset.to_owned(),
        kind: "command".to_owned(),
        preset: Some(preset.to_owned()),
        argv: argv.map(str::to_owned).collect(),
        ..ProviderOptions::default()
    })
}

/// Runs a job to its end. Returns the outcome and the warnings.
async fn run(provider: &dyn Provider, job: Job) -> (Result<Finished, RunFailure>, String) {
    let (sink, mut events) = EventSink::channel(256);
    let run = tokio::time::timeout(BOUND, provider.run(job, sink, Cancel::never()));
    let outcome = run.await.expect("the run ends");
    let mut warnings = String::new();
    while let Some(event) = events.recv().await {
        if let RunEvent::Warning { message } = event {
            warnings.push_str(&message);
        }
    }
    (outcome, warnings)
}

fn seconds_until(class: FailureKind) -> u64 {
    let FailureKind::RateLimited { until: Some(until) } = class else {
        panic!("{class:?}");
    };
    until.duration_since(SystemTime::now()).unwrap().as_secs()
}

#[tokio::test]
async fn a_program_that_does_not_exit_after_its_end_is_ended() {
    let fixture = Fixture::new();
    let error = r#"echo '{"type":"error","sessionID":"s","error":{"name":"APIError","data":{"message":"Monthly usage limit reached","statusCode":429}}}'; sleep 1000"#;
    let unended = GOOD.replace("echo", "printf %s");
    let (good, bad, partial) = (
        script(
            &fixture,
            "claude",
            &format!("cat > /dev/null; {INIT}; {GOOD}; sleep 1000"),
        ),
        script(&fixture, "opencode", &format!("cat > /dev/null; {error}")),
        // The last line has no line end.
        script(
            &fixture,
            "claude",
            &format!("cat > /dev/null; {INIT}; {unended}; sleep 1000"),
        ),
    );
    let ((good, stayed), (bad, stated), (partial, _)) = tokio::join!(
        run(&*good, fixture.job("x")),
        run(&*bad, fixture.job("x")),
        run(&*partial, fixture.job("x"))
    );
    assert_eq!(partial.unwrap().text, "all done");
    assert_eq!(good.unwrap().text, "all done");
    assert!(stayed.contains("did not exit"), "{stayed}");
    let failure = bad.unwrap_err();
    assert_eq!(failure.kind, FailureKind::RateLimited { until: None });
    assert!(
        failure.message.contains("Monthly usage limit reached"),
        "{failure}"
    );
    assert!(stated.contains("Monthly usage limit reached\n"), "{stated}");
    fixture.assert_empty();
}

#[tokio::test]
async fn a_program_that_waits_for_hours_is_ended_at_once() {
    let fixture = Fixture::new();
    let gemini = r#"cat > /dev/null; echo '{"type":"init","session_id":"s"}'; echo 'Attempt 1 failed: You have exhausted your capacity on this model. Your quota will reset after 3h22m13s.. Retrying after 14420862ms...' >&2; sleep 1000"#;
    let provider = script(&fixture, "gemini", gemini);
    let (outcome, warnings) = run(&*provider, fixture.job("x")).await;
    let failure = outcome.unwrap_err();
    let wait = seconds_until(failure.kind);
    assert!((12_100..=12_133).contains(&wait), "{wait}");
    assert!(warnings.contains("waits by itself"), "{warnings}");
    fixture.assert_empty();
}

#[tokio::test]
async fn a_timeout_is_classified_by_the_output_before_it() {
    let fixture = Fixture::new();
    let rejected = r#"echo '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":'$(($(date +%s) + 5400))'}}'"#;
    for (stated, expected) in [
        (rejected, "rate_limited"),
        ("echo 'connect ECONNREFUSED 127.0.0.1:9' >&2", "network"),
        ("echo 'thinking' >&2", "timeout"),
    ] {
        let provider = script(
            &fixture,
            "claude",
            &format!("cat > /dev/null; {INIT}; {stated}; sleep 1000"),
        );
        let mut job = fixture.job("x");
        job.timeouts.silence = Some(Duration::from_millis(500));
        let (outcome, _) = run(&*provider, job).await;
        let failure = outcome.unwrap_err();
        assert_eq!(failure.kind.as_str(), expected, "{stated}: {failure}");
        assert!(failure.message.contains("silence timeout"), "{failure}");
    }
    // A program's reaction to the signal that ends it is not the reason.
    let copilot = r#"cat > /dev/null; trap 'echo "{\"type\":\"abort\",\"data\":{\"reason\":\"user_initiated\"}}"; echo "{\"type\":\"result\",\"sessionId\":\"s\",\"exitCode\":0}"; exit 1' TERM; echo '{"type":"assistant.message","data":{"content":"I am at it"}}'; while :; do sleep 0.1; done"#;
    let provider = script(&fixture, "copilot", copilot);
    let mut job = fixture.job("x");
    job.timeouts.total = Some(Duration::from_millis(1500));
    let failure = run(&*provider, job).await.0.unwrap_err();
    assert_eq!(failure.kind.as_str(), "timeout", "{failure}");
    // A reported result counts, whichever limit ends the program.
    let provider = script(
        &fixture,
        "claude",
        &format!("cat > /dev/null; {GOOD}; sleep 1000"),
    );
    let mut job = fixture.job("x");
    job.timeouts.total = Some(Duration::from_millis(500));
    assert_eq!(run(&*provider, job).await.0.unwrap().text, "all done");
    fixture.assert_empty();
}

#[tokio::test]
async fn a_resumed_run_that_fails_at_once_starts_a_new_conversation() {
    let frame = r#"echo '{"type":"result","subtype":"success","is_error":true,"result":"Could not resume","session_id":"s-0"}'; exit 1"#;
    for fails in [
        "echo 'Error: conversation old does not exist' >&2; exit 1",
        "echo 'session expired' >&2; exit 1",
        frame,
    ] {
        let fixture = Fixture::new();
        let claude =
            format!(r#"cat > /dev/null; case "$*" in *--resume*) {fails};; esac; {INIT}; {GOOD}"#);
        let provider = script(&fixture, "claude", &claude);
        let mut job = fixture.job("go on");
        job.conversation = Some(Conversation {
            session: "old".to_owned(),
            ..Conversation::default()
        });
        let (outcome, _) = run(&*provider, job).await;
        assert_eq!(outcome.unwrap().text, "all done", "{fails}");
        fixture.assert_empty();
    }
    // A known reason stays, because a new conversation would fail in the same way.
    let fixture = Fixture::new();
    let claude = r#"cat > /dev/null; echo x >> runs; echo 'usage limit reached' >&2; exit 1"#;
    let provider = script(&fixture, "claude", claude);
    let mut job = fixture.job("go on");
    job.conversation = Some(Conversation {
        session: "old".to_owned(),
        ..Conversation::default()
    });
    let failure = run(&*provider, job).await.0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::RateLimited { until: None });
    let runs = std::fs::read_to_string(fixture.workdir.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1);
}

#[tokio::test]
async fn a_lost_conversation_begins_anew_in_the_same_run() {
    let fixture = Fixture::new();
    let claude = format!(
        r#"cat > prompt; case "$*" in *--resume*) echo 'No conversation found with session ID: old' >&2; exit 1;; esac; {INIT}; {GOOD}"#
    );
    let provider = script(&fixture, "claude", &claude);
    let mut job = fixture.job("go on");
    job.conversation = Some(Conversation {
        session: "old".to_owned(),
        ..Conversation::default()
    });
    let (outcome, warnings) = run(&*provider, job).await;
    let finished = outcome.unwrap();
    assert_eq!(finished.text, "all done");
    assert_eq!(finished.conversation.unwrap().session, "s-1");
    assert!(
        warnings.contains("did not go on with the conversation old"),
        "{warnings}"
    );
    let prompt = std::fs::read_to_string(fixture.workdir.path().join("prompt")).unwrap();
    assert_eq!(prompt, "go on");
    fixture.assert_empty();
}

#[tokio::test]
async fn a_large_last_line_survives_a_program_that_does_not_drain_its_pipe() {
    let fixture = Fixture::new();
    // Writes without waiting, like programs that exit at once: output that does not fit is lost.
    let python = r#"
import fcntl, json, os
fcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK)
data = (json.dumps({"type": "result", "is_error": False, "result": "y" * 600000, "session_id": "s"}) + "\n").encode()
while data:
    try:
        data = data[os.write(1, data):]
    except BlockingIOError:
        break
"#;
    std::fs::write(fixture.workdir.path().join("program.py"), python).unwrap();
    let provider = script(
        &fixture,
        "claude",
        "cat > /dev/null; sleep 0.3; exec python3 program.py",
    );
    let (outcome, _) = run(&*provider, fixture.job("x")).await;
    assert_eq!(outcome.unwrap().text.len(), 600_000);
}

#[tokio::test]
async fn frames_behind_text_and_between_colours_are_read_to_the_end() {
    let fixture = Fixture::new();
    for end in [
        format!("printf 'Update available! '; {GOOD}"),
        format!("printf '\\033[2K'; {GOOD}; printf '\\033[0m'"),
        format!("{GOOD}; printf 'log: '; {}", GOOD.replace("all done", "no")),
    ] {
        let program = script(
            &fixture,
            "claude",
            &format!("cat > /dev/null; {INIT}; {end}"),
        );
        let (outcome, warnings) = run(&*program, fixture.job("x")).await;
        assert_eq!(outcome.unwrap().text, "all done", "{end}: {warnings}");
    }
}

#[tokio::test]
async fn a_file_of_defaults_is_handed_to_a_program_and_gone_with_its_provider() {
    let fixture = Fixture::new();
    let path = {
        let program = script(
            &fixture,
            "qwen",
            "cat > /dev/null; echo \"$QWEN_CODE_SYSTEM_DEFAULTS_PATH\" > path; cat \"$QWEN_CODE_SYSTEM_DEFAULTS_PATH\" > defaults; exit 3",
        );
        assert!(fixture.run(&*program, fixture.job("x")).await.is_err());
        let read = |name: &str| std::fs::read_to_string(fixture.workdir.path().join(name)).unwrap();
        assert!(
            read("defaults").contains("maxRetries"),
            "{}",
            read("defaults")
        );
        read("path").trim().to_owned()
    };
    assert!(!std::path::Path::new(&path).exists(), "{path}");
}
