//! Answers in all three APIs, in pieces of any size.

use kirosu_providers::{Cancel, HttpServiceOptions, Job, ProviderOptions, RunEvent, RunUsage};
use serde_json::{Value, json};

use crate::http::service::{Service, ask, document, provider, run, status, streamed, text};

/// Events with the line ends of one server and the comments of another.
fn events(list: &[(&str, Value)], end: &str, done: bool) -> String {
    let mut all = format!(": connected{end}{end}");
    for (name, data) in list {
        if !name.is_empty() {
            all += &format!("event: {name}{end}");
        }
        all += &format!("data: {data}{end}{end}: ping{end}{end}");
    }
    if done {
        all += &format!("data: [DONE]{end}{end}");
    }
    all
}

fn chat(end: &str) -> String {
    let choice = |delta: Value, finish: Value| json!({"model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": null});
    let list = [
        (
            "",
            choice(json!({"role": "assistant", "content": ""}), Value::Null),
        ),
        ("", choice(json!({"reasoning_content": "hm "}), Value::Null)),
        ("", choice(json!({"content": "vier, "}), Value::Null)),
        (
            "",
            json!({"choices": [{"index": 1, "delta": {"content": "not this one"}}]}),
        ),
        ("", json!({"object": "something.new"})),
        ("", choice(json!({"content": "größe 🦀"}), Value::Null)),
        ("", choice(json!({}), json!("stop"))),
        (
            "",
            json!({"choices": [], "usage": {
            "prompt_tokens": 1200, "completion_tokens": 34, "total_tokens": 1234,
            "prompt_tokens_details": {"cached_tokens": 200},
            "completion_tokens_details": {"reasoning_tokens": 4}}}),
        ),
    ];
    events(&list, end, true)
}

fn responses(end: &str) -> String {
    let list = [
        (
            "response.created",
            json!({"type": "response.created", "response": {"status": "in_progress"}}),
        ),
        (
            "response.reasoning_summary_text.delta",
            json!({"type": "response.reasoning_summary_text.delta", "delta": "hm "}),
        ),
        (
            "response.output_text.delta",
            json!({"type": "response.output_text.delta", "delta": "vier, "}),
        ),
        ("response.new_thing", json!({"type": "response.new_thing"})),
        (
            "response.output_text.delta",
            json!({"type": "response.output_text.delta", "delta": "größe 🦀"}),
        ),
        (
            "response.completed",
            json!({"type": "response.completed", "response": {"status": "completed", "error": null,
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "vier, größe 🦀"}]}],
            "usage": {"input_tokens": 1200, "input_tokens_details": {"cached_tokens": 200},
                "output_tokens": 34, "output_tokens_details": {"reasoning_tokens": 4}}}}),
        ),
    ];
    events(&list, end, false)
}

fn messages(end: &str) -> String {
    let list = [
        (
            "message_start",
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 1000,
            "cache_read_input_tokens": 200, "cache_creation_input_tokens": 7, "output_tokens": 1}}}),
        ),
        ("ping", json!({"type": "ping"})),
        (
            "content_block_start",
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        ),
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm "}}),
        ),
        (
            "content_block_start",
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        ),
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "vier, "}}),
        ),
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "größe 🦀"}}),
        ),
        ("content_block_stop", json!({"type": "content_block_stop"})),
        (
            "message_delta",
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 34}}),
        ),
        ("message_stop", json!({"type": "message_stop"})),
    ];
    events(&list, end, false)
}

/// The three APIs: kind, API, stream, figures.
fn apis(end: &str) -> [(&'static str, Option<&'static str>, String, RunUsage); 3] {
    let openai = RunUsage {
        input: 1000,
        cache_read: 200,
        output: 30,
        reasoning: 4,
        ..RunUsage::default()
    };
    let anthropic = RunUsage {
        input: 1000,
        cache_read: 200,
        cache_write: 7,
        output: 34,
        ..RunUsage::default()
    };
    [
        ("openai", None, chat(end), openai.clone()),
        ("openai", Some("responses"), responses(end), openai),
        ("anthropic", None, messages(end), anthropic),
    ]
}

fn with_api(service: &Service, kind: &str, api: Option<&str>) -> ProviderOptions {
    let mut options = service.options(kind);
    options.http.api = api.map(str::to_owned);
    options
}

#[tokio::test]
async fn every_api_is_understood_in_pieces_of_any_size() {
    for end in ["\n", "\r\n"] {
        for size in [1, 3, 17, 100_000] {
            for (kind, api, events, usage) in apis(end) {
                let service = Service::play(vec![streamed(events, size)]);
                let (events, outcome) = ask(&*provider(&with_api(&service, kind, api))).await;
                let finished = outcome.unwrap();
                assert_eq!(finished.text, "vier, größe 🦀", "{kind} {api:?} {size}");
                assert_eq!(text(&events), finished.text);
                assert_eq!(finished.usage, Some(usage.clone()));
                assert!(!finished.truncated);
                assert!(matches!(&events[0], RunEvent::Started { pid: None, .. }));
                let thought = "hm ".to_owned();
                assert_eq!(
                    events[1..]
                        .iter()
                        .find(|it| !matches!(it, RunEvent::Usage { .. })),
                    Some(&RunEvent::Thought { text: thought })
                );
                assert!(events.contains(&RunEvent::Usage { usage }));
            }
        }
    }
}

#[tokio::test]
async fn the_request_contains_the_job_and_the_settings() {
    for (kind, api, events, _) in apis("\n") {
        let service = Service::play(vec![streamed(events, 999)]);
        let mut options = with_api(&service, kind, api);
        options.http.max_tokens = Some(77);
        options.http.headers = vec![("x-org".to_owned(), "mine".to_owned())];
        options.http.body.insert("temperature".to_owned(), json!(0));
        let mut job = Job::new("two and two?", "/");
        job.system_prompt = Some("be short".to_owned());
        job.model = Some("m-1".to_owned());
        let outcome = run(&*provider(&options), job, Cancel::never()).await.1;
        outcome.unwrap();
        let asked = service.request();
        let (line, key) = match (kind, api) {
            ("anthropic", _) => (
                "POST /v1/messages HTTP/1.1",
                ("x-api-key", "kirosu-providers"),
            ),
            (_, None) => (
                "POST /v1/chat/completions HTTP/1.1",
                ("authorization", "Bearer kirosu-providers"),
            ),
            _ => (
                "POST /v1/responses HTTP/1.1",
                ("authorization", "Bearer kirosu-providers"),
            ),
        };
        assert_eq!(asked.line, line);
        assert_eq!(asked.headers[key.0], key.1);
        assert_eq!(asked.headers["x-org"], "mine");
        let user = json!({"role": "user", "content": "two and two?"});
        let expected = match (kind, api) {
            ("anthropic", _) => {
                json!({"model": "m-1", "stream": true, "temperature": 0, "max_tokens": 77,
                "system": "be short", "messages": [user]})
            }
            (_, None) => json!({"model": "m-1", "stream": true, "temperature": 0, "max_tokens": 77,
                "stream_options": {"include_usage": true},
                "messages": [{"role": "system", "content": "be short"}, user]}),
            _ => {
                json!({"model": "m-1", "stream": true, "temperature": 0, "max_output_tokens": 77, "store": false,
                "instructions": "be short", "input": "two and two?"})
            }
        };
        assert_eq!(asked.body, expected);
    }
}

#[tokio::test]
async fn a_service_that_does_not_stream_is_understood_too() {
    let usage =
        json!({"prompt_tokens": 5, "completion_tokens": 1, "input_tokens": 5, "output_tokens": 1});
    let table = [
        (
            "openai",
            None,
            json!({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}], "usage": usage}),
        ),
        (
            "openai",
            Some("responses"),
            json!({"object": "response", "status": "completed", "usage": usage,
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "4"}]}]}),
        ),
        (
            "anthropic",
            None,
            json!({"type": "message", "stop_reason": "end_turn", "usage": usage,
            "content": [{"type": "text", "text": "4"}]}),
        ),
    ];
    for (kind, api, body) in table {
        let service = Service::respond(document(&body));
        let (events, outcome) = ask(&*provider(&with_api(&service, kind, api))).await;
        let finished = outcome.unwrap();
        assert_eq!((finished.text.as_str(), text(&events).as_str()), ("4", "4"));
        let usage = finished.usage.unwrap();
        assert_eq!((usage.input, usage.output), (5, 1));
    }
}

#[tokio::test]
async fn an_answer_at_the_token_limit_is_marked() {
    let table = [
        (
            "openai",
            "data: {\"choices\":[{\"delta\":{\"content\":\"one two\"},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]",
        ),
        (
            "anthropic",
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"one two\"}}\n\n\
            data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
    ];
    for (kind, events) in table {
        let service = Service::play(vec![streamed(events.to_owned(), 50)]);
        let finished = ask(&*service.provider(kind)).await.1.unwrap();
        assert!(finished.truncated);
        assert!(
            finished.text.starts_with("one two\n[answer cut here"),
            "{}",
            finished.text
        );
    }
}

#[tokio::test]
async fn a_loading_model_is_waited_for_with_one_warning() {
    let loading = r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#;
    let loading =
        || crate::http::service::responding(status("503 Service Unavailable", "", loading));
    let service = Service::play(vec![loading(), loading(), streamed(chat("\n"), 100)]);
    let (events, outcome) = ask(&*service.provider("openai")).await;
    assert_eq!(outcome.unwrap().text, "vier, größe 🦀");
    let reported = |it: &&RunEvent| matches!(it, RunEvent::Warning { message } if message.contains("loads its model"));
    assert_eq!(events.iter().filter(reported).count(), 1);
    assert_eq!(service.unread_requests(), 3);
}

#[tokio::test]
async fn a_probe_checks_whether_a_run_could_start() {
    let service = Service::respond(document(&json!({"data": []})));
    let probe = service.provider("openai").probe().await;
    assert!(probe.found, "{probe:?}");
    assert_eq!(service.request().line, "GET /v1/models HTTP/1.1");

    let echo = r#"{"error":{"message":"wrong key kirosu-providers"}}"#;
    let service = Service::respond(status("401 Unauthorized", "", echo));
    let problem = service.provider("anthropic").probe().await.problem.unwrap();
    assert!(problem.contains("CARGO_PKG_NAME"), "{problem}");
    assert!(!problem.contains("kirosu-providers"), "{problem}");

    let nowhere = ProviderOptions {
        kind: "openai".to_owned(),
        preset: Some("ollama".to_owned()),
        http: HttpServiceOptions {
            base_url: Some("http://127.0.0.1:1/v1".to_owned()),
            ..HttpServiceOptions::default()
        },
        ..ProviderOptions::default()
    };
    let problem = provider(&nowhere).probe().await.problem.unwrap();
    assert!(
        problem.contains("cannot reach http://127.0.0.1:1/v1/chat"),
        "{problem}"
    );
    assert!(problem.contains("ollama serve"), "{problem}");
}
