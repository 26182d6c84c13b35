//! Agent CLIs by their definitions. Stand-ins print recorded output, slowly and in odd pieces, and exit as the real programs
//! did.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use kirosu_providers::{
    Cancel, Conversation, EventSink, FailureKind, Job, Provider, ProviderOptions, RunEvent,
    TrustLevel,
};

use crate::support::Fixture;

/// Installs the stand-in under a program's name, as a link, because a test must not run a file that it has just written.
fn put(here: &Path, program: &str) {
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in.py");
    symlink(stand_in, here.join(program)).unwrap();
}

struct StandIn {
    fixture: Fixture,
    provider: Arc<dyn Provider>,
}

impl StandIn {
    fn new(preset: &str, program: &str, capture: &str, code: i32) -> Self {
        Self::with(preset, program, capture, code, &[])
    }

    fn with(preset: &str, program: &str, capture: &str, code: i32, more: &[&str]) -> Self {
        let fixture = Fixture::new();
        let here = fixture.workdir.path();
        put(here, program);
        let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let path = std::env::var("PATH").unwrap();
        let mut env = vec![
            ("PATH".to_owned(), format!("{}:{path}", text(here))),
            ("STAND_IN".to_owned(), text(here)),
            ("CAPTURE".to_owned(), text(&captures.join(capture))),
            ("CODE".to_owned(), code.to_string()),
        ];
        env.extend(more.iter().map(|name| ((*name).to_owned(), "1".to_owned())));
        let provider = fixture.provider(&ProviderOptions {
            name: preset.to_owned(),
            kind: "command".to_owned(),
            preset: Some(preset.to_owned()),
            env,
            ..ProviderOptions::default()
        });
        Self { fixture, provider }
    }

    /// The program's stdin, its arguments, an empty line, and the names of its variables.
    fn call(&self) -> String {
        fs::read_to_string(self.fixture.workdir.path().join("call")).unwrap()
    }
}

#[tokio::test]
async fn each_cli_is_called_and_understood_by_its_definition() {
    let runs = [
        (
            "codex",
            "codex",
            "codex/json",
            "--json\n--skip-git-repo-check\n-s\nread-only\n-m\nm\n",
        ),
        (
            "claude",
            "claude",
            "claude/stream",
            "-p\n--output-format\nstream-json\n--verbose\n--model\nm\n",
        ),
        (
            "gemini",
            "gemini",
            "gemini/stream",
            "--approval-mode\ndefault\n-m\nm\n",
        ),
        (
            "opencode",
            "opencode",
            "opencode/json",
            "run\n--format\njson\n--print-logs\n--log-level\nERROR\n-m\nm\n",
        ),
        ("goose", "goose", "goose/stream", "--model\nm\n-i\n-\n"),
    ];
    for (preset, program, capture, arguments) in runs {
        let it = StandIn::new(preset, program, capture, 0);
        let probe = it.provider.probe().await;
        assert_eq!(probe.version.as_deref(), Some("stand-in 1.2"), "{probe:?}");
        let mut job = it.fixture.job("--help me\nwith this");
        job.model = Some("m".to_owned());
        let finished = it.fixture.run(&*it.provider, job).await.unwrap();
        assert!(
            finished.text.starts_with("STUB "),
            "{preset}: {}",
            finished.text
        );
        let usage = finished.usage.unwrap();
        assert_eq!((usage.input, usage.cache_read), (1000, 200), "{preset}");
        assert_eq!(
            finished.conversation.is_some(),
            preset != "goose",
            "{preset}"
        );
        let call = it.call();
        assert!(
            call.starts_with("--help me\nwith this\n"),
            "{preset}: {call}"
        );
        assert!(call.contains(arguments), "{preset}: {call}");
        // It sees the usual variables of our environment, not all: cargo sets this one.
        assert!(call.contains("\nHOME\n") && !call.contains("CARGO_MANIFEST_DIR"));
        it.fixture.assert_empty();
    }
}

#[tokio::test]
async fn trust_a_conversation_and_a_system_prompt_reach_the_program() {
    let it = StandIn::new("codex", "codex", "codex/resume", 0);
    let mut job = it.fixture.job("go on");
    job.trust = TrustLevel::All;
    job.system_prompt = Some("be brief".to_owned());
    job.conversation = Some(Conversation {
        session: "the-thread".to_owned(),
        ..Conversation::default()
    });
    it.fixture.run(&*it.provider, job).await.unwrap();
    let call = it.call();
    assert!(call.contains("\n--dangerously-bypass-approvals-and-sandbox\n-c\ndeveloper_instructions=\"be brief\"\nresume\nthe-thread\n-\n"), "{call}");
}

#[tokio::test]
async fn exit_0_is_not_success_and_an_error_has_its_class() {
    for (preset, capture, code, class, words) in [
        (
            "gemini",
            "gemini/sigint",
            0,
            FailureKind::ProviderError,
            "never reported",
        ),
        (
            "claude",
            "claude/sigint",
            0,
            FailureKind::ProviderError,
            "error_during_execution",
        ),
        (
            "claude",
            "claude/httperror",
            1,
            FailureKind::AuthRequired,
            "Failed to authenticate",
        ),
        (
            "opencode",
            "opencode/tool_ask",
            0,
            FailureKind::RefusedByPolicy,
            "a tool was denied",
        ),
    ] {
        let it = StandIn::new(preset, preset, capture, code);
        let failure = it
            .fixture
            .run(&*it.provider, it.fixture.job("x"))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, class, "{capture}: {}", failure.message);
        assert!(
            failure.message.contains(words),
            "{capture}: {}",
            failure.message
        );
        it.fixture.assert_empty();
    }
}

#[tokio::test]
async fn a_run_that_hangs_after_its_answer_is_cancelled_with_what_it_used() {
    let it = StandIn::with("codex", "codex", "codex/tool", 0, &["HANG"]);
    let job = it.fixture.job("x");
    let running = it
        .fixture
        .run_until(it.provider.clone(), job, "hello from")
        .await;
    let failure = running.cancel().await;
    assert_eq!(failure.kind, FailureKind::Cancelled);
    assert!(failure.output.contains("TOOL SAID"), "{}", failure.output);
    it.fixture.assert_empty();
}

#[tokio::test]
async fn a_program_gets_the_stop_signal_of_its_definition() {
    for (signal, stated) in [("INT", "as by Ctrl-C"), ("TERM", "as by init")] {
        let fixture = Fixture::new();
        let script = "trap 'echo as by Ctrl-C; exit' INT; trap 'echo as by init; exit' TERM; echo ready; while :; do sleep 0.05; done";
        let overrides = serde_json::json!({ "stop_signal": signal });
        let provider = fixture.provider(&ProviderOptions {
            name: "test".to_owned(),
            kind: "command".to_owned(),
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            overrides: overrides.as_object().unwrap().clone(),
            ..ProviderOptions::default()
        });
        let running = fixture.run_until(provider, fixture.job("x"), "ready").await;
        let failure = running.cancel().await;
        assert!(
            failure.output.contains(stated),
            "{signal}: {}",
            failure.output
        );
        fixture.assert_empty();
    }
}

#[tokio::test]
async fn events_of_a_run_are_in_the_one_vocabulary() {
    let it = StandIn::new("codex", "codex", "codex/tool", 0);
    let (sink, mut stream) = EventSink::channel(256);
    let run = it.provider.run(it.fixture.job("x"), sink, Cancel::never());
    run.await.unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = stream.recv().await {
        kinds.push(match event {
            RunEvent::Started { .. } => "started",
            RunEvent::Session { .. } => "session",
            RunEvent::Warning { .. } => "warning",
            RunEvent::Tool { .. } => "tool",
            RunEvent::Text { .. } => "text",
            RunEvent::Usage { .. } => "usage",
            _ => continue,
        });
    }
    let expected = [
        "started", "session", "warning", "tool", "tool", "text", "usage",
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_missing_program_is_reported_with_its_installation_and_alternatives() {
    let fixture = Fixture::new();
    put(fixture.workdir.path(), "claude");
    let path = fixture.workdir.path().to_str().unwrap().to_owned();
    let provider = fixture.provider(&ProviderOptions {
        name: "kiro".to_owned(),
        kind: "command".to_owned(),
        preset: Some("kiro".to_owned()),
        env: vec![("PATH".to_owned(), path)],
        ..ProviderOptions::default()
    });
    let problem = provider.probe().await.problem.unwrap();
    for part in [
        "'kiro-cli' is not in PATH",
        "kiro-cli login",
        "KIRO_PROVIDER",
        "installed here: claude",
    ] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
    let failure = fixture
        .run(&*provider, Job::new("x", fixture.workdir.path()))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Missing);
    assert_eq!(failure.message, problem);
}
