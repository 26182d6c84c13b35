//! Ends of limits, from words and data.

mod words;

use std::time::UNIX_EPOCH;

use jiff::Timestamp;
use serde_json::json;

use super::*;

/// 2026-11-28 18:00:00 UTC, a Saturday. Local time is 19:00 in Berlin.
fn moment() -> ReferenceTime {
    let at: Timestamp = "2026-11-28T18:00:00Z".parse().expect("a timestamp");
    ReferenceTime {
        at: at.try_into().expect("a time"),
        zone: TimeZone::get("Europe/Berlin").expect("the system has a time zone database"),
    }
}

fn end(text: &str) -> Option<String> {
    let at = until(&ReportedError::of_text(text), &moment())?;
    Some(Timestamp::try_from(at).expect("a time").to_string())
}

#[test]
fn lengths_of_time_are_added_to_now() {
    for (text, seconds) in [
        ("Rate limit reached. Please try again in 1m30s.", Some(90)),
        (
            "You've hit your usage limit. Try again in 3 hours 22 minutes.",
            Some(12_120),
        ),
        ("or try again in 2 days 17 hours 14 minutes.", Some(234_840)),
        (
            "5-hour usage limit reached. Resets in 4hr 10min.",
            Some(15_000),
        ),
        ("Your quota will reset after 3h22m13s.", Some(12_133)),
        ("429: retry after 30 seconds", Some(30)),
        ("slow down, retry-after: 7", Some(7)),
        ("\"retry_after\": 90", Some(90)),
        ("try again in 1 day, 2 hours and 5 minutes", Some(93_900)),
        ("try again in about an hour", Some(3_600)),
        ("Please wait 5 minutes before you ask again", Some(300)),
        ("resets in 03:22:13", Some(12_133)),
        ("Try again in two hours.", Some(7_200)),
        ("Try again in half an hour.", Some(1_800)),
        ("Try again within 2 hours", Some(7_200)),
        ("Try again 2 hours from now", Some(7_200)),
        ("Try again in PT1H30M", Some(5_400)),
        ("Try again in 1,800 seconds", Some(1_800)),
        ("Please try again in 1 week.", Some(604_800)),
        ("Usage limit reached. Resets 15h", Some(54_000)),
        ("Limit reached · in 15h", Some(54_000)),
        ("Limit reached · 15h", Some(54_000)),
        ("Limit reached (15h).", Some(54_000)),
        ("Limit reached; reset: 2d 4h", Some(187_200)),
        ("limit reached, 15h remaining", Some(54_000)),
        ("Quota reached. 1 hour 20 minutes until reset", Some(4_800)),
        ("Limit reached. Back in 15 hrs. 5 min.", Some(54_300)),
        ("429, retry_after_ms: 120000", Some(120)),
        ("429 {'retry-after-ms': '120000'}", Some(120)),
        ("slow down (retryAfterMs=1500)", Some(1)),
        ("429, retry_after_seconds: 90", Some(90)),
        ("429, resets_in_seconds=90", Some(90)),
        ("Try again in 15-20 minutes", Some(1_200)),
        ("Please try again in less than 15 minutes.", Some(900)),
        ("Try again in 1 month", Some(2_592_000)),
        ("429, x-ratelimit-reset-requests: 6m0s", Some(360)),
        (
            "429 {\"headers\": {\"x-ratelimit-reset-requests\": \"6m0s\"}}",
            Some(360),
        ),
        // The window that is used up, and the service's own time before any window.
        (
            "x-ratelimit-remaining-requests: 7\nx-ratelimit-reset-requests: 1h0m0s\nx-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 17.5s",
            Some(17),
        ),
        (
            "retry-after: 30, x-ratelimit-reset-requests: 6m0s",
            Some(30),
        ),
        (
            "429 anthropic-ratelimit-requests-reset: 2026-11-28T20:00:00Z anthropic-ratelimit-tokens-reset: 2026-11-28T19:00:00Z",
            Some(3_600),
        ),
        (
            "{\"anthropic-ratelimit-unified-reset\": \"1795892400\"}",
            Some(3_600),
        ),
        // The limit's own duration, not the time to its end.
        ("You have hit the rate limit (5h)", None),
        ("Rate limit: 5h", None),
        ("You sent 100 requests in 5 hours, over the quota.", None),
        // The limit's own time, not the program's pause.
        (
            "Your quota will reset after 3h22m13s.. Retrying after 14420862ms...",
            Some(12_133),
        ),
        ("try again in a while", None),
        ("try again in 5 tries", None),
        ("retry in 0s", None),
        ("try again in 90 days", None),
        ("429 Too Many Requests", None),
        // A daily limit does not end within seconds: the time belongs to another one.
        (
            "You exhausted your daily quota. Please retry in 41.2s.",
            None,
        ),
    ] {
        let at = until(&ReportedError::of_text(text), &moment());
        let wait = at.map(|at| at.duration_since(moment().at).expect("ahead").as_secs());
        assert_eq!(wait, seconds, "{text}");
    }
}

#[test]
fn a_time_of_day_is_the_next_one_in_its_zone() {
    for (text, at) in [
        // Local time: 19:00 in Berlin.
        (
            "You've hit your usage limit. Upgrade, or try again at 8:09 PM.",
            "2026-11-28T19:09:00Z",
        ),
        ("try again at 5:31 PM", "2026-11-29T16:31:00Z"),
        ("try again at 5:31\u{202f}PM.", "2026-11-29T16:31:00Z"),
        ("5-hour limit reached ∙ resets 3pm", "2026-11-29T14:00:00Z"),
        ("limit reached, resets 3am", "2026-11-29T02:00:00Z"),
        ("resets at 22:30", "2026-11-28T21:30:00Z"),
        ("try again after 22:30", "2026-11-28T21:30:00Z"),
        ("resets at midnight", "2026-11-28T23:00:00Z"),
        ("resets at 3 p.m.", "2026-11-29T14:00:00Z"),
        ("try again tomorrow at 9am", "2026-11-29T08:00:00Z"),
        ("resets Monday at 9am", "2026-11-30T08:00:00Z"),
        ("resets Sat 8pm", "2026-11-28T19:00:00Z"),
        ("resets Sat 6pm", "2026-12-05T17:00:00Z"),
        ("You can continue at 10 pm", "2026-11-28T21:00:00Z"),
        ("resets next Monday", "2026-11-29T23:00:00Z"),
        ("resets next Monday at 9am", "2026-11-30T08:00:00Z"),
        ("resets 30.11.2026 14:00", "2026-11-30T13:00:00Z"),
        ("resets on 30.11. um 14:00 Uhr", "2026-11-30T13:00:00Z"),
        ("resets 30/11/2026 14:00", "2026-11-30T13:00:00Z"),
        ("resets at 11/30/2026, 2:00 PM", "2026-11-30T13:00:00Z"),
        ("resets 2026/11/30 14:00", "2026-11-30T13:00:00Z"),
        ("resets 30-Nov-2026 14:00", "2026-11-30T13:00:00Z"),
        ("resets Dec 1", "2026-11-30T23:00:00Z"),
        ("resets on the 1st", "2026-11-30T23:00:00Z"),
        ("resets on the 28th at 9am", "2026-12-28T08:00:00Z"),
        ("resets on the 30th of November", "2026-11-29T23:00:00Z"),
        ("resets at 9 o'clock", "2026-11-29T08:00:00Z"),
        ("resets 3pm. Visit the page", "2026-11-29T14:00:00Z"),
        ("resets 3pm or upgrade", "2026-11-29T14:00:00Z"),
        ("resets 3pm local time", "2026-11-29T14:00:00Z"),
        // Stated zones.
        ("resets 3pm UTC +2", "2026-11-29T13:00:00Z"),
        ("resets 3pm (GMT-05:00)", "2026-11-28T20:00:00Z"),
        ("resets 3pm Pacific Standard Time", "2026-11-28T23:00:00Z"),
        ("resets 3pm Tokyo time", "2026-11-29T06:00:00Z"),
        ("resets 3pm (Tokyo)", "2026-11-29T06:00:00Z"),
        (
            "resets Mon Nov 30 2026 14:00:00 GMT+0100 (Central European Standard Time)",
            "2026-11-30T13:00:00Z",
        ),
        (
            "You've hit your limit · resets 3pm (America/New_York)",
            "2026-11-28T20:00:00Z",
        ),
        (
            "You've hit your limit · resets 3am (America/New_York)",
            "2026-11-29T08:00:00Z",
        ),
        (
            "You've hit your session limit · resets 8:30pm (UTC)",
            "2026-11-28T20:30:00Z",
        ),
        ("resets 1pm PT", "2026-11-28T21:00:00Z"),
        ("resets at 9pm (UTC+2)", "2026-11-28T19:00:00Z"),
        ("resets at 21:00 +02:00", "2026-11-28T19:00:00Z"),
        ("resets 9pm AEST", "2026-11-29T10:00:00Z"),
        ("resets at 9pm SGT", "2026-11-29T13:00:00Z"),
        ("resets at 10 pm MSK", "2026-11-28T19:00:00Z"),
        ("resets at 9pm CT", "2026-11-29T03:00:00Z"),
        (
            "Resets at 2026-11-30T15:00:00-05:00.",
            "2026-11-30T20:00:00Z",
        ),
        ("Resets at 2026-11-30T15:00:00+0530", "2026-11-30T09:30:00Z"),
        ("Resets at 2026-11-30 15:00 +0530", "2026-11-30T09:30:00Z"),
        // Dates.
        (
            "Your limit will reset on Dec 1, 2026, 12:00 AM UTC",
            "2026-12-01T00:00:00Z",
        ),
        ("resets Mon, Nov 30, 9 AM (UTC)", "2026-11-30T09:00:00Z"),
        (
            "weekly limit reached ∙ resets Dec 9 at 5pm (UTC)",
            "2026-12-09T17:00:00Z",
        ),
        (
            "try again at Nov 30th, 2026 8:09 PM.",
            "2026-11-30T19:09:00Z",
        ),
        ("resets 3 December, 5pm", "2026-12-03T16:00:00Z"),
        ("They reset on 12/01.", "2026-11-30T23:00:00Z"),
        (
            "You will regain access on 2026-12-01 at 00:00 UTC.",
            "2026-12-01T00:00:00Z",
        ),
        (
            "limit resets at 2026-11-29T12:00:00Z.",
            "2026-11-29T12:00:00Z",
        ),
        ("resets 2026-11-29T12:00:00", "2026-11-29T11:00:00Z"),
        (
            "retry-after: Sun, 29 Nov 2026 08:50:37 GMT",
            "2026-11-29T08:50:37Z",
        ),
        // Points in Unix time.
        (
            "Claude AI usage limit reached|1795892400",
            "2026-11-28T19:00:00Z",
        ),
        ("resets at 1795892400000", "2026-11-28T19:00:00Z"),
    ] {
        assert_eq!(end(text).as_deref(), Some(at), "{text}");
    }
}

#[test]
fn a_time_that_cannot_be_believed_is_none() {
    for text in [
        "resets Oct 9 at 5pm (UTC)",
        "resets Nov 3, 2026 at 5pm",
        "try again at Jan 5th, 2031 8:09 PM",
        "limit reached|1600000000",
        "limit resets at 2020-01-01T00:00:00Z",
        // Unknown zones.
        "resets 3pm (Atlantis/City)",
        "resets at 9pm NPST",
        "resets 3pm NPT",
        "resets 3pm (Mars)",
        "resets 3pm (Mars/Olympus Mons)",
        "resets 3pm Atlantis time",
        "resets 3pm Atlantis Standard Time",
        "resets 3pm UTC+99",
        "resets Dec 1 at 3pm XYZ",
        "resets next month",
        "resets 25:99",
        "resets 13pm",
        "resets today at 5pm",
        // This very minute: the time was rounded.
        "resets 7pm",
        "resets soon",
        "resets 3",
        "",
    ] {
        assert_eq!(end(text), None, "{text}");
    }
}

#[test]
fn daylight_saving_follows_the_zone() {
    let at: Timestamp = "2026-07-01T12:00:00Z".parse().expect("a timestamp");
    let summer = ReferenceTime {
        at: at.try_into().expect("a time"),
        zone: TimeZone::UTC,
    };
    let end = until(
        &ReportedError::of_text("resets 3pm (America/New_York)"),
        &summer,
    );
    let end = Timestamp::try_from(end.expect("an end")).expect("a time");
    assert_eq!(end.to_string(), "2026-07-01T19:00:00Z");
}

#[test]
fn data_is_more_precise_than_words() {
    let now = moment()
        .at
        .duration_since(UNIX_EPOCH)
        .expect("now")
        .as_secs();
    let codex = json!({"type": "error", "error": {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus", "resets_at": now + 5400, "resets_in_seconds": 5400}, "status_code": 429});
    let claude =
        json!({"status": "rejected", "resetsAt": now + 5400, "rateLimitType": "five_hour"});
    let google = json!({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "5400s"}]}});
    for data in [&codex, &claude, &google] {
        let complaint = ReportedError {
            data: Some(data),
            text: "resets 3am",
            ..ReportedError::default()
        };
        let end = until(&complaint, &moment()).expect("an end");
        assert_eq!(
            end.duration_since(moment().at).expect("ahead").as_secs(),
            5400,
            "{data}"
        );
    }
    for data in [
        json!({"headers": {"retry-after": "Mon, 30 Nov 2026 15:00:00 GMT"}}),
        json!({"resets_at": "2026-11-30 15:00:00 UTC"}),
    ] {
        let text = data.to_string();
        assert_eq!(
            end(&text).as_deref(),
            Some("2026-11-30T15:00:00Z"),
            "{data}"
        );
    }
    // The same as JSON in the message, also one level deeper.
    let deeper = json!({"message": codex.to_string()}).to_string();
    for text in [
        codex.to_string(),
        format!("unexpected status 429: {codex}, url: x"),
        deeper,
    ] {
        let found = classify(&ReportedError::of_text(&text), &moment());
        let until = Some(moment().at + Duration::from_secs(5400));
        assert_eq!(found, Some(FailureKind::RateLimited { until }), "{text}");
    }
    // Invalid data is ignored.
    for text in ["{{{{{{{{{{", "{\"a\":", "{} {} {\"resets_at\": \"never\"}"] {
        assert_eq!(end(text), None);
    }
}

#[test]
fn the_pause_of_a_program_is_the_longest_time() {
    let text = "Your quota will reset after 3h22m13s.. Retrying after 14420862ms...";
    let seconds = |text| pause(&ReportedError::of_text(text)).map(|it| it.as_secs());
    assert_eq!(seconds(text), Some(14_420));
    assert_eq!(
        seconds("reset after 0h0m41s.. Retrying after 44978ms..."),
        Some(44)
    );
    assert_eq!(seconds("Reconnecting... waiting for network"), None);
}
