//! Programs that do not end as they should: real processes that stay, wait, or have lost their conversation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kirosu_providers::{
    Cancel, Conversation, EventSink, FailureKind, Finished, Job, Provider, ProviderOptions,
    RunEvent, RunFailure,
};

use crate::support::{BOUND, Room};

const INIT: &str = r#"echo '{"type":"system","subtype":"init","session_id":"s-1"}'"#;
const GOOD: &str = r#"echo '{"type":"result","subtype":"success","is_error":false,"result":"all done","session_id":"s-1"}'"#;

/// The preset of a program, with a shell script in the program's place.
fn script(room: &Room, preset: &str, script: &str) -> Arc<dyn Provider> {
    let places = [
        "{trust_args}",
        "{model_args}",
        "{system_args}",
        "{resume_args}",
        "{mcp_args}",
        "{extra_args}",
    ];
    let argv = ["sh", "-c", script, "program"].into_iter().chain(places);
    room.provider(&ProviderOptions {
        name: preset.to_owned(),
        kind: "command".to_owned(),
        preset: Some(preset.to_owned()),
        argv: argv.map(str::to_owned).collect(),
        ..ProviderOptions::default()
    })
}

/// Runs to the end; the warnings beside it.
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
async fn a_program_that_said_its_end_and_stays_is_ended() {
    let room = Room::new();
    let error = r#"echo '{"type":"error","sessionID":"s","error":{"name":"APIError","data":{"message":"Monthly usage limit reached","statusCode":429}}}'; sleep 1000"#;
    let unended = GOOD.replace("echo", "printf %s");
    let (good, bad, partial) = (
        script(
            &room,
            "claude",
            &format!("cat > /dev/null; {INIT}; {GOOD}; sleep 1000"),
        ),
        script(&room, "opencode", &format!("cat > /dev/null; {error}")),
        // The last line has no end.
        script(
            &room,
            "claude",
            &format!("cat > /dev/null; {INIT}; {unended}; sleep 1000"),
        ),
    );
    let ((good, stayed), (bad, said), (partial, _)) = tokio::join!(
        run(&*good, room.job("x")),
        run(&*bad, room.job("x")),
        run(&*partial, room.job("x"))
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
    assert!(said.contains("Monthly usage limit reached\n"), "{said}");
    room.assert_empty();
}

#[tokio::test]
async fn a_program_that_waits_for_hours_is_ended_at_once() {
    let room = Room::new();
    let gemini = r#"cat > /dev/null; echo '{"type":"init","session_id":"s"}'; echo 'Attempt 1 failed: You have exhausted your capacity on this model. Your quota will reset after 3h22m13s.. Retrying after 14420862ms...' >&2; sleep 1000"#;
    let provider = script(&room, "gemini", gemini);
    let (outcome, warnings) = run(&*provider, room.job("x")).await;
    let failure = outcome.unwrap_err();
    let wait = seconds_until(failure.kind);
    assert!((12_100..=12_133).contains(&wait), "{wait}");
    assert!(warnings.contains("waits by itself"), "{warnings}");
    room.assert_empty();
}

#[tokio::test]
async fn a_timeout_is_classified_by_what_was_said_before_it() {
    let room = Room::new();
    let rejected = r#"echo '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":'$(($(date +%s) + 5400))'}}'"#;
    for (said, expected) in [
        (rejected, "rate_limited"),
        ("echo 'connect ECONNREFUSED 127.0.0.1:9' >&2", "network"),
        ("echo 'thinking' >&2", "timeout"),
    ] {
        let provider = script(
            &room,
            "claude",
            &format!("cat > /dev/null; {INIT}; {said}; sleep 1000"),
        );
        let mut job = room.job("x");
        job.timeouts.silence = Some(Duration::from_millis(500));
        let (outcome, _) = run(&*provider, job).await;
        let failure = outcome.unwrap_err();
        assert_eq!(failure.kind.as_str(), expected, "{said}: {failure}");
        assert!(failure.message.contains("silence timeout"), "{failure}");
    }
    // What a program says of the signal that ends it is not the reason.
    let copilot = r#"cat > /dev/null; trap 'echo "{\"type\":\"abort\",\"data\":{\"reason\":\"user_initiated\"}}"; echo "{\"type\":\"result\",\"sessionId\":\"s\",\"exitCode\":0}"; exit 1' TERM; echo '{"type":"assistant.message","data":{"content":"I am at it"}}'; while :; do sleep 0.1; done"#;
    let provider = script(&room, "copilot", copilot);
    let mut job = room.job("x");
    job.timeouts.total = Some(Duration::from_millis(1500));
    let failure = run(&*provider, job).await.0.unwrap_err();
    assert_eq!(failure.kind.as_str(), "timeout", "{failure}");
    // A result that was said counts, whichever limit ends the program.
    let provider = script(
        &room,
        "claude",
        &format!("cat > /dev/null; {GOOD}; sleep 1000"),
    );
    let mut job = room.job("x");
    job.timeouts.total = Some(Duration::from_millis(500));
    assert_eq!(run(&*provider, job).await.0.unwrap().text, "all done");
    room.assert_empty();
}

#[tokio::test]
async fn a_resumed_run_that_fails_at_once_begins_anew_whatever_its_words() {
    let frame = r#"echo '{"type":"result","subtype":"success","is_error":true,"result":"Could not resume","session_id":"s-0"}'; exit 1"#;
    for fails in [
        "echo 'Error: conversation old does not exist' >&2; exit 1",
        "echo 'session expired' >&2; exit 1",
        frame,
    ] {
        let room = Room::new();
        let claude =
            format!(r#"cat > /dev/null; case "$*" in *--resume*) {fails};; esac; {INIT}; {GOOD}"#);
        let provider = script(&room, "claude", &claude);
        let mut job = room.job("go on");
        job.conversation = Some(Conversation {
            session: "old".to_owned(),
            ..Conversation::default()
        });
        let (outcome, _) = run(&*provider, job).await;
        assert_eq!(outcome.unwrap().text, "all done", "{fails}");
        room.assert_empty();
    }
    // A known reason stays: a new conversation meets it as well.
    let room = Room::new();
    let claude = r#"cat > /dev/null; echo x >> runs; echo 'usage limit reached' >&2; exit 1"#;
    let provider = script(&room, "claude", claude);
    let mut job = room.job("go on");
    job.conversation = Some(Conversation {
        session: "old".to_owned(),
        ..Conversation::default()
    });
    let failure = run(&*provider, job).await.0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::RateLimited { until: None });
    let runs = std::fs::read_to_string(room.workdir.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1);
}

#[tokio::test]
async fn a_lost_conversation_begins_anew_in_the_same_run() {
    let room = Room::new();
    let claude = format!(
        r#"cat > prompt; case "$*" in *--resume*) echo 'No conversation found with session ID: old' >&2; exit 1;; esac; {INIT}; {GOOD}"#
    );
    let provider = script(&room, "claude", &claude);
    let mut job = room.job("go on");
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
    let prompt = std::fs::read_to_string(room.workdir.path().join("prompt")).unwrap();
    assert_eq!(prompt, "go on");
    room.assert_empty();
}

#[tokio::test]
async fn a_large_last_line_survives_a_program_that_does_not_drain_its_pipe() {
    let room = Room::new();
    // Writes without waiting, as programs do that exit at once: what does not fit is lost.
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
    std::fs::write(room.workdir.path().join("program.py"), python).unwrap();
    let provider = script(
        &room,
        "claude",
        "cat > /dev/null; sleep 0.3; exec python3 program.py",
    );
    let (outcome, _) = run(&*provider, room.job("x")).await;
    assert_eq!(outcome.unwrap().text.len(), 600_000);
}

#[tokio::test]
async fn frames_behind_text_and_between_colours_are_read_to_the_end() {
    let room = Room::new();
    for end in [
        format!("printf 'Update available! '; {GOOD}"),
        format!("printf '\\033[2K'; {GOOD}; printf '\\033[0m'"),
        format!("{GOOD}; printf 'log: '; {}", GOOD.replace("all done", "no")),
    ] {
        let program = script(&room, "claude", &format!("cat > /dev/null; {INIT}; {end}"));
        let (outcome, warnings) = run(&*program, room.job("x")).await;
        assert_eq!(outcome.unwrap().text, "all done", "{end}: {warnings}");
    }
}

#[tokio::test]
async fn a_file_of_defaults_is_handed_to_a_program_and_gone_with_its_provider() {
    let room = Room::new();
    let path = {
        let program = script(
            &room,
            "qwen",
            "cat > /dev/null; echo \"$QWEN_CODE_SYSTEM_DEFAULTS_PATH\" > path; cat \"$QWEN_CODE_SYSTEM_DEFAULTS_PATH\" > defaults; exit 3",
        );
        assert!(room.run(&*program, room.job("x")).await.is_err());
        let read = |name: &str| std::fs::read_to_string(room.workdir.path().join(name)).unwrap();
        assert!(
            read("defaults").contains("maxRetries"),
            "{}",
            read("defaults")
        );
        read("path").trim().to_owned()
    };
    assert!(!std::path::Path::new(&path).exists(), "{path}");
}
