//! Ends that are not what they seem: limits with their times, doubted successes, lost conversations.

use std::time::{Duration, SystemTime};

use super::*;

mod errors;
mod waits;

/// 2026-11-28 18:00:00 UTC.
fn moment() -> ReferenceTime {
    ReferenceTime {
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_888_800),
        zone: jiff::tz::TimeZone::UTC,
    }
}

pub(super) fn judged(
    cli: &str,
    text: &str,
    err: &str,
    ended: ProgramStatus,
) -> (RunReading, Option<(Class, String)>) {
    let output = output("", cli);
    let mut reader = RunOutputReader::new(&Arc::new(output.clone()), 1 << 20, RunUsage::default());
    reader.push(text.as_bytes());
    reader.end();
    let reading = reader.finish();
    let verdict = verdict("cli", &output, &reading, ended, err, &moment());
    (reading, verdict)
}

/// The failure kind, and the seconds until a limit ends.
fn class(cli: &str, text: &str, err: &str, ended: ProgramStatus) -> (String, Option<u64>) {
    match judged(cli, text, err, ended).1.map(|(class, _)| class) {
        None => ("good".to_owned(), None),
        Some(Class::RateLimited { until }) => {
            let wait = until.map(|at| at.duration_since(moment().at).unwrap().as_secs());
            ("rate_limited".to_owned(), wait)
        }
        Some(class) => (class.as_str().to_owned(), None),
    }
}

fn claude(result: &str, is_error: bool) -> String {
    let result = json!({"type": "result", "subtype": "success", "is_error": is_error, "result": result, "session_id": "s"});
    format!("{result}\n")
}

const REJECTED: &str = "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"rejected\",\"resetsAt\":1795894200}}\n";

#[test]
fn limits_end_at_the_reported_time() {
    let codex = |message: &str| {
        let message = json!({"type": "turn.failed", "error": {"message": message}});
        format!("{message}\n")
    };
    let limit = "You've hit your limit · resets 3am (America/New_York)";
    let bad = ProgramStatus::Code(1);
    let rate = |wait| ("rate_limited".to_owned(), wait);
    for (cli, text, ended, expected) in [
        ("claude", claude(limit, true), bad, rate(Some(14 * 3600))),
        (
            "claude",
            claude("5-hour limit reached ∙ resets 7pm", true),
            bad,
            rate(Some(3600)),
        ),
        (
            "claude",
            claude("Claude AI usage limit reached|1795892400", true),
            bad,
            rate(Some(3600)),
        ),
        // The event states the end to the second. It also explains a failure without a reason.
        (
            "claude",
            format!("{REJECTED}{}", claude(limit, true)),
            bad,
            rate(Some(5400)),
        ),
        ("claude", REJECTED.to_owned(), bad, rate(Some(5400))),
        // A success stays one, unless the answer consists of a limit's notice.
        (
            "claude",
            format!("{REJECTED}{}", claude("4", false)),
            OK,
            ("good".to_owned(), None),
        ),
        (
            "claude",
            claude("You've hit your session limit · resets 7:30pm (UTC)", false),
            OK,
            rate(Some(5400)),
        ),
        (
            "claude",
            claude(
                "I wrote a test that prints: You've hit your usage limit",
                false,
            ),
            OK,
            ("good".to_owned(), None),
        ),
        (
            "codex",
            codex("You've hit your usage limit. Upgrade, or try again at 5:31 PM."),
            bad,
            rate(Some(84_660)),
        ),
        (
            "codex",
            codex("You've hit your usage limit, or try again in 2 days 17 hours 14 minutes."),
            bad,
            rate(Some(234_840)),
        ),
        (
            "codex",
            codex(
                "{\"type\":\"error\",\"error\":{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":5400},\"status_code\":429}",
            ),
            bad,
            rate(Some(5400)),
        ),
        (
            "codex",
            codex("Quota exceeded. Check your plan and billing details."),
            bad,
            rate(None),
        ),
    ] {
        assert_eq!(class(cli, &text, "", ended), expected, "{cli}: {text}");
    }
    // The exit code counts where the message has no known word.
    let gemini = "{\"type\":\"result\",\"status\":\"error\",\"error\":{\"type\":\"unknown\",\"message\":\"Sorry\"}}\n";
    assert_eq!(
        class("gemini", gemini, "", ProgramStatus::Code(173)),
        rate(None)
    );
    // Only text, exit code 0.
    let kiro = "> You've reached your monthly usage limit.\n";
    assert_eq!(class("kiro", kiro, "", OK), rate(None));
    let answer = format!(
        "> {}",
        "The service answers with 429 when the rate limit is reached. ".repeat(9)
    );
    assert_eq!(class("kiro", &answer, "", OK).0, "good");
}

#[test]
fn the_last_end_counts_where_a_program_continues() {
    let recovered = format!(
        "{}{}",
        claude("API Error: 529 Overloaded", true),
        claude("fine", false)
    );
    let (reading, verdict) = judged("claude", &recovered, "", OK);
    assert_eq!((verdict, reading.answer.as_str()), (None, "fine"));
    let worse = format!(
        "{}{}",
        claude("fine", false),
        claude("API Error: 529 Overloaded", true)
    );
    assert_eq!(class("claude", &worse, "", OK).0, "rate_limited");
}

#[test]
fn good_ends_are_doubted_where_nothing_was_done_or_a_wanted_tool_was_denied() {
    let doubted = |reading: &RunReading, cli: &str| {
        doubt("cli", &output("", cli), reading).map(|it| it.kind.as_str())
    };
    for (name, expected) in [
        ("claude/tool_denied", Some("refused_by_policy")),
        ("qwen/tool_denied", Some("refused_by_policy")),
        ("copilot/tool_denied", Some("refused_by_policy")),
        ("claude/tool_allowed", None),
        ("claude/stream", None),
        ("copilot/json", None),
        ("goose/stream", None),
    ] {
        let read = capture(name);
        assert_eq!(read.verdict, None, "{name}");
        let cli = name.split('/').next().unwrap();
        assert_eq!(doubted(&read.reading, cli), expected, "{name}");
        let says = |it: &RunEvent| matches!(it, RunEvent::Warning { message } if message.contains("was denied"));
        assert_eq!(read.events.iter().any(says), expected.is_some(), "{name}");
    }
    let (reading, verdict) = judged("claude", &claude("", false), "", OK);
    assert_eq!(
        (verdict, doubted(&reading, "claude")),
        (None, Some("provider_error"))
    );
    // Text programs may be silent.
    let (reading, verdict) = judged("kiro", "", "", OK);
    assert_eq!((verdict, doubted(&reading, "kiro")), (None, None));
}

#[test]
fn an_interrupted_copilot_is_not_done() {
    let text = "{\"type\":\"abort\",\"data\":{\"reason\":\"user initiated\"}}\n{\"type\":\"assistant.idle\",\"data\":{\"aborted\":true}}\n{\"type\":\"result\",\"sessionId\":\"s\",\"exitCode\":0}\n";
    assert_eq!(class("copilot", text, "", OK).0, "crashed");
}

#[test]
fn a_lost_conversation_is_recognised() {
    for (cli, out, err, is_lost) in [
        (
            "claude",
            "",
            "No conversation found with session ID: s-1",
            true,
        ),
        (
            "codex",
            "{\"type\":\"turn.failed\",\"error\":{\"message\":\"no rollout found for thread id t-1\"}}\n",
            "",
            true,
        ),
        (
            "gemini",
            "",
            "Error resuming session: No previous sessions found for this project.",
            true,
        ),
        (
            "opencode",
            "",
            "NotFoundError: NotFoundError\n message: \"Session not found: ses_x\"",
            true,
        ),
        ("qwen", "No saved session found with ID s\n", "", true),
        ("claude", "", "some other error", false),
        // A run with output still had its conversation.
        (
            "gemini",
            "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"hi\"}\n",
            "session not found",
            false,
        ),
    ] {
        let (reading, _) = judged(cli, out, err, ProgramStatus::Code(1));
        let reported = format!("{}\n{err}", reading.error());
        assert_eq!(
            reports_lost(&output("", cli), &reading, &reported),
            is_lost,
            "{cli}: {err}"
        );
    }
}

#[test]
fn a_declined_command_is_a_denial() {
    let item = |id: &str, kind: &str, status: &str| {
        json!({"type": "item.completed", "item": {"id": id, "type": kind, "command": "ls", "status": status, "aggregated_output": ""}}).to_string()
    };
    let end = "{\"type\":\"item.completed\",\"item\":{\"id\":\"9\",\"type\":\"agent_message\",\"text\":\"I was not allowed\"}}\n{\"type\":\"turn.completed\",\"usage\":{}}\n";
    for (items, expected) in [
        (
            vec![item("1", "command_execution", "declined")],
            Some("refused_by_policy"),
        ),
        (
            vec![item("1", "file_change", "declined")],
            Some("refused_by_policy"),
        ),
        (
            vec![
                item("1", "command_execution", "declined"),
                item("2", "command_execution", "completed"),
            ],
            None,
        ),
        (vec![item("1", "command_execution", "failed")], None),
    ] {
        let text = format!("{}\n{end}", items.join("\n"));
        let (reading, verdict) = judged("codex", &text, "", OK);
        assert_eq!(verdict, None, "{text}");
        let doubt = doubt("codex", &output("", "codex"), &reading);
        assert_eq!(doubt.map(|it| it.kind.as_str()), expected, "{text}");
    }
}

#[test]
fn a_blank_result_leaves_the_text_before_it() {
    let stated = |text: &str| {
        let frame =
            json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}});
        format!("{frame}\n{}", claude("", false))
    };
    let (reading, verdict) = judged("claude", &stated("the answer"), "", OK);
    assert_eq!((reading.answer.as_str(), verdict), ("the answer", None));
    let notice = class(
        "claude",
        &stated("You've hit your limit · resets in 2 hours"),
        "",
        OK,
    );
    assert_eq!(notice, ("rate_limited".to_owned(), Some(7200)));
}
