//! One request to a service, from the connection to the end of the answer.

use std::time::{Duration, SystemTime};

use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, sleep};

use super::client::reason;
use super::dialect::Dialect;
use super::key::ApiKey;
use super::options::Service;
use super::refusal::ServiceRefusal;
use super::reply::ReplyBuilder;
use super::reset::reset;
use super::sse::{EVENT_BYTES, SseParser};
use crate::event::{EventSink, RunEvent};
use crate::invocation::RunClock;
use crate::job::Job;
use crate::outcome::TimeoutKind;
use crate::shortage;

/// Time between two requests to a service that is loading its model.
const LOADING_PAUSE: Duration = Duration::from_millis(500);
/// Time for loading a model, where the job has no start timeout.
const LOADING_LIMIT: Duration = Duration::from_secs(600);
/// Bytes of an error's body that are read.
const ERROR_BYTES: usize = 64 * 1024;

/// The end of a call.
#[derive(Debug)]
pub(super) enum CallEnd {
    /// The answer came to its end.
    Eof,
    /// No connection was made: the service has seen nothing of the job.
    NotConnected(String),
    /// The machine lacked a descriptor or memory for a connection.
    Short(String),
    /// The connection broke before an answer came.
    Unreachable(String),
    /// The connection broke in the middle of the answer.
    Broken(String),
    /// The service refused.
    Refused(ServiceRefusal),
    /// The response was not an answer. The sentence continues "the service ...".
    Nonsense(String),
    Cancelled,
    Timeout(TimeoutKind),
}

/// The parts of a call.
pub(super) struct HttpCall<'a> {
    pub(super) client: &'a Client,
    pub(super) service: &'a Service,
    pub(super) key: Option<&'a ApiKey>,
    pub(super) events: &'a EventSink,
    pub(super) clock: &'a RunClock,
}

impl HttpCall<'_> {
    /// Sends the request and reads the answer into `reply`. Dropping the future closes the connection.
    pub(super) async fn run(&self, job: &Job, reply: &mut ReplyBuilder) -> CallEnd {
        let body = self.service.dialect.request(self.service, job).to_string();
        match self.send_until_ready(job, &body).await {
            Ok(response) => {
                self.clock.touch();
                self.read(response, reply).await
            }
            Err(ending) => ending,
        }
    }

    /// Repeats the request until the service is ready.
    async fn send_until_ready(&self, job: &Job, body: &str) -> Result<Response, CallEnd> {
        let begin = Instant::now();
        let (mut has_warned, mut has_started) = (false, false);
        loop {
            let sent = self.send(body).await.map_err(|error| not_sent(&error));
            if !std::mem::replace(&mut has_started, true)
                && !matches!(sent, Err(CallEnd::NotConnected(_) | CallEnd::Short(_)))
            {
                self.report_start(job).await;
            }
            let response = sent?;
            if response.status().is_success() {
                return Ok(response);
            }
            let refusal = refusal(response).await;
            if !refusal.is_loading() || begin.elapsed() > LOADING_LIMIT {
                return Err(CallEnd::Refused(refusal));
            }
            if !std::mem::replace(&mut has_warned, true) {
                let message = "the service loads its model; waiting for it".to_owned();
                self.events.send(RunEvent::Warning { message }).await;
            }
            sleep(LOADING_PAUSE).await;
        }
    }

    /// Reports the start: the service has the job.
    async fn report_start(&self, job: &Job) {
        let started = RunEvent::Started {
            pid: None,
            session: None,
            model: job.model.clone(),
        };
        self.events.send(started).await;
    }

    async fn send(&self, body: &str) -> reqwest::Result<Response> {
        let service = self.service;
        let request = self
            .client
            .post(service.url.clone())
            .header("content-type", "application/json")
            .header("accept", "text/event-stream, application/json");
        let request = authorised(request, service, self.key);
        request.body(body.to_owned()).send().await
    }

    async fn read(&self, response: Response, reply: &mut ReplyBuilder) -> CallEnd {
        let form = response.headers().get("content-type");
        let form = form.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let form = form.split(';').next().unwrap_or_default().trim().to_owned();
        match form.as_str() {
            "application/json" => self.whole(response, reply).await,
            "text/event-stream" | "" => self.stream(response, reply).await,
            _ => CallEnd::Nonsense(format!(
                "answered with {form} instead of events; check base_url"
            )),
        }
    }

    /// Reads a stream of events, which was requested.
    async fn stream(&self, mut response: Response, reply: &mut ReplyBuilder) -> CallEnd {
        let mut parser = SseParser::new(EVENT_BYTES);
        let dialect = self.service.dialect;
        loop {
            let (messages, is_end) = match response.chunk().await {
                Ok(Some(bytes)) => {
                    self.clock.touch();
                    match parser.push(&bytes) {
                        Ok(messages) => (messages, false),
                        Err(_) => {
                            return CallEnd::Nonsense(format!(
                                "sent an event of more than {EVENT_BYTES} bytes"
                            ));
                        }
                    }
                }
                Ok(None) => (parser.end().into_iter().collect(), true),
                Err(error) => return CallEnd::Broken(reason(&error)),
            };
            for message in messages {
                dialect.take(&message, reply);
                self.send_events(reply).await;
                if reply.is_over() {
                    return CallEnd::Eof;
                }
            }
            if is_end {
                return CallEnd::Eof;
            }
        }
    }

    /// Reads a whole document: some services never stream.
    async fn whole(&self, response: Response, reply: &mut ReplyBuilder) -> CallEnd {
        let body = match gather(response, EVENT_BYTES, Some(self.clock)).await {
            Ok(body) => body,
            Err(error) => return CallEnd::Broken(reason(&error)),
        };
        let Ok(value) = serde_json::from_slice(&body) else {
            return CallEnd::Nonsense("answered with something that is not JSON".to_owned());
        };
        self.service.dialect.read(&value, reply);
        self.send_events(reply).await;
        CallEnd::Eof
    }

    async fn send_events(&self, reply: &mut ReplyBuilder) {
        for event in reply.take_events() {
            self.clock.excused(self.events.send(event)).await;
        }
    }
}

/// The end of a call whose request got no response.
fn not_sent(error: &reqwest::Error) -> CallEnd {
    let why = reason(error);
    if shortage::within(error) {
        CallEnd::Short(why)
    } else if error.is_connect() {
        CallEnd::NotConnected(why)
    } else {
        CallEnd::Unreachable(why)
    }
}

/// Adds the headers and the key.
pub(super) fn authorised(
    request: reqwest::RequestBuilder,
    service: &Service,
    key: Option<&ApiKey>,
) -> reqwest::RequestBuilder {
    let is_anthropic = service.dialect == Dialect::Messages;
    let mut request = request;
    if is_anthropic {
        request = request.header("anthropic-version", "2023-06-01");
    }
    request = match (key, &service.key_header) {
        (None, _) => request,
        (Some(key), Some(header)) => request.header(header, sensitive(key)),
        (Some(key), None) if is_anthropic => request.header("x-api-key", sensitive(key)),
        (Some(key), None) => request.bearer_auth(key.expose()),
    };
    // Configured headers replace the built-in ones.
    request.headers(service.headers.clone())
}

fn sensitive(key: &ApiKey) -> reqwest::header::HeaderValue {
    // A key consists of visible ASCII, so this never fails.
    let value = reqwest::header::HeaderValue::from_str(key.expose());
    let mut value = value.unwrap_or(reqwest::header::HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Reads the error in a response.
pub(super) async fn refusal(response: Response) -> ServiceRefusal {
    let status = response.status();
    let until = reset(response.headers(), SystemTime::now());
    let target = response.headers().get("location").cloned();
    let body = gather(response, ERROR_BYTES, None)
        .await
        .unwrap_or_default();
    let mut refusal = ServiceRefusal::of_body(status.as_u16(), &body);
    refusal.until = until;
    if let (true, Some(target)) = (status.is_redirection(), target) {
        // Without its query, which may contain secrets of the base URL.
        let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
        let target = target.split('?').next().unwrap_or_default();
        refusal.message = format!("it is elsewhere, at {target}; correct base_url");
    }
    if refusal.message.is_empty() {
        let word = StatusCode::canonical_reason(&status);
        refusal.message = word.unwrap_or("no reason given").to_owned();
    }
    refusal
}

/// The first `limit` bytes of a body.
async fn gather(
    mut response: Response,
    limit: usize,
    clock: Option<&RunClock>,
) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < limit
        && let Some(bytes) = response.chunk().await?
    {
        if let Some(clock) = clock {
            clock.touch();
        }
        let room = bytes.len().min(limit - body.len());
        body.extend_from_slice(&bytes[..room]);
    }
    Ok(body)
}
