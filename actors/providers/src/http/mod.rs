//! Model APIs over HTTP: kinds `openai` and `anthropic`.
//!
//! # Theory of operation
//!
//! A job is one request and one streamed answer; nothing is kept between jobs. `dialect` has three APIs: OpenAI's chat
//! completions, which most services have, OpenAI's responses, and Anthropic's messages. The events of each become the same
//! calls of a [`reply::ReplyBuilder`]: text, thoughts, figures, a stop reason. All of that works without I/O, as do the
//! parser of server-sent events (`sse`), the classification of errors (`refusal`) and the time of the next attempt
//! (`reset`). `call` sends the request and reads the response.
//!
//! - A run succeeds only when the model stated that it was done. A stream that merely ends was cut off.
//! - Cancel and timeout drop the request, which closes its connection: services then stop.
//! - A service that is loading its model is not ready: the request is repeated within the start timeout.
//! - Memory is bounded: an event by 16 MiB, the answer by the job's limit, an error text by 2 KiB. A stream waits for its
//!   reader.
//! - The key is read for each run, sent, and removed from every error text of the service.
//!
//! The model has no tools here. A task that changes files needs an agent, which has another kind of provider.

mod call;
mod client;
mod conclude;
mod dialect;
mod key;
mod options;
mod presets;
mod refusal;
mod reply;
mod reset;
mod sse;

use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use options::HttpServiceOptions;
pub use presets::services;
#[cfg(any(test, fuzzing))]
pub use sse::fuzz_sse;

use crate::cancel::Cancel;
use crate::event::EventSink;
use crate::invocation::RunClock;
use crate::job::Job;
use crate::options::{BuildError, ProviderOptions};
use crate::outcome::{FailureKind, RunFailure, RunResult};
use crate::provider::{ProbeReport, Provider};
use call::{CallEnd, HttpCall};
use client::LazyClient;
use options::Service;
use reply::ReplyBuilder;

/// A service that does not list its models in this time is unreachable.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// A client for requests to this address or others of its kind: it follows no redirects, keeps no connections, and verifies
/// certificates with the roots of the system.
///
/// # Errors
/// The roots cannot be read, or the machine lacks a resource: a sentence for a person.
pub fn http_client(url: &reqwest::Url) -> Result<reqwest::Client, String> {
    let client = LazyClient::default();
    client.get(url).cloned().map_err(|no| no.why)
}

/// The innermost cause of a failed request.
pub fn http_reason(error: &reqwest::Error) -> String {
    client::reason(error)
}

/// Reads a secret from a variable of this process, else from a file that contains only the secret. `Ok(None)`: neither is
/// named.
///
/// # Errors
/// It is not there, or is not one line: a sentence for a person, without the secret.
pub async fn read_secret(env: Option<&str>, file: Option<&Path>) -> Result<Option<String>, String> {
    let source = match (env, file) {
        (Some(name), _) => key::KeySource::Env(name.to_owned()),
        (None, Some(path)) => key::KeySource::File(path.to_owned()),
        (None, None) => key::KeySource::None,
    };
    let key = source.read().await.map_err(|no| no.why)?;
    Ok(key.map(|key| key.expose().to_owned()))
}

/// The reason for which a service cannot be called.
struct Unready {
    class: FailureKind,
    /// A sentence for a person that includes the advice.
    why: String,
}

/// A provider that calls one service.
pub(crate) struct HttpProvider {
    name: String,
    service: Service,
    client: LazyClient,
}

impl HttpProvider {
    pub(crate) fn new(options: &ProviderOptions) -> Result<Self, BuildError> {
        let preset = options.preset.as_deref();
        let service = options.http.settle(&options.kind, preset);
        Ok(Self {
            name: options.name.clone(),
            service: service.map_err(|faults| options.refused(faults))?,
            client: LazyClient::default(),
        })
    }

    async fn call(&self, job: Job, events: EventSink, mut cancel: Cancel) -> RunResult {
        let clock = RunClock::start(job.timeouts);
        let refused = |class, why: String| {
            let message = format!("provider '{}': {why}", self.name);
            RunFailure::new(class, message)
        };
        if self.service.needs_model && job.model.is_none() {
            let why = "it needs the name of a model; set model on the pool or the provider, or name one with the task";
            return Err(refused(FailureKind::Missing, why.to_owned()));
        }
        let key = self.service.key.read().await;
        let key = key.map_err(|no| refused(no.class, no.why))?;
        let client = self.client.get(&self.service.url);
        let client = client.map_err(|no| refused(no.class, no.why))?;
        let call = HttpCall {
            client,
            service: &self.service,
            key: key.as_ref(),
            events: &events,
            clock: &clock,
        };
        let mut reply = ReplyBuilder::new(job.max_output_bytes);
        let run = call.run(&job, &mut reply);
        let ending = tokio::select! {
            biased;
            () = cancel.cancelled() => CallEnd::Cancelled,
            which = clock.expired() => CallEnd::Timeout(which),
            ending = run => ending,
        };
        let secrets = self.service.secrets.with(key.as_ref());
        let gathered = reply.finish();
        conclude::conclude(
            &self.name,
            &self.service,
            &secrets,
            job.model_is_tasks,
            ending,
            gathered,
        )
    }

    /// Checks whether a run could start.
    ///
    /// # Errors
    /// When it could not: a sentence for a person.
    async fn check(&self) -> Result<(), String> {
        let key = self.service.key.read().await.map_err(|no| no.why)?;
        let client = self.client.get(&self.service.models);
        let client = client.map_err(|no| no.why)?;
        let request = client.get(self.service.models.clone());
        let request = call::authorised(request, &self.service, key.as_ref());
        let shown = self.service.shown();
        let start = match self.service.start {
            "" => String::new(),
            start => format!(", start it ({start})"),
        };
        let hint = format!("check base_url{start}");
        let response = match request.timeout(PROBE_LIMIT).send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => {
                return Err(format!(
                    "{shown} did not answer within {PROBE_LIMIT:?}; {hint}"
                ));
            }
            Err(error) => {
                let reason = client::reason(&error);
                return Err(format!("cannot reach {shown}: {reason}; {hint}"));
            }
        };
        let status = response.status();
        // A service that does not list its models, or is busy, may still answer.
        if status.is_success() || matches!(status.as_u16(), 404 | 405 | 429 | 501 | 529) {
            return Ok(());
        }
        let refusal = tokio::time::timeout(PROBE_LIMIT, call::refusal(response)).await;
        let refusal = refusal.unwrap_or_default();
        if refusal.is_loading() {
            return Err(format!("{shown} loads its model; wait until it is ready"));
        }
        let class = refusal.class(false);
        let advice = refusal.advice(class, &self.service.key.place());
        let text = format!("{shown} answers {status}: {}{advice}", refusal.message);
        Err(self.service.secrets.with(key.as_ref()).redact(&text))
    }
}

impl Provider for HttpProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        Box::pin(async move {
            let problem = self.check().await.err();
            ProbeReport {
                found: problem.is_none(),
                version: None,
                command: format!("POST {}", self.service.shown()),
                problem,
            }
        })
    }

    fn run(&self, job: Job, events: EventSink, cancel: Cancel) -> BoxFuture<'_, RunResult> {
        Box::pin(self.call(job, events, cancel))
    }
}
