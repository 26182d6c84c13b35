//! Recorded output of real CLIs, in pieces of different sizes, with its expected meaning.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::FailureKind as Class;
use crate::definition::Definition;
use crate::event::ToolStatus;
use crate::limits::ReferenceTime;

const AUTH: Class = Class::AuthRequired;
const PLAIN: Class = Class::ProviderError;
const REFUSED: Class = Class::RefusedByPolicy;
const RATE: Class = Class::RateLimited { until: None };
const BAD: Class = Class::BadInput;
const CRASHED: Class = Class::Crashed;
const OK: ProgramStatus = ProgramStatus::Code(0);

/// Capture, exit, expected kind, and a part of the answer or the message. Captures that begin with `text:` or `json:` were
/// printed in another format than the definition requests.
const RUNS: &[(&str, ProgramStatus, Option<Class>, &str)] = &[
    (
        "text:codex/plain",
        OK,
        None,
        "STUB responses turn=1: What is two plus two?",
    ),
    (
        "codex/json",
        OK,
        None,
        "STUB responses turn=1: What is two plus two?",
    ),
    (
        "codex/resume",
        OK,
        None,
        "STUB responses turn=2: And three plus three?",
    ),
    ("codex/tool", OK, None, "TOOL SAID: Chunk ID"),
    ("codex/tool_readonly", OK, None, "TOOL SAID: Chunk ID"),
    (
        "codex/httperror",
        ProgramStatus::Code(1),
        Some(AUTH),
        "unexpected status 401",
    ),
    (
        "codex/badflag",
        ProgramStatus::Code(2),
        Some(PLAIN),
        "exited with code 2",
    ),
    (
        "codex/sigint",
        ProgramStatus::Code(1),
        Some(PLAIN),
        "exited with code 1",
    ),
    (
        "codex/sigterm",
        ProgramStatus::Signal(15),
        Some(CRASHED),
        "signal 15",
    ),
    (
        "text:claude/plain",
        OK,
        None,
        "STUB anthropic turn=1: What is two plus two?",
    ),
    (
        "claude/json",
        OK,
        None,
        "STUB anthropic turn=1: What is two plus two?",
    ),
    (
        "claude/bare",
        OK,
        None,
        "STUB anthropic turn=1: What is two plus two?",
    ),
    (
        "claude/resume",
        OK,
        None,
        "STUB anthropic turn=2: And three plus three?",
    ),
    (
        "claude/stream",
        OK,
        None,
        "STUB anthropic turn=1: What is two plus two?",
    ),
    (
        "claude/tool_allowed",
        OK,
        None,
        "TOOL SAID: hello from the project",
    ),
    (
        "claude/tool_denied",
        OK,
        None,
        "TOOL SAID: Output redirection",
    ),
    (
        "claude/httperror",
        ProgramStatus::Code(1),
        Some(AUTH),
        "Failed to authenticate",
    ),
    (
        "claude/http529",
        ProgramStatus::Code(1),
        Some(RATE),
        "API Error: 529",
    ),
    (
        "claude/badflag",
        ProgramStatus::Code(1),
        Some(PLAIN),
        "exited with code 1",
    ),
    // The program exits with 0 when it is interrupted.
    ("claude/sigint", OK, Some(PLAIN), "error_during_execution"),
    (
        "claude/sigterm",
        ProgramStatus::Code(143),
        Some(PLAIN),
        "exited with code 143",
    ),
    (
        "text:gemini/plain",
        OK,
        None,
        "STUB gemini turn=1: What is two plus two?",
    ),
    (
        "json:gemini/json",
        OK,
        None,
        "STUB gemini turn=1: What is two plus two?",
    ),
    (
        "gemini/stream",
        OK,
        None,
        "STUB gemini turn=1: What is two plus two?",
    ),
    (
        "gemini/resume",
        OK,
        None,
        "STUB gemini turn=2: And three plus three?",
    ),
    (
        "gemini/resume_latest",
        OK,
        None,
        "STUB gemini turn=3: And four plus four?",
    ),
    (
        "gemini/tool_default",
        OK,
        None,
        "TOOL SAID: {\"error\": \"Tool",
    ),
    ("gemini/tool_yolo", OK, None, "TOOL SAID: {\"output\""),
    (
        "gemini/httperror",
        ProgramStatus::Code(145),
        Some(AUTH),
        "exited with code 145",
    ),
    (
        "gemini/badflag",
        ProgramStatus::Code(1),
        Some(PLAIN),
        "exited with code 1",
    ),
    (
        "gemini/sigint",
        OK,
        Some(PLAIN),
        "never reported that it was done",
    ),
    (
        "gemini/sigterm",
        OK,
        Some(PLAIN),
        "never reported that it was done",
    ),
    (
        "text:opencode/plain",
        OK,
        None,
        "STUB chat turn=1: What is two plus two?",
    ),
    (
        "opencode/json",
        OK,
        None,
        "STUB chat turn=1: What is two plus two?",
    ),
    (
        "opencode/resume",
        OK,
        None,
        "STUB chat turn=2: And three plus three?",
    ),
    ("opencode/argv_quoting", OK, None, "STUB chat turn=1: \"say"),
    (
        "opencode/tool_auto",
        OK,
        None,
        "TOOL SAID: hello from the project",
    ),
    (
        "opencode/tool_ask",
        OK,
        Some(REFUSED),
        "a tool was denied (bash)",
    ),
    (
        "opencode/httperror",
        ProgramStatus::Code(1),
        Some(AUTH),
        "stub error 401",
    ),
    (
        "opencode/badflag",
        ProgramStatus::Code(1),
        Some(PLAIN),
        "exited with code 1",
    ),
    (
        "opencode/sigint",
        ProgramStatus::Signal(2),
        Some(Class::Network),
        "Cannot connect to API",
    ),
    (
        "opencode/sigterm",
        ProgramStatus::Signal(15),
        Some(CRASHED),
        "signal 15",
    ),
    (
        "text:goose/plain",
        OK,
        None,
        "STUB chat turn=1: What is two plus two?",
    ),
    (
        "text:goose/text_full",
        OK,
        None,
        "STUB chat turn=1: What is two plus two?",
    ),
    (
        "json:goose/json",
        OK,
        None,
        "STUB chat turn=1: What is two plus two?",
    ),
    (
        "goose/stream",
        OK,
        None,
        "STUB chat turn=1: What is two plus two?",
    ),
    (
        "goose/resume",
        OK,
        None,
        "STUB chat turn=2: And three plus three?",
    ),
    (
        "goose/tool_auto",
        OK,
        None,
        "TOOL SAID: hello from the project",
    ),
    ("goose/tool_chat", OK, None, "TOOL SAID: Let the user know"),
    (
        "goose/tool_approve",
        ProgramStatus::Code(1),
        Some(REFUSED),
        "exited with code 1",
    ),
    (
        "json:goose/httperror",
        ProgramStatus::Code(1),
        Some(AUTH),
        "Authentication failed",
    ),
    (
        "goose/badflag",
        ProgramStatus::Code(2),
        Some(PLAIN),
        "exited with code 2",
    ),
    ("qwen/json", OK, None, "four"),
    ("qwen/resume", OK, None, "four"),
    ("qwen/tool_denied", OK, None, "permission was declined"),
    ("qwen/tool_yolo", OK, None, "was-made"),
    (
        "qwen/httperror",
        ProgramStatus::Code(1),
        Some(AUTH),
        "API Error: 401",
    ),
    (
        "qwen/sigterm",
        ProgramStatus::Code(143),
        Some(PLAIN),
        "exited with code 143",
    ),
    ("copilot/json", OK, None, "four"),
    ("copilot/resume", OK, None, "four"),
    ("copilot/tool_allowed", OK, None, "was-made"),
    ("copilot/tool_denied", OK, None, "TOOL SAID"),
    (
        "copilot/httperror",
        ProgramStatus::Code(1),
        Some(AUTH),
        "Authentication failed",
    ),
    // Limits, missing models, prompts that are too long.
    (
        "codex/limit_plan",
        ProgramStatus::Code(1),
        Some(RATE),
        "hit your usage limit",
    ),
    (
        "codex/limit_requests",
        ProgramStatus::Code(1),
        Some(RATE),
        "429 Too Many",
    ),
    (
        "codex/limit_credit",
        ProgramStatus::Code(1),
        Some(RATE),
        "Quota exceeded",
    ),
    (
        "codex/overload",
        ProgramStatus::Code(1),
        Some(RATE),
        "at capacity",
    ),
    (
        "codex/no_model",
        ProgramStatus::Code(1),
        Some(BAD),
        "name a model that",
    ),
    (
        "codex/too_long",
        ProgramStatus::Code(1),
        Some(BAD),
        "shorten the prompt",
    ),
    (
        "codex/no_network",
        ProgramStatus::Signal(15),
        Some(CRASHED),
        "signal 15",
    ),
    (
        "claude/limit_requests",
        ProgramStatus::Code(1),
        Some(RATE),
        "(429)",
    ),
    ("claude/overload", ProgramStatus::Code(1), Some(RATE), "503"),
    (
        "claude/no_model",
        ProgramStatus::Code(1),
        Some(BAD),
        "name a model that",
    ),
    (
        "claude/too_long",
        ProgramStatus::Code(1),
        Some(BAD),
        "shorten the prompt",
    ),
    (
        "gemini/limit_day",
        ProgramStatus::Code(173),
        Some(RATE),
        "daily quota",
    ),
    (
        "gemini/wait_hours",
        ProgramStatus::Signal(15),
        Some(CRASHED),
        "signal 15",
    ),
    (
        "gemini/wait_short",
        ProgramStatus::Signal(15),
        Some(CRASHED),
        "signal 15",
    ),
    (
        "goose/limit_credit",
        OK,
        Some(RATE),
        "exceeded your current quota",
    ),
    ("goose/no_model", OK, Some(BAD), "name a model that"),
    ("goose/context_limit", OK, Some(BAD), "shorten the prompt"),
    (
        "copilot/limit_credit",
        ProgramStatus::Code(1),
        Some(RATE),
        "402 You have no quota",
    ),
    (
        "copilot/limit_requests",
        ProgramStatus::Code(1),
        Some(RATE),
        "2 hours",
    ),
    (
        "copilot/no_model",
        ProgramStatus::Code(1),
        Some(BAD),
        "name a model that",
    ),
];

struct Read {
    events: Vec<RunEvent>,
    reading: RunReading,
    verdict: Option<(Class, String)>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

/// The output rules, with overrides for a format that the definition does not request.
fn output(form: &str, cli: &str) -> OutputRules {
    let overrides = match (form, cli) {
        ("text", _) => json!({ "format": "text" }),
        ("json", "gemini") => json!({
            "format": "json",
            "session": { "value": "/session_id" },
            "result": { "value": "/response" },
            "done": { "match": { "/stats/tools/totalFail": 0 } },
        }),
        ("json", "goose") => json!({
            "format": "json",
            "text": { "each": "/messages", "item": { "/role": "assistant" }, "value": "/content/0/text" },
            "done": { "match": { "/metadata/status": "completed" } },
            "fail": { "each": "/messages", "item": { "/content/0/type": "error" }, "value": "/content/0/message" },
        }),
        _ => json!({}),
    };
    let overrides = json!({ "output": overrides });
    let definition = Definition::read(Some(cli), overrides.as_object().unwrap());
    definition
        .unwrap_or_else(|faults| panic!("{faults:?}"))
        .output
}

fn read(
    output: &OutputRules,
    out: &[u8],
    err: &str,
    ended: ProgramStatus,
    cut: usize,
    before: RunUsage,
) -> Read {
    let mut reader = RunOutputReader::new(&Arc::new(output.clone()), 1 << 20, before);
    let mut events: Vec<RunEvent> = out.chunks(cut).flat_map(|it| reader.push(it)).collect();
    events.extend(reader.end());
    let reading = reader.finish();
    let verdict = verdict("cli", output, &reading, ended, err, &ReferenceTime::now());
    Read {
        events,
        reading,
        verdict,
    }
}

fn run(name: &str, ended: ProgramStatus, cut: usize, before: RunUsage) -> Read {
    let (form, path) = name.split_once(':').unwrap_or(("", name));
    let (cli, _) = path.split_once('/').unwrap();
    let file = |end: &str| std::fs::read(folder().join(format!("{path}.{end}"))).unwrap();
    let err = String::from_utf8_lossy(&file("err")).into_owned();
    read(&output(form, cli), &file("out"), &err, ended, cut, before)
}

fn capture(name: &str) -> Read {
    run(name, OK, 4096, RunUsage::default())
}

#[test]
fn every_capture_is_read_as_expected() {
    let mut seen = BTreeSet::new();
    for (name, ended, class, words) in RUNS {
        // Everything at once, a usual read, and pieces that cut characters and lines.
        for cut in [1 << 20, 4096, 7, 1] {
            let read = run(name, *ended, cut, RunUsage::default());
            let word = |class: Class| class.as_str();
            let found = read.verdict.as_ref().map(|(class, _)| word(*class));
            assert_eq!(found, class.map(word), "{name}: {:?}", read.verdict);
            let text = read.verdict.map_or(read.reading.answer, |(_, why)| why);
            assert!(text.contains(words), "{name} cut every {cut}: {text}");
        }
        seen.insert(name.split(':').next_back().unwrap().to_owned());
    }
    let mut there = BTreeSet::new();
    for cli in std::fs::read_dir(folder()).unwrap().map(Result::unwrap) {
        for file in std::fs::read_dir(cli.path()).into_iter().flatten() {
            let path = file.unwrap().path().with_extension("");
            let name = path.strip_prefix(folder()).unwrap().to_owned();
            there.insert(name.to_str().unwrap().to_owned());
        }
    }
    assert_eq!(there, seen, "captures and the table differ");
}

#[test]
fn sessions_are_reported_and_kept() {
    for (name, session) in [
        ("codex/json", "01a2020b-4c0e-7190-8618-f271c1e91ef8"),
        ("claude/stream", "1e106b5c-8806-48f6-af80-5a32bfe96bf1"),
        ("gemini/stream", "bab6987e-359e-4b5b-a463-5805c418f61f"),
        ("json:gemini/json", "dddc3249-620e-4386-b96c-fcb4e277e8ec"),
        ("opencode/json", "ses_dfddf8ff1ffe2gBgWFUjw5K01z"),
    ] {
        let read = capture(name);
        assert_eq!(read.reading.session.as_deref(), Some(session), "{name}");
        let reported = RunEvent::Session {
            session: session.to_owned(),
        };
        assert_eq!(read.events.iter().filter(|it| **it == reported).count(), 1);
    }
}

fn tokens(input: u64, cache_read: u64, output: u64, reasoning: u64, cost: Option<u64>) -> RunUsage {
    RunUsage {
        input,
        cache_read,
        cache_write: 0,
        output,
        reasoning,
        cost_micros: cost,
    }
}

#[test]
fn figures_are_normalised_and_added_up() {
    for (name, usage) in [
        ("codex/json", tokens(1000, 200, 30, 4, None)),
        ("codex/tool", tokens(2000, 400, 60, 8, None)),
        ("claude/json", tokens(1000, 200, 34, 0, Some(3570))),
        ("claude/tool_allowed", tokens(2000, 400, 68, 0, Some(7140))),
        ("gemini/stream", tokens(1000, 200, 30, 0, None)),
        ("opencode/json", tokens(1000, 200, 30, 4, Some(1068))),
        ("opencode/tool_auto", tokens(2000, 400, 60, 8, Some(2136))),
        ("goose/stream", tokens(1000, 200, 34, 0, None)),
        // The program calls its model twice per turn.
        ("qwen/json", tokens(2000, 400, 68, 0, None)),
    ] {
        let read = capture(name);
        assert_eq!(read.reading.usage.as_ref(), Some(&usage), "{name}");
        let reported = read.events.iter().rev().find_map(|event| match event {
            RunEvent::Usage { usage } => Some(usage),
            _ => None,
        });
        assert_eq!(
            reported,
            Some(&usage),
            "{name}: the last event has the total"
        );
    }
    assert_eq!(capture("text:codex/plain").reading.usage, None);
}

#[test]
fn a_resumed_run_is_charged_for_itself_alone() {
    // Codex counts tokens of the conversation, Claude Code only cost, Gemini neither.
    for (first, second, usage) in [
        ("codex/json", "codex/resume", tokens(1000, 200, 30, 4, None)),
        (
            "claude/json",
            "claude/resume",
            tokens(1000, 200, 34, 0, Some(3570)),
        ),
        (
            "gemini/stream",
            "gemini/resume",
            tokens(1000, 200, 30, 0, None),
        ),
        ("qwen/json", "qwen/resume", tokens(2000, 400, 68, 0, None)),
    ] {
        let before = capture(first).reading.total;
        let read = run(second, OK, 4096, before);
        assert_eq!(read.reading.usage, Some(usage), "{second}");
    }
}

/// Copilot reports its tokens only in a file, for the whole conversation, one element per model.
#[test]
fn figures_may_come_in_a_file() {
    let output = output("", "copilot");
    let frame = |name: &str| -> Value {
        let text = std::fs::read(folder().join(name)).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let mut before = RunUsage::default();
    for name in ["copilot/json", "copilot/resume"] {
        let mut reading = capture(name).reading;
        assert_eq!(reading.usage, None);
        reading.take_usage(&output, &frame(&format!("{name}.usage")), before);
        assert_eq!(
            reading.usage,
            Some(tokens(1000, 200, 30, 4, None)),
            "{name}"
        );
        before = reading.total;
    }
    let mut two = frame("copilot/json.usage");
    let models = two["providerModelMetrics"].as_array_mut().unwrap();
    models.push(models[0].clone());
    let mut reading = RunReading::default();
    reading.take_usage(&output, &two, RunUsage::default());
    assert_eq!(reading.usage, Some(tokens(2000, 400, 60, 8, None)));
}

fn tools(read: &Read) -> Vec<ToolStatus> {
    let status = |event: &RunEvent| match event {
        RunEvent::Tool { status, .. } => Some(*status),
        _ => None,
    };
    read.events.iter().filter_map(status).collect()
}

#[test]
fn tools_are_reported() {
    use ToolStatus::{Done, Failed, Started};
    assert_eq!(tools(&capture("codex/tool")), [Started, Done]);
    assert_eq!(tools(&capture("claude/tool_allowed")), [Started, Done]);
    assert_eq!(tools(&capture("claude/tool_denied")), [Started, Failed]);
    assert_eq!(tools(&capture("gemini/tool_yolo")), [Started, Done]);
    assert_eq!(tools(&capture("gemini/tool_default")), [Started, Failed]);
    assert_eq!(tools(&capture("opencode/tool_auto")), [Started, Done]);
    assert_eq!(tools(&capture("opencode/tool_ask")), [Started, Failed]);
    assert_eq!(tools(&capture("goose/tool_auto")), [Started, Done]);
}

fn lines(cli: &str, text: &str, ended: ProgramStatus) -> Read {
    let out = output("", cli);
    read(&out, text.as_bytes(), "", ended, 5, RunUsage::default())
}

#[test]
fn unknown_frames_of_a_later_version_are_ignored() {
    let known = std::fs::read_to_string(folder().join("codex/json.out")).unwrap();
    let changed = known
        .lines()
        .map(|line| format!("{{\"type\":\"news\",\"item\":[1]}}\n[]\n7\n{line}\nplain words\n"))
        .collect::<String>();
    let read = lines("codex", &changed, OK);
    assert_eq!(read.verdict, None);
    assert!(read.reading.answer.starts_with("STUB responses"));
    let is_warning = |it: &&RunEvent| matches!(it, RunEvent::Warning { message } if message.contains("plain words"));
    assert_eq!(read.events.iter().filter(is_warning).count(), 5);
}

#[test]
fn a_server_that_the_program_did_not_take_is_a_warning() {
    let init = json!({"type": "system", "subtype": "init", "session_id": "s", "mcp_servers": [
        {"name": "good", "status": "connected"}, {"name": "dies", "status": "failed"},
    ]});
    let read = lines("claude", &format!("{init}\n"), OK);
    let warnings: Vec<&RunEvent> = read
        .events
        .iter()
        .filter(|it| matches!(it, RunEvent::Warning { .. }))
        .collect();
    let [RunEvent::Warning { message }] = warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(message.contains("'dies'"), "{message}");
}

#[test]
fn success_needs_a_report_and_exit_code_0() {
    let done = "{\"type\":\"turn.completed\"}\n";
    assert_eq!(lines("codex", done, OK).verdict, None);
    assert!(
        lines("codex", done, ProgramStatus::Code(3))
            .verdict
            .is_some()
    );
    assert!(lines("codex", "", OK).verdict.is_some());
    // A later success does not undo a failure.
    let failed = "{\"type\":\"turn.failed\",\"error\":{\"message\":\"no\"}}\n";
    assert!(
        lines("codex", &format!("{failed}{done}"), OK)
            .verdict
            .is_some()
    );
    // The last line may lack its line end.
    assert_eq!(lines("codex", done.trim_end(), OK).verdict, None);
    // An error in place of an answer is not an answer.
    let text = "{\"type\":\"message\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Network error: Could not connect\"}]}}\n{\"type\":\"complete\"}\n";
    let (class, why) = lines("goose", text, OK).verdict.unwrap();
    assert_eq!(class, Class::Network);
    assert!(why.contains("Network error"));
}

#[test]
fn words_of_a_text_only_cli_decide_the_failure_kind() {
    let kiro = output("", "kiro");
    let run =
        |out: &str, err, ended| read(&kiro, out.as_bytes(), err, ended, 3, RunUsage::default());
    let good = run(
        "\x1b[38;5;10m> \x1b[0mHello\n",
        " \u{25b8} Credits: 0.02\n",
        OK,
    );
    assert_eq!(
        (good.verdict, good.reading.answer.as_str()),
        (None, "Hello")
    );
    let bad = run(
        "",
        "error: You are not logged in, please log in\n",
        ProgramStatus::Code(1),
    );
    assert_eq!(bad.verdict.unwrap().0, AUTH);
}

#[test]
fn answers_are_capped_however_they_come() {
    for cli in ["codex", "gemini"] {
        let text = "x".repeat(40_000);
        let line = match cli {
            "codex" => {
                json!({"type": "item.completed", "item": {"type": "agent_message", "text": text}})
            }
            _ => json!({"type": "message", "role": "assistant", "content": text}),
        };
        let output = Arc::new(output("", cli));
        let mut reader = RunOutputReader::new(&output, 1000, RunUsage::default());
        let events = reader.push(format!("{line}\n").as_bytes());
        for event in events {
            if let RunEvent::Text { text } = event {
                assert!(text.len() <= PIECE);
            }
        }
        let reading = reader.finish();
        assert!(reading.truncated && reading.answer.len() < 1100, "{cli}");
        assert!(
            reading.answer.contains("[output cut here: 39000 more"),
            "{cli}"
        );
    }
}

#[test]
fn faults_of_a_definition_come_all_at_once() {
    let table: Value = json!({
        "comand": ["x"],
        "model_args": ["-m", "{modle}"],
        "trust": { "sfae": ["x"] },
        "output": { "format": "jsonn", "done": { "match": { "type": 1 } }, "exit": { "999": "auth" } },
    });
    let faults = Definition::read(Some("kiro"), table.as_object().unwrap()).unwrap_err();
    for part in [
        "comand: unknown; did you mean command?",
        "model_args: {modle} is unknown; did you mean model?",
        "trust.sfae: unknown; did you mean safe?",
        "output.format: one of text, json, jsonl is allowed",
        "output.done.match: \"type\" is not a JSON pointer",
        "output.exit.999:",
    ] {
        assert!(
            faults.iter().any(|it| it.starts_with(part)),
            "{part}: {faults:?}"
        );
    }
    let missing = json!({ "command": ["x"] });
    let faults = Definition::read(Some("codex"), missing.as_object().unwrap()).unwrap_err();
    assert!(
        faults.iter().any(|it| it.contains("{trust_args}")),
        "{faults:?}"
    );
    let unknown = Definition::read(Some("nobody"), &serde_json::Map::new()).unwrap_err();
    assert!(unknown[0].contains("codex"), "{unknown:?}");
}

mod ends;
mod glued;
