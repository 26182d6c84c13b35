//! Tests of reading lines as frames, of their errors, and of answers in both forms.

use kirosu_protocol::answer::{write_error, write_result};
use kirosu_protocol::{
    BadLine, Error, ErrorCode, Event, EventKind, Frame, Limits, Notice, Request,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(line: &str) -> Result<Frame<'_>, Box<BadLine>> {
    Frame::read(line.as_bytes(), &Limits::default())
}

/// The answer of a hub that executes nothing.
fn answer(line: &[u8]) -> Value {
    let mut out = Vec::new();
    match Frame::read(line, &Limits::default()) {
        Err(bad) => write_error(&mut out, &bad.id, bad.jsonrpc, &bad.error),
        Ok(frame) => match Request::read(&frame.method, &frame.params, &Limits::default()) {
            Ok(request) => {
                write_result(&mut out, &frame.id, frame.jsonrpc, &request.method().name())
            }
            Err(error) => write_error(&mut out, &frame.id, frame.jsonrpc, &error),
        },
    }
    assert_eq!(
        out.iter().filter(|b| **b == b'\n').count(),
        1,
        "one answer, one line"
    );
    serde_json::from_slice(&out).expect("an answer is JSON")
}

#[test]
fn any_id_is_echoed_as_it_was_written() {
    for id in [
        "7",
        "-0",
        "1e3",
        "\"ü\\n\"",
        "null",
        "[1, {\"a\":2}]",
        "1180591620717411303424",
        "true",
    ] {
        let line = format!(r#"{{"id":{id},"method":"stats"}}"#);
        assert_eq!(read(&line).expect(id).id.as_str(), id);
    }
    assert_eq!(
        read(r#"{"method":"stats"}"#).expect("no id").id.as_str(),
        "null"
    );
}

#[test]
fn ids_that_cannot_be_echoed_are_refused() {
    for id in ["1e999", "[1e999]", "\"\\ud800\""] {
        let bad = read(&format!(r#"{{"id":{id},"method":"stats"}}"#)).expect_err(id);
        assert_eq!(
            (bad.error.code, bad.id.as_str()),
            (ErrorCode::InvalidRequest, "null"),
            "{id}"
        );
    }
    let bad = read(r#"{"id":NaN,"method":"stats"}"#).expect_err("NaN");
    assert_eq!(
        bad.error.message,
        "the line is not JSON: NaN is not a JSON number"
    );
}

#[test]
fn lines_that_are_not_requests_are_answered_with_a_code() {
    let deep = format!(
        r#"{{"id":1,"method":"stats","params":{{"x":{}{}}}}}"#,
        "[".repeat(70),
        "]".repeat(70)
    );
    let table: [(&[u8], ErrorCode, &str); 12] = [
        (b"{nope", ErrorCode::ParseError, "null"),
        (b"\xff\xfe", ErrorCode::ParseError, "null"),
        (
            b"{\"id\":1,\"method\":\"stats\"} x",
            ErrorCode::ParseError,
            "null",
        ),
        (b"7", ErrorCode::InvalidRequest, "null"),
        (
            b"[{\"id\":1,\"method\":\"stats\"}]",
            ErrorCode::InvalidRequest,
            "null",
        ),
        (deep.as_bytes(), ErrorCode::TooLarge, "null"),
        (b"{\"id\":1}", ErrorCode::InvalidRequest, "1"),
        (b"{\"id\":1,\"method\":5}", ErrorCode::InvalidRequest, "1"),
        (
            b"{\"id\":1,\"method\":\"stats\",\"jsonrpc\":\"1.0\"}",
            ErrorCode::InvalidRequest,
            "1",
        ),
        (
            b"{\"id\":1,\"method\":\"stats\",\"params\":[1]}",
            ErrorCode::InvalidParams,
            "1",
        ),
        (
            b"{\"id\":1,\"method\":\"stats\",\"params\":\"a\"}",
            ErrorCode::InvalidParams,
            "1",
        ),
        (
            b"{\"id\":1,\"method\":\"stats\",\"params\":false}",
            ErrorCode::InvalidParams,
            "1",
        ),
    ];
    for (line, code, id) in table {
        let shown = String::from_utf8_lossy(line).into_owned();
        let bad = Frame::read(line, &Limits::default()).expect_err(&shown);
        assert_eq!((bad.error.code, bad.id.as_str()), (code, id), "{shown}");
    }
}

#[test]
fn brackets_within_strings_do_not_nest() {
    let text = r#"[{\"\\"#.repeat(200);
    let line = format!(r#"{{"id":1,"method":"enqueue","params":{{"prompt":"{text}"}}}}"#);
    assert!(read(&line).is_ok());
}

#[test]
fn the_key_is_found_and_the_last_of_two_names_counts() {
    let frame = read(
        r#"{"id":1,"id":2,"method":"stats","params":{"auth_token":"a","auth_token":"k\u00e9y"}}"#,
    )
    .expect("a frame");
    assert_eq!(
        (frame.id.as_str(), frame.auth.as_deref()),
        ("2", Some("kéy"))
    );
    let frame = read(r#"{"method":"stats","params":{"auth_token":5}}"#).expect("a frame");
    assert_eq!(frame.auth, None);
}

#[test]
fn plain_answers_have_three_keys_and_strict_ones_two() {
    let frame = read(r#"{"id":"x","method":"stats","params":null}"#).expect("a frame");
    let mut out = Vec::new();
    write_result(
        &mut out,
        &frame.id,
        false,
        &json!({"text": "grüße\u{1f600}"}),
    );
    write_result(&mut out, &frame.id, true, &json!({"ok": true}));
    let error = Error::new(ErrorCode::StaleLease, "stale").with_data(json!({"fence": 3}));
    write_error(&mut out, &frame.id, false, &error);
    write_error(&mut out, &frame.id, true, &error);
    let told = r#"{"message":"stale","code":-32003,"data":{"code":"stale_lease","fence":3}}"#;
    let expected = format!(
        "{}\n{}\n{}\n{}\n",
        r#"{"id":"x","result":{"text":"grüße😀"},"error":null}"#,
        r#"{"jsonrpc":"2.0","id":"x","result":{"ok":true}}"#,
        format_args!(r#"{{"id":"x","result":null,"error":{told}}}"#),
        format_args!(r#"{{"jsonrpc":"2.0","id":"x","error":{told}}}"#),
    );
    assert_eq!(String::from_utf8_lossy(&out), expected);
    assert_eq!(
        serde_json::from_str::<Error>(told).expect("an error"),
        error
    );
}

#[test]
fn notices_are_written_and_read_back() {
    let event = Event {
        seq: 9,
        time: 1.5,
        what: EventKind::Progress {
            task_id: 4,
            fence: 2,
            data: json!({"percent": 40}),
        },
    };
    let all = [
        Notice::Cancel {
            task_id: 1,
            fence: 2,
            reason: None,
        },
        Notice::LeaseLost {
            task_id: 1,
            fence: 2,
            reason: "expired".into(),
        },
        Notice::Event(event),
        Notice::Decided {
            task_id: 1,
            fence: 2,
            approval_id: 17,
            state: kirosu_protocol::PermissionState::Expired,
        },
        Notice::Approval {
            approval_id: None,
            task_id: 1,
            fence: 2,
            question: "may it run?".into(),
        },
    ];
    for notice in all {
        let mut out = Vec::new();
        notice.write(&mut out);
        assert!(out.starts_with(b"{\"jsonrpc\":\"2.0\",\"method\":\"") && out.ends_with(b"}\n"));
        assert_eq!(
            serde_json::from_slice::<Notice>(&out).expect("a notice"),
            notice
        );
    }
}

#[test]
fn an_unknown_method_is_named() {
    let told = answer(br#"{"id":1,"method":"fly"}"#);
    assert_eq!(told["error"]["message"], "Unknown method: fly");
    assert_eq!(told["error"]["code"], -32601);
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let line: Vec<u8> = line.into_iter().filter(|b| *b != b'\n').collect();
        answer(&line);
    }

    #[test]
    fn any_json_like_text_gets_an_answer(
        line in r#"\{"id":(1|"a"|null|\[\]),"method":"(lease|ack|enqueue|list|wait)","params":\{("(task_id|max_tasks|status|prompt|limit|lease_seconds|queues|acks|lease)":(-?[0-9.eE+]{1,12}|"[a-z0-9\\]{0,6}"|null|true|\[[0-9,"]{0,5}\]|\{\}),?){0,4}\}\}"#
    ) {
        answer(line.as_bytes());
    }
}
