//! The places of the error of a failed run, and places that do not count.

use super::*;

#[test]
fn errors_outside_of_frames_are_classified() {
    let bad = ProgramStatus::Code(1);
    for (cli, text, err, expected) in [
        (
            "claude",
            "",
            "Invalid API key · Please run /login\n",
            "auth_required",
        ),
        (
            "claude",
            "Invalid API key · Please run /login\n",
            "",
            "auth_required",
        ),
        (
            "codex",
            "",
            "Not logged in. Run codex login\n",
            "auth_required",
        ),
        ("codex", "", "connect ECONNREFUSED 127.0.0.1:9\n", "network"),
        ("codex", "", "thread 'main' panicked\n", "provider_error"),
    ] {
        assert_eq!(class(cli, text, err, bad).0, expected, "{cli}: {text}{err}");
    }
}

/// Text for people may mention any error: only the last lines of a failed program are its error.
#[test]
fn a_text_about_errors_is_not_an_error() {
    let long =
        "Set the header, else the service answers 401 Unauthorized or 429 rate limit. ".repeat(30);
    let text = format!("> {long}\nThe tool failed.\n");
    let padded = format!("{text}{}", "x".repeat(1100));
    assert_eq!(
        class("kiro", &padded, "", ProgramStatus::Code(1)).0,
        "provider_error"
    );
    let last = format!("> {long}\nerror: Monthly request limit reached\n");
    assert_eq!(
        class("kiro", &last, "", ProgramStatus::Code(1)).0,
        "rate_limited"
    );
}

#[test]
fn an_error_is_read_wherever_it_is_stated() {
    let codex =
        |frame: &Value| format!("{{\"type\":\"thread.started\",\"thread_id\":\"t\"}}\n{frame}\n");
    let limit = "You've hit your usage limit. Try again in 2 hours.";
    for (cli, frames, expected, wait) in [
        (
            "claude",
            json!({"type": "result", "subtype": "error_during_execution", "is_error": true, "errors": [limit]}).to_string(),
            "rate_limited",
            Some(7200),
        ),
        (
            "claude",
            json!({"type": "result", "subtype": "error_max_turns", "is_error": true, "errors": []}).to_string(),
            "provider_error",
            None,
        ),
        ("codex", codex(&json!({"type": "error", "message": limit})), "rate_limited", Some(7200)),
        ("codex", codex(&json!({"type": "turn.failed", "error": limit})), "rate_limited", Some(7200)),
        (
            "codex",
            codex(&json!({"type": "turn.failed", "error": {"message": "x", "details": limit}})),
            "rate_limited",
            Some(7200),
        ),
        (
            "codex",
            codex(&json!({"type": "turn.failed", "error": {"message": "cannot read file quota.rs"}})),
            "provider_error",
            None,
        ),
        (
            "opencode",
            json!({"type": "error", "error": {"name": "ProviderAuthError", "data": {"message": "x"}}}).to_string(),
            "auth_required",
            None,
        ),
        (
            "opencode",
            json!({"type": "error", "error": {"name": "ContextOverflowError", "data": {"message": "too big"}}}).to_string(),
            "bad_input",
            None,
        ),
    ] {
        let found = class(cli, &frames, "", ProgramStatus::Code(1));
        assert_eq!(found, (expected.to_owned(), wait), "{cli}: {frames}");
    }
}

#[test]
fn words_of_an_answer_do_not_explain_a_failure() {
    for (text, err, expected) in [
        ("> rate limiter refactored\n", "", "provider_error"),
        (
            "> I saw that the rate limit was exceeded.\n",
            "",
            "provider_error",
        ),
        (
            "> I looked.\nThe usage limit was reached in test 3.\n",
            "",
            "provider_error",
        ),
        (
            "> I looked.\nerror: usage limit reached\n",
            "",
            "rate_limited",
        ),
        (
            "Monthly request limit reached. Resets on 12/01.\n",
            "",
            "rate_limited",
        ),
        (
            "> done",
            "[warn] rate limit headers missing\nTypeError: x\n",
            "provider_error",
        ),
    ] {
        let found = class("kiro", text, err, ProgramStatus::Code(3)).0;
        assert_eq!(found, expected, "{text}{err}");
    }
}

#[test]
fn an_error_on_stderr_alone_is_no_answer() {
    for (text, err, expected) in [
        (
            "",
            "error: You are not logged in, please log in with kiro-cli login\n",
            "auth_required",
        ),
        (
            " \n",
            "[2026-11-29] Rate limit reached, try again in 2 hours\n\n",
            "rate_limited",
        ),
        ("", "Checkpoint saved.\n", "good"),
        ("> fine\n", "error: You are not logged in\n", "good"),
        ("", "rate limit: 1 of 5 used\nBye.\n", "good"),
    ] {
        assert_eq!(class("kiro", text, err, OK).0, expected, "{text}{err}");
    }
}

#[test]
fn an_error_subtype_without_is_error_is_an_error() {
    for cli in ["claude", "qwen", "amp"] {
        for frame in [
            json!({"type": "result", "subtype": "error_max_turns", "is_error": false, "num_turns": 9}),
            json!({"type": "result", "subtype": "error_during_execution", "is_error": false, "result": "half"}),
        ] {
            let text = format!("{frame}\n");
            assert_eq!(
                class(cli, &text, "", OK).0,
                "provider_error",
                "{cli}: {text}"
            );
        }
    }
}

#[test]
fn frames_may_come_in_one_list() {
    let frame = |value: &str| serde_json::from_str::<Value>(value).unwrap();
    let init = json!({"type": "system", "subtype": "init", "session_id": "s"});
    let limit = json!([
        init,
        frame(&claude("You've hit your limit · resets 7pm (UTC)", true))
    ]);
    let found = class("claude", &format!("{limit}\n"), "", ProgramStatus::Code(1));
    assert_eq!(found, ("rate_limited".to_owned(), Some(3600)));
    let good = json!([init, frame(&claude("fine", false))]);
    let (reading, verdict) = judged("claude", &format!("{good}\n"), "", OK);
    assert_eq!((reading.answer.as_str(), verdict), ("fine", None));
}

#[test]
fn an_error_is_found_before_its_stack_and_as_the_whole_answer() {
    let stack: String = (0..40)
        .map(|it| {
            format!(
                "    at Client.request{it} (file:///usr/lib/node_modules/x/dist/index.js:1:{it})\n"
            )
        })
        .collect();
    let err = format!("Error: 429 Too Many Requests, try again in 2 hours\n{stack}");
    let (found, _) = class("claude", "", &err, ProgramStatus::Code(1));
    assert_eq!(found, "rate_limited");
    let stated = json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "You've hit your limit · resets 7pm (UTC)"}]}});
    let blank = claude("", true);
    for (text, code) in [
        (format!("{stated}\n"), 1),
        (format!("{stated}\n"), 0),
        (format!("{stated}\n{blank}"), 1),
    ] {
        let found = class("claude", &text, "", ProgramStatus::Code(code));
        assert_eq!(found, ("rate_limited".to_owned(), Some(3600)), "{text}");
    }
    let status = json!({"type": "result", "subtype": "success", "is_error": true, "result": "x", "api_error_status": "429"});
    assert_eq!(
        class("claude", &format!("{status}\n"), "", ProgramStatus::Code(1)).0,
        "rate_limited"
    );
}

#[test]
fn an_error_event_of_gemini_explains_a_bad_end_that_does_not() {
    let error = |message: &str| {
        let frame = json!({"type": "error", "severity": "error", "message": message});
        format!("{frame}\n")
    };
    let end = "{\"type\":\"result\",\"status\":\"error\",\"error\":{\"type\":\"FatalError\",\"message\":\"Fatal\"}}\n";
    let limit = error("429 You exceeded your quota. Please retry in 2h.");
    for text in [limit.clone(), format!("{limit}{end}")] {
        let found = class("gemini", &text, "", ProgramStatus::Code(1));
        assert_eq!(found, ("rate_limited".to_owned(), Some(7200)), "{text}");
    }
    let turns = error("Reached max session turns for this session.");
    assert_eq!(
        class(
            "gemini",
            &format!("{turns}{end}"),
            "",
            ProgramStatus::Code(1)
        )
        .0,
        "provider_error"
    );
}
