//! Agents that speak ACP: a scripted one under the real runner.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use kirosu_providers::{
    Arbiter, Cancel, Conversation, EventSink, FailureKind, Finished, Job, McpServer, McpTransport,
    PermissionDecision, PermissionRequest, Permissions, Provider, ProviderOptions, ProviderSession,
    RunEvent, RunFailure, SessionOptions, TimeoutKind, ToolStatus, TrustLevel, open_session,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{BOUND, Fixture, Running, eventually};

const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/acp_agent.py");

impl Fixture {
    fn agent(&self, env: &[(&str, &str)]) -> Arc<dyn Provider> {
        let acp = json!({"mode": {"safe": "ask", "all": ["none such", "all"]}, "usage": "running", "notices": ["**MCP server "], "notice_calls": ["mcp_startup."]});
        let output = json!({
            "error_answers": ["Info: Operation cancelled"],
            "wait_words": ["retrying after"],
        });
        let overrides = json!({"acp": acp, "output": output});
        self.provider(&ProviderOptions {
            name: "fake".to_owned(),
            kind: "acp".to_owned(),
            argv: vec!["python3".to_owned(), AGENT.to_owned()],
            overrides: overrides.as_object().unwrap().clone(),
            env: env
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..ProviderOptions::default()
        })
    }

    async fn session(&self) -> Box<dyn ProviderSession> {
        let options = SessionOptions {
            workspace: self.workdir.path().to_owned(),
            model: None,
        };
        open_session(self.agent(&[]), options).await.unwrap()
    }

    fn ran(&self) -> String {
        std::fs::read_to_string(self.workdir.path().join("ran.txt")).unwrap_or_default()
    }
}

/// Runs a job and keeps its events.
async fn run(
    session: &mut Box<dyn ProviderSession>,
    job: Job,
) -> (Result<Finished, RunFailure>, Vec<RunEvent>) {
    let (sink, mut stream) = EventSink::channel(8);
    let mut events = Vec::new();
    let collect = async {
        while let Some(event) = stream.recv().await {
            events.push(event);
        }
    };
    let both = async { tokio::join!(session.run(job, sink, Cancel::never()), collect).0 };
    let outcome = tokio::time::timeout(BOUND, both).await.expect("it ends");
    (outcome, events)
}

async fn text(session: &mut Box<dyn ProviderSession>, job: Job) -> String {
    run(session, job).await.0.unwrap().text
}

fn warned(events: &[RunEvent], words: &str) -> bool {
    events
        .iter()
        .any(|it| matches!(it, RunEvent::Warning { message } if message.contains(words)))
}

fn tools(events: &[RunEvent]) -> Vec<(&str, ToolStatus)> {
    let tool = |it: &'_ RunEvent| match it {
        RunEvent::Tool { name, status, .. } => Some((name.clone(), *status)),
        _ => None,
    };
    let found: Vec<_> = events.iter().filter_map(tool).collect();
    assert!(found.iter().all(|(name, _)| name == "shell"), "{found:?}");
    found
        .into_iter()
        .map(|(_, status)| ("shell", status))
        .collect()
}

/// Decides by the title, and counts.
struct ByTitle(Arc<AtomicU32>);

impl Arbiter for ByTitle {
    fn decide(&self, ask: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        self.0.fetch_add(1, Ordering::SeqCst);
        assert_eq!(ask.tool, "shell");
        assert_eq!(ask.input, Some(json!({"command": ask.title})));
        let allowed = ask.title.contains("good");
        Box::pin(async move {
            match allowed {
                true => PermissionDecision::Allow,
                false => PermissionDecision::Refuse {
                    reason: "not on a Sunday".to_owned(),
                },
            }
        })
    }
}

/// Never decides.
struct Never;

impl Arbiter for Never {
    fn decide(&self, _: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        Box::pin(std::future::pending())
    }
}

/// Decides after more than a second.
struct Slow;

impl Arbiter for Slow {
    fn decide(&self, _: PermissionRequest) -> BoxFuture<'static, PermissionDecision> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            PermissionDecision::Allow
        })
    }
}

#[tokio::test]
async fn one_process_takes_many_jobs_each_a_conversation_of_its_own() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let (answer, events) = run(&mut session, fixture.job("say hello")).await;
    assert_eq!(answer.unwrap().text, "hello");
    assert!(
        matches!(events[0], RunEvent::Started { pid: Some(_), .. }),
        "{events:?}"
    );
    assert!(matches!(&events[1], RunEvent::Session { session } if session == "s1"));
    let pid = text(&mut session, fixture.job("pid")).await;
    assert_eq!(text(&mut session, fixture.job("pid")).await, pid);
    assert_eq!(text(&mut session, fixture.job("turns")).await, "1");
    // The mode determines the permissions, and it is set rather than left to the agent.
    assert_eq!(text(&mut session, fixture.job("mode")).await, "ask");
    let mut trusted = fixture.job("mode");
    trusted.trust = TrustLevel::All;
    assert_eq!(text(&mut session, trusted).await, "all");
    // Another environment needs another process, and so does a process that died between two jobs.
    let mut other = fixture.job("pid");
    other.env = vec![("X".to_owned(), "1".to_owned())];
    let second = text(&mut session, other.clone()).await;
    assert_ne!(second, pid);
    kill(&second);
    let gone = format!("/proc/{second}");
    eventually("the agent is gone", || !Path::new(&gone).exists()).await;
    assert_ne!(text(&mut session, other).await, second);
    session.close().await;
    fixture.assert_empty();
}

fn kill(pid: &str) {
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test]
async fn tools_run_when_they_are_allowed_and_not_when_they_are_denied() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let asked = Arc::new(AtomicU32::new(0));
    let job = |prompt: &str| {
        let mut job = fixture.job(prompt);
        job.permissions = Permissions::new(ByTitle(asked.clone()));
        job
    };
    let (denied, events) = run(&mut session, job("ask bad")).await;
    let failure = denied.unwrap_err();
    assert_eq!(failure.kind, FailureKind::RefusedByPolicy);
    assert!(failure.message.contains("not on a Sunday"), "{failure}");
    assert_eq!(
        tools(&events),
        [
            ("shell", ToolStatus::Started),
            ("shell", ToolStatus::Failed)
        ]
    );
    assert_eq!(fixture.ran(), "");
    // Text that is a known error is not an answer.
    let (mumbled, _) = run(&mut session, job("ask bad mumble")).await;
    assert_eq!(mumbled.unwrap_err().kind, FailureKind::RefusedByPolicy);
    let (allowed, events) = run(&mut session, job("ask good")).await;
    assert_eq!(allowed.unwrap().text, "it ran");
    assert_eq!(
        tools(&events),
        [("shell", ToolStatus::Started), ("shell", ToolStatus::Done)]
    );
    // Chosen by kind, and not the option that also switches the mode.
    assert_eq!(fixture.ran(), "once\n");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn waiting_for_a_person_is_not_silence() {
    let fixture = Fixture::new();
    let mut job = fixture.job("ask good");
    job.permissions = Permissions::new(Slow);
    job.timeouts.start = Some(BOUND);
    job.timeouts.silence = Some(Duration::from_secs(1));
    let finished = fixture.run(&*fixture.agent(&[]), job).await.unwrap();
    assert_eq!(finished.text, "it ran");
    fixture.assert_empty();
}

#[tokio::test]
async fn a_cancel_ends_a_question() {
    let fixture = Fixture::new();
    let mut job = fixture.job("ask good");
    job.permissions = Permissions::new(Never);
    let (sink, mut events) = EventSink::channel(64);
    let (handle, cancel) = Cancel::pair();
    let agent = fixture.agent(&[]);
    let task = tokio::spawn(async move { agent.run(job, sink, cancel).await });
    loop {
        let event = tokio::time::timeout(BOUND, events.recv()).await.unwrap();
        if matches!(event.expect("it asks"), RunEvent::Permission { .. }) {
            break;
        }
    }
    handle.cancel();
    let failure = tokio::time::timeout(BOUND, task).await.unwrap().unwrap();
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Cancelled);
    // The agent got `cancelled` and had time to respond: its figures are there.
    assert_eq!(failure.usage.unwrap().input, 1200);
    assert_eq!(fixture.ran(), "");
    fixture.assert_empty();
}

#[tokio::test]
async fn an_agent_that_is_killed_goes_on_in_a_new_process() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let (outcome, _) = run(&mut session, fixture.job("die")).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Crashed);
    assert_eq!(failure.output, "half");
    let mut again = fixture.job("die");
    again.conversation = failure.conversation;
    let (outcome, events) = run(&mut session, again.clone()).await;
    assert_eq!(outcome.unwrap().text, "went on");
    assert!(!warned(&events, "lost"), "{events:?}");
    // A conversation that is refused, and one on which the agent exits: a warning, and a new conversation.
    for lost in ["unknown", "deadly"] {
        let mut job = fixture.job("turns");
        job.conversation = Some(Conversation {
            session: lost.to_owned(),
            ..Conversation::default()
        });
        let mut fresh = fixture.session().await;
        let (outcome, events) = run(&mut fresh, job).await;
        assert_eq!(outcome.unwrap().text, "1");
        assert!(
            warned(&events, "the earlier conversation is lost"),
            "{events:?}"
        );
        fresh.close().await;
    }
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn output_before_the_exit_reaches_a_slow_reader() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let (sink, mut stream) = EventSink::channel(1);
    let listen = async {
        let mut stated = 0;
        while let Some(event) = stream.recv().await {
            match event {
                RunEvent::Started { pid, .. } => {
                    let process = format!("/proc/{}", pid.unwrap());
                    eventually("it goes", || !Path::new(&process).exists()).await;
                }
                RunEvent::Text { .. } => stated += 1,
                _ => {}
            }
        }
        stated
    };
    let run = session.run(fixture.job("last 300"), sink, Cancel::never());
    let both = async { tokio::join!(run, listen) };
    let (outcome, stated) = tokio::time::timeout(BOUND, both).await.expect("it ends");
    let failure = outcome.unwrap_err();
    assert_eq!((stated, failure.output.len()), (300, 300));
}

#[tokio::test]
async fn an_agent_that_reads_no_answer_is_ended() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let failure = run(&mut session, fixture.job("nag")).await.0.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProviderError);
    assert!(failure.message.contains("reads no response"), "{failure:?}");
    fixture.assert_empty();
}

#[tokio::test]
async fn each_turn_of_a_conversation_is_counted_once() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let mut conversation = None;
    for turn in 1..=3 {
        let mut job = fixture.job("turns");
        job.conversation = conversation.take();
        let finished = run(&mut session, job).await.0.unwrap();
        assert_eq!(finished.text, turn.to_string());
        let usage = finished.usage.unwrap();
        assert_eq!(
            (usage.input, usage.output, usage.cost_micros),
            (1200, 34, Some(1000))
        );
        conversation = finished.conversation;
    }
    let total = conversation.unwrap().total;
    assert_eq!((total.input, total.cost_micros), (3600, Some(3000)));
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn other_output_is_a_warning_and_unknown_requests_get_a_response() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let (outcome, events) = run(&mut session, fixture.job("garbage")).await;
    assert_eq!(outcome.unwrap().text, "still here");
    assert!(warned(&events, "this is no message"), "{events:?}");
    let mut flood = fixture.job("flood 30");
    flood.max_output_bytes = 5 << 20;
    let (outcome, events) = run(&mut session, flood).await;
    let finished = outcome.unwrap();
    assert!(finished.truncated && finished.text.contains("output cut here"));
    let longest = events.iter().map(|it| match it {
        RunEvent::Text { text } => text.len(),
        _ => 0,
    });
    assert!(longest.max().unwrap() <= 48 << 10);
    let (outcome, _) = run(&mut session, fixture.job("endless")).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProviderError);
    assert!(failure.message.contains("64 MiB"), "{failure}");
    for (stop, class) in [
        ("refusal", FailureKind::RefusedByPolicy),
        ("max_tokens", FailureKind::ProviderError),
        ("next_year", FailureKind::ProviderError),
    ] {
        let (outcome, _) = run(&mut session, fixture.job(format!("stop {stop}"))).await;
        assert_eq!(outcome.unwrap_err().kind, class, "{stop}");
    }
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn no_process_is_left_of_an_agent_that_ignores_signals() {
    let fixture = Fixture::new();
    let agent = fixture.agent(&[]);
    let running: Running = fixture
        .run_until(agent.clone(), fixture.job("stubborn"), "dug in")
        .await;
    assert!(
        fixture.alive().len() >= 5,
        "runner, agent and three that hide"
    );
    let failure = running.cancel().await;
    assert_eq!(failure.kind, FailureKind::Cancelled);
    fixture.assert_empty();
    let mut job = fixture.job("stubborn");
    job.timeouts.total = Some(Duration::from_secs(1));
    let failure = fixture.run(&*agent, job).await.unwrap_err();
    let which = TimeoutKind::Total;
    assert_eq!(failure.kind, FailureKind::Timeout { which });
    fixture.assert_empty();
    // A session that is dropped without a close.
    let mut session = fixture.session().await;
    text(&mut session, fixture.job("say x")).await;
    drop(session);
    eventually("all is gone", || fixture.alive().is_empty()).await;
}

#[tokio::test]
async fn a_missing_login_and_a_missing_program_come_with_advice() {
    let fixture = Fixture::new();
    let agent = fixture.agent(&[("FAKE_LOGIN", "1")]);
    let failure = fixture
        .run(&*agent, fixture.job("say x"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::AuthRequired);
    assert!(failure.message.contains("Log in with X"), "{failure}");
    let goose = fixture.provider(&ProviderOptions {
        name: "goose".to_owned(),
        kind: "acp".to_owned(),
        preset: Some("goose".to_owned()),
        env: vec![("PATH".to_owned(), "/nowhere".to_owned())],
        ..ProviderOptions::default()
    });
    assert!(goose.probe().await.problem.unwrap().contains("install it"));
    let failure = fixture
        .run(&*goose, fixture.job("say x"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Missing);
    fixture.assert_empty();
}

#[tokio::test]
async fn mcp_servers_are_handed_over_as_the_agent_takes_them() {
    let fixture = Fixture::new();
    let mut job = fixture.job("mcp");
    let stdio = |command: &str| McpTransport::Stdio {
        command: command.to_owned(),
        args: vec!["x".to_owned()],
        env: [("K".to_owned(), "v".to_owned())].into(),
    };
    let http = McpTransport::Http {
        url: "http://127.0.0.1:1/mcp".to_owned(),
        headers: [("Authorization".to_owned(), "Bearer b".to_owned())].into(),
    };
    let servers = [
        ("sh", stdio("sh")),
        ("none", stdio("no-such")),
        ("web", http),
    ];
    job.mcp = servers
        .into_iter()
        .map(|(name, transport)| McpServer {
            name: name.to_owned(),
            transport,
        })
        .collect();
    let mut session = fixture.session().await;
    let (outcome, events) = run(&mut session, job).await;
    let handed: serde_json::Value = serde_json::from_str(&outcome.unwrap().text).unwrap();
    assert!(handed[0]["command"].as_str().unwrap().starts_with('/'));
    assert_eq!(handed[0]["env"], json!([{"name": "K", "value": "v"}]));
    assert_eq!(handed[1]["type"], "http");
    assert_eq!(handed[1]["headers"][0]["name"], "Authorization");
    assert!(warned(&events, "'none' is not handed"), "{events:?}");
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn messages_are_read_among_other_output() {
    let fixture = Fixture::new();
    for noise in [
        r"Loaded cached credentials.\n\x1b[33mA warning\x1b[0m\n\n",
        "Loaded cached credentials.",
        r"\xef\xbb\xbf",
        r"\xff\xfe",
        r#"{"level":"info","msg":"starting","id":1}\n{"id":1,"result":{"x":1},"level":"info"}\n"#,
        r#""a text"\n[1,2]\n42\nnull\n"#,
        r#"{"level":"info"}"#,
    ] {
        let agent = fixture.agent(&[("FAKE_NOISE", noise)]);
        for (prompt, answer) in [
            ("say fine", "fine"),
            ("glued on a line", "on a line"),
            ("batch of two", "of two"),
        ] {
            let finished = fixture.run(&*agent, fixture.job(prompt)).await;
            let finished = finished.unwrap_or_else(|failure| panic!("{noise}: {failure}"));
            assert_eq!(finished.text, answer, "{noise}");
        }
    }
    fixture.assert_empty();
}

#[tokio::test]
async fn a_bad_character_costs_that_character() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    for (raw, answer) in [
        (r#""crab \\ud83e""#, "crab \u{fffd}"),
        (r#""\\udd80 done""#, "\u{fffd} done"),
        (r#""caf\xe9 latin1""#, "caf\u{fffd} latin1"),
        (r#""a\tb""#, "a\tb"),
        (r#""x","more":NaN,"less":-Infinity"#, "x"),
    ] {
        let stated = text(&mut session, fixture.job(format!("raw {raw}"))).await;
        assert_eq!(stated, answer, "{raw}");
    }
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn an_agent_that_does_not_answer_at_the_start_fails_in_time() {
    let fixture = Fixture::new();
    let agent = fixture.agent(&[
        ("FAKE_HANG", "1"),
        ("FAKE_NOISE", "Please choose a theme:\\n"),
    ]);
    let mut job = fixture.job("say x");
    job.timeouts.start = Some(Duration::from_secs(1));
    let failure = fixture.run(&*agent, job).await.unwrap_err();
    let which = TimeoutKind::Start;
    assert_eq!(failure.kind, FailureKind::Timeout { which });
    assert!(failure.message.contains("initialize"), "{failure}");
    assert!(failure.message.contains("choose a theme"), "{failure}");
    fixture.assert_empty();
}

#[tokio::test]
async fn updates_after_the_answer_to_the_prompt_belong_to_it() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    for (prompt, answer) in [
        ("late +forty- two.", "forty-two."),
        ("late all", "all"),
        ("late +a b c d", "abcd"),
    ] {
        assert_eq!(text(&mut session, fixture.job(prompt)).await, answer);
    }
    // A turn that is over is not waited for much longer.
    let begin = std::time::Instant::now();
    text(&mut session, fixture.job("say x")).await;
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn service_errors_are_classified_in_every_form() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let until = |class| matches!(class, FailureKind::RateLimited { until: Some(_) });
    for (prompt, class) in [
        (
            r#"error {"code":429,"message":"Your quota will reset after 3h22m13s."}"#,
            "rate_limited",
        ),
        (
            r#"error {"code":-32603,"message":"Internal error","data":{"codex_error_info":"usage_limit_exceeded","message":"try again at 3:42 PM."}}"#,
            "rate_limited",
        ),
        // A time of day that has just passed names no time to wait for.
        (
            "refused You've hit your limit · resets in 2 hours",
            "rate_limited",
        ),
        (
            r#"error {"code":-32603,"message":"Internal error","data":{"details":"Please sign in again."}}"#,
            "auth_required",
        ),
        (
            r#"error {"code":-32000,"message":"Server busy: session limit of 4 reached"}"#,
            "provider_error",
        ),
        (
            r#"error {"code":-32603,"message":"connect ECONNREFUSED 127.0.0.1:9"}"#,
            "network",
        ),
        (
            r#"error {"code":400,"message":"Your input exceeds the context window of this model."}"#,
            "bad_input",
        ),
        ("say Info: Operation cancelled", "provider_error"),
    ] {
        let failure = run(&mut session, fixture.job(prompt)).await.0.unwrap_err();
        assert_eq!(failure.kind.as_str(), class, "{prompt}: {failure}");
        assert_eq!(until(failure.kind), class == "rate_limited", "{prompt}");
    }
    // An answer that mentions a limit is an answer, and so are words after paid work.
    for words in [
        "say The service answers 429 when a rate limit is reached; try again in 5 minutes.",
        "last_words You've hit your limit · resets 3pm (Europe/Berlin)",
    ] {
        assert!(run(&mut session, fixture.job(words)).await.0.is_ok());
    }
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn an_agent_that_waits_for_hours_is_ended_with_its_limit() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    for begin in ["", "+"] {
        let prompt = format!(
            "wait {begin}Attempt 1 failed: You have exhausted your capacity on this model. Your quota will reset after 3h22m13s.. Retrying after 14420862ms..."
        );
        let failure = run(&mut session, fixture.job(prompt)).await.0.unwrap_err();
        let FailureKind::RateLimited { until: Some(until) } = failure.kind else {
            panic!("{failure:?}");
        };
        let left = until.duration_since(std::time::SystemTime::now()).unwrap();
        assert!((12_000..12_140).contains(&left.as_secs()), "{left:?}");
        assert!(failure.message.contains("waits by itself"), "{failure}");
    }
    // Other text on stderr has no effect by itself, but it explains a silence.
    let mut silent = fixture.job("wait Error 429: rate limit reached");
    silent.timeouts.start = Some(BOUND);
    silent.timeouts.silence = Some(Duration::from_secs(2));
    let failure = run(&mut session, silent).await.0.unwrap_err();
    assert_eq!(failure.kind.as_str(), "rate_limited", "{failure}");
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn a_turn_without_text_or_tool_is_doubted() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let silent = run(&mut session, fixture.job("stop end_turn"))
        .await
        .0
        .unwrap();
    let doubt = silent.doubt.expect("nothing was done");
    assert_eq!(doubt.kind, FailureKind::ProviderError);
    for done in ["say x", "tool ls"] {
        let finished = run(&mut session, fixture.job(done)).await.0.unwrap();
        assert_eq!(finished.doubt, None, "{done}");
    }
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn leftovers_of_a_task_end_with_it() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let pid = text(&mut session, fixture.job("pid")).await;
    // An orphan of a tool is ended, and the agent stays.
    assert_eq!(text(&mut session, fixture.job("background")).await, pid);
    assert_eq!(fixture.alive().len(), 2, "runner and agent");
    assert_eq!(text(&mut session, fixture.job("pid")).await, pid);
    // A process that is still the agent's own child is ended with the agent.
    assert_eq!(text(&mut session, fixture.job("child")).await, pid);
    fixture.assert_empty();
    assert_ne!(text(&mut session, fixture.job("pid")).await, pid);
    assert!(!fixture.workdir.path().join("late.txt").exists());
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn notices_of_the_program_are_warnings_and_no_part_of_the_answer() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let (outcome, events) = run(&mut session, fixture.job("notice fine")).await;
    assert_eq!(outcome.unwrap().text, "fine");
    for words in [
        "\"dies\" failed to start: its tools",
        "\"other\" failed",
        "third is not there",
    ] {
        assert!(warned(&events, words), "{words}: {events:?}");
    }
    assert!(tools(&events).is_empty());
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn a_tool_is_reported_when_its_command_is_known() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let (_, events) = run(&mut session, fixture.job("slowly ls -l")).await;
    let mut reported = Vec::new();
    for event in &events {
        if let RunEvent::Tool {
            id, status, detail, ..
        } = event
        {
            reported.push((id.as_str(), *status, detail.clone()));
        }
    }
    let expected = [
        ("t4", ToolStatus::Started, Some(json!({"command": "ls -l"}))),
        ("t4", ToolStatus::Done, Some(json!("a\nb"))),
        ("t5", ToolStatus::Started, Some(json!("ls -l"))),
        ("t5", ToolStatus::Done, None),
    ];
    assert_eq!(reported, expected);
    session.close().await;
    fixture.assert_empty();
}

#[tokio::test]
async fn an_agent_gets_the_reason_of_a_refusal_and_continues() {
    let fixture = Fixture::new();
    let mut session = fixture.session().await;
    let mut job = fixture.job("ask bad listen");
    job.permissions = Permissions::new(ByTitle(Arc::default()));
    let finished = run(&mut session, job).await.0.unwrap();
    let outcome = "I heard: The person refused \"bad listen\": not on a Sunday";
    assert_eq!(finished.text, outcome);
    // Both prompts belong to one run and are counted together.
    assert_eq!(finished.usage.unwrap().input, 2400);
    assert_eq!(fixture.ran(), "");
    session.close().await;
    fixture.assert_empty();
}
