//! Output of programs that wait, or that can produce nothing more.

use super::*;

/// The program's activity at the end of its output.
fn outlook(cli: &str, out: &str, err: &str) -> Outlook {
    let output = Arc::new(output("", cli));
    let mut reader = RunOutputReader::new(&output, 1 << 20, RunUsage::default());
    let mut last = Outlook::Unchanged;
    for line in out.split_inclusive('\n') {
        reader.push(line.as_bytes());
        match reader.outlook() {
            Outlook::Unchanged => {}
            changed => last = changed,
        }
    }
    let watch = StderrWatch::new(&output);
    match watch.map_or(Outlook::Unchanged, |mut it| it.push(err.as_bytes())) {
        Outlook::Unchanged => last,
        waits => waits,
    }
}

#[test]
fn waits_are_recognised_in_the_output() {
    let of_capture = |name: &str| {
        let file = |end: &str| std::fs::read_to_string(folder().join(format!("{name}.{end}")));
        let cli = name.split('/').next().unwrap();
        outlook(cli, &file("out").unwrap(), &file("err").unwrap())
    };
    let seen = |outlook: Outlook| match outlook {
        Outlook::Waits(wait) => (wait.class.as_str(), wait.length.map(|it| it.as_secs())),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        seen(of_capture("gemini/wait_hours")),
        ("rate_limited", Some(14_420))
    );
    assert_eq!(
        seen(of_capture("gemini/wait_short")),
        ("rate_limited", Some(44))
    );
    assert_eq!(seen(of_capture("codex/no_network")), ("network", None));
    let retry = |status: &str, delay: u32| {
        format!(
            "{{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":1,\"retry_delay_ms\":{delay},\"error_status\":{status},\"error\":\"x\"}}\n"
        )
    };
    assert_eq!(
        seen(outlook("claude", &retry("429", 600_000), "")),
        ("rate_limited", Some(600))
    );
    assert_eq!(
        seen(outlook("claude", &retry("null", 500), "")),
        ("network", Some(0))
    );
    // Work ends a wait.
    let works = "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}}\n";
    assert_eq!(
        outlook("claude", &format!("{}{works}", retry("429", 9)), ""),
        Outlook::Works
    );
    assert_eq!(outlook("claude", &claude("4", false), ""), Outlook::Ended);
    assert_eq!(outlook("claude", &claude("no", true), ""), Outlook::Ended);
    let opencode = "timestamp=2026-11-28T23:50:00.947Z level=ERROR message=\"stream error\" small=false agent=build error.error=\"AI_APICallError: Rate limit reached. Please try again in 3600s.\"\n";
    assert_eq!(
        seen(outlook("opencode", "", opencode)),
        ("rate_limited", Some(3600))
    );
    let title = opencode.replace("small=false", "small=true");
    assert_eq!(outlook("opencode", "", &title), Outlook::Unchanged);
    let qwen = "[qwen-code] Waiting for API capacity... attempt 1, retry in 3570s\n";
    assert_eq!(
        seen(outlook("qwen", "", qwen)),
        ("rate_limited", Some(3570))
    );
    // A line that only mentions a retry has no effect.
    let retry = outlook("gemini", "", "Retrying after the test failed\n");
    assert!(matches!(retry, Outlook::Errs(_)), "{retry:?}");
    let broken = "Attempt 3 failed with status 500. Retrying with backoff...\n";
    assert_eq!(
        seen(outlook("gemini", "", broken)),
        ("provider_error", None)
    );
}

#[test]
fn a_retry_is_distinguished_from_a_final_error() {
    let codex = |message: &str| {
        let frame = json!({"type": "error", "message": message});
        outlook("codex", &format!("{frame}\n"), "")
    };
    let seen = |outlook: Outlook| match outlook {
        Outlook::Waits(wait) => (wait.class.as_str(), wait.is_retry),
        other => panic!("{other:?}"),
    };
    for (message, class, is_retry) in [
        ("Reconnecting... 3/5", "network", true),
        (
            "Reconnecting... 1/5 (unexpected status 500)",
            "provider_error",
            true,
        ),
        (
            "Reconnecting... 2/5 (unexpected status 429 Too Many Requests)",
            "rate_limited",
            true,
        ),
        ("Reconnecting... waiting for network", "network", false),
        ("You've hit your usage limit.", "rate_limited", false),
    ] {
        assert_eq!(seen(codex(message)), (class, is_retry), "{message}");
    }
    let odd = codex("config.toml: unknown key");
    assert!(matches!(odd, Outlook::Errs(_)), "{odd:?}");
}

#[test]
fn an_answer_that_is_a_notice_leaves_the_program_stuck() {
    let text = |cli: &str, text: &str| match cli {
        "claude" | "qwen" => format!(
            "{}\n",
            json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}})
        ),
        "codex" => format!(
            "{}\n",
            json!({"type": "item.completed", "item": {"id": "1", "type": "agent_message", "text": text}})
        ),
        "goose" => format!(
            "{}\n",
            json!({"type": "message", "message": {"role": "assistant", "content": [{"type": "text", "text": text}]}})
        ),
        _ => format!("> {text}\n"),
    };
    let limit = "You've hit your limit · resets 3pm (America/New_York)";
    for (cli, stated) in [
        ("claude", limit),
        (
            "codex",
            "You've hit your usage limit. Try again in 2 hours.",
        ),
        ("qwen", "Claude AI usage limit reached|1795892400"),
        ("goose", "Ran into this error: Rate limit exceeded"),
        ("kiro", "You've reached your monthly usage limit."),
    ] {
        let found = outlook(cli, &text(cli, stated), "");
        let is_limit =
            |it: &ServiceWait| matches!(it.class, Class::RateLimited { .. }) && !it.is_retry;
        assert!(
            matches!(&found, Outlook::Stuck(it) if is_limit(it)),
            "{cli}: {found:?}"
        );
    }
    // Further text or a tool call make it an answer.
    let more = format!(
        "{}{}",
        text("goose", limit),
        text("goose", " is what the page says.")
    );
    assert_eq!(outlook("goose", &more, ""), Outlook::Works);
    let more = format!("{}More of it.\n", text("kiro", limit));
    assert_eq!(outlook("kiro", &more, ""), Outlook::Works);
    let tool = json!({"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "1", "name": "Bash", "input": {}}]}});
    let after = format!("{tool}\n{}", text("claude", limit));
    assert_eq!(outlook("claude", &after, ""), Outlook::Works);
}
