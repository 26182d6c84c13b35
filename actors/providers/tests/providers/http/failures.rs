//! Error responses of services, and broken connections.

use std::time::SystemTime;

use kirosu_providers::{Cancel, FailureKind, Job, ProviderOptions, RunFailure};
use serde_json::json;

use crate::http::service::{Service, ask, begin, chunk, responding, run, status, streamed, text};

async fn failure(service: &Service, kind: &str) -> RunFailure {
    ask(&*service.provider(kind)).await.1.unwrap_err()
}

#[tokio::test]
async fn statuses_have_classes_and_advice() {
    let error = |message: &str| json!({"error": {"message": message}}).to_string();
    let table = [
        (
            "401 Unauthorized",
            error("no"),
            FailureKind::AuthRequired,
            "CARGO_PKG_NAME",
        ),
        (
            "402 Payment Required",
            error("empty"),
            FailureKind::AuthRequired,
            "add credit",
        ),
        (
            "400 Bad Request",
            error("bad"),
            FailureKind::BadInput,
            "answered 400: bad",
        ),
        (
            "404 Not Found",
            error("model 'x' not found"),
            FailureKind::Missing,
            "name a model",
        ),
        (
            "404 Not Found",
            "<html>".to_owned(),
            FailureKind::Missing,
            "check base_url",
        ),
        (
            "302 Found",
            String::new(),
            FailureKind::ProviderError,
            "http://elsewhere/",
        ),
        ("500 Oops", String::new(), FailureKind::ProviderError, "500"),
        ("502 Bad Gateway", error("up?"), FailureKind::Network, "up?"),
        ("503 Busy", error("full"), FailureKind::Network, "full"),
        (
            "429 Slow Down",
            error("slow"),
            FailureKind::RateLimited { until: None },
            "slow",
        ),
        (
            "529 Overloaded",
            error("full"),
            FailureKind::RateLimited { until: None },
            "full",
        ),
    ];
    for (line, body, class, words) in table {
        let service = Service::respond(status(line, "location: http://elsewhere/\r\n", &body));
        let failure = failure(&service, "openai").await;
        assert_eq!(failure.kind, class, "{line}");
        assert!(failure.message.contains(words), "{}", failure.message);
        assert!(
            failure
                .message
                .starts_with("provider 'api' at http://127.0.0.1:"),
            "{}",
            failure.message
        );
    }
}

#[tokio::test]
async fn the_time_before_which_asking_is_useless_is_kept() {
    for (line, header) in [
        ("429 Slow Down", "retry-after: 60"),
        ("529 Overloaded", "retry-after-ms: 60000"),
        ("503 Busy", "retry-after: 60"),
        ("429 Slow Down", "x-ratelimit-reset-requests: 1m0s"),
    ] {
        let service = Service::respond(status(line, &format!("{header}\r\n"), "{}"));
        let FailureKind::RateLimited { until: Some(until) } =
            failure(&service, "anthropic").await.kind
        else {
            panic!("{line} {header}");
        };
        let wait = until.duration_since(SystemTime::now()).unwrap();
        assert!((50..=60).contains(&wait.as_secs()), "{wait:?}");
    }
}

#[tokio::test]
async fn key_and_headers_are_hidden_in_error_texts() {
    let body = json!({"error": {"message": "Incorrect key kirosu-providers, or sk-proj****abcd, of org-secret-1"}});
    let service = Service::respond(status("401 Unauthorized", "", &body.to_string()));
    let mut options = service.options("openai");
    options.http.headers = vec![("x-org".to_owned(), "org-secret-1".to_owned())];
    assert!(!format!("{options:?}").contains("org-secret-1"));
    let failure = ask(&*crate::http::service::provider(&options))
        .await
        .1
        .unwrap_err();
    let message = failure.message;
    for secret in ["kirosu-providers", "abcd", "org-secret-1"] {
        assert!(!message.contains(secret), "{message}");
    }
    assert!(message.contains("Incorrect key [hidden]"), "{message}");
}

#[tokio::test]
async fn a_service_is_not_called_without_its_key() {
    let service = Service::play(vec![]);
    let mut options = service.options("openai");
    options.http.key_env = Some("KIROSU_NO_SUCH_KEY".to_owned());
    let provider = crate::http::service::provider(&options);
    let failure = ask(&*provider).await.1.unwrap_err();
    assert_eq!(failure.kind, FailureKind::AuthRequired);
    assert!(
        failure.message.contains("KIROSU_NO_SUCH_KEY is not set"),
        "{}",
        failure.message
    );
    let problem = provider.probe().await.problem.unwrap();
    assert!(
        problem.contains("KIROSU_NO_SUCH_KEY is not set"),
        "{problem}"
    );
    assert_eq!(service.unread_requests(), 0);
}

#[tokio::test]
async fn a_service_that_needs_a_model_is_not_called_without_one() {
    let service = Service::play(vec![]);
    let mut options = service.options("openai");
    options.preset = Some("ollama".to_owned());
    let provider = crate::http::service::provider(&options);
    let outcome = run(&*provider, Job::new("x", "/"), Cancel::never()).await.1;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Missing);
    assert!(
        failure.message.contains("needs the name of a model"),
        "{}",
        failure.message
    );
}

const PIECE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"half \"}}]}\n\n";

#[tokio::test]
async fn a_stream_that_is_cut_off_is_not_an_answer() {
    // The stream ends in order, without a stop reason.
    let service = Service::play(vec![streamed(PIECE.repeat(2), 10)]);
    let (events, outcome) = ask(&*service.provider("openai")).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProviderError);
    assert!(
        failure.message.contains("without saying that it was done"),
        "{}",
        failure.message
    );
    assert_eq!(
        (failure.output.as_str(), text(&events).as_str()),
        ("half half ", "half half ")
    );
    // The connection breaks in the middle of a chunk and of an event.
    let cut = |stream: &mut std::net::TcpStream| {
        begin(stream);
        chunk(stream, PIECE.as_bytes());
        chunk(stream, &PIECE.as_bytes()[..20]);
    };
    let service = Service::play(vec![Box::new(cut)]);
    let failure = self::failure(&service, "openai").await;
    assert_eq!(failure.kind, FailureKind::Network);
    assert_eq!(failure.output, "half ");
    // The connection breaks before the first byte.
    let service = Service::play(vec![responding(String::new())]);
    assert_eq!(
        self::failure(&service, "openai").await.kind,
        FailureKind::Network
    );
}

#[tokio::test]
async fn an_unreachable_service_is_a_network_failure() {
    let service = Service::play(vec![]);
    let provider = service.provider("openai");
    // Its thread ends at once, and the socket with it.
    let failure = ask(&*provider).await.1.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Network, "{}", failure.message);
}

#[tokio::test]
async fn errors_in_the_middle_and_ends_that_are_no_answers() {
    let choice = |delta: &str, finish: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{delta},\"finish_reason\":\"{finish}\"}}]}}\n\n")
    };
    let table = [
        ("openai", format!("{PIECE}data: {{\"error\":{{\"message\":\"gone\",\"code\":502}}}}\n\n"), FailureKind::Network, "gone"),
        ("openai", choice("{\"refusal\":\"I will not\"}", "stop"), FailureKind::RefusedByPolicy, "I will not"),
        ("openai", choice("{}", "content_filter"), FailureKind::RefusedByPolicy, "filter"),
        ("openai", choice("{\"tool_calls\":[{\"function\":{\"name\":\"rm\"}}]}", "tool_calls"), FailureKind::ProviderError, "the tool 'rm'"),
        ("openai", choice("{}", "novel"), FailureKind::ProviderError, "'novel'"),
        ("anthropic", "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n".to_owned(),
            FailureKind::RateLimited { until: None }, "Overloaded"),
    ];
    for (kind, events, class, words) in table {
        let service = Service::play(vec![streamed(events, 64)]);
        let failure = failure(&service, kind).await;
        assert_eq!(failure.kind, class, "{}", failure.message);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    let page = status("200 OK", "content-type: text/html\r\n", "<html>");
    let failure = failure(&Service::respond(page), "openai").await;
    assert!(failure.message.contains("text/html"), "{}", failure.message);
}

#[tokio::test]
async fn a_missing_model_that_the_task_named_is_the_tasks_fault() {
    let body = json!({"error": {"message": "model 'x' not found"}}).to_string();
    let service = Service::respond(status("404 Not Found", "", &body));
    let mut job = Job::new("x", "/");
    job.model = Some("x".to_owned());
    job.model_is_tasks = true;
    let outcome = run(&*service.provider("openai"), job, Cancel::never())
        .await
        .1;
    assert_eq!(outcome.unwrap_err().kind, FailureKind::BadInput);
}

#[test]
fn unusable_options_are_refused_with_all_faults() {
    let options = ProviderOptions {
        kind: "openai".to_owned(),
        preset: Some("olama".to_owned()),
        ..ProviderOptions::default()
    };
    let faults = options.faults().join("\n");
    assert!(
        faults.contains("preset: ") && faults.contains("ollama"),
        "{faults}"
    );
    assert!(faults.contains("base_url: "), "{faults}");
}
