//! `echo`: answers with the prompt. For first steps, load tests, and tests of the rest of Kirosu.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::cancel::Cancel;
use crate::event::{EventSink, RunEvent};
use crate::job::Job;
use crate::options::ProviderOptions;
use crate::outcome::{FailureKind, Finished, RunFailure, RunResult, TimeoutKind};
use crate::provider::{ProbeReport, Provider};
use crate::text::{cut, pieces};

/// Bytes of a streamed piece, about a line of text.
const PIECE: usize = 64;
/// Bytes of a piece of a long answer, at most, which keeps the number of events small.
const MAX_PIECE: usize = 16 * 1024;

/// Answers with the prompt, after a delay.
pub(crate) struct EchoProvider {
    name: String,
    delay: Duration,
}

impl EchoProvider {
    pub(crate) fn new(options: &ProviderOptions) -> Self {
        Self {
            name: options.name.clone(),
            delay: options.delay,
        }
    }
}

impl Provider for EchoProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn probe(&self) -> BoxFuture<'_, ProbeReport> {
        Box::pin(std::future::ready(ProbeReport {
            found: true,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            command: "(built in)".to_owned(),
            problem: None,
        }))
    }

    fn run(&self, job: Job, events: EventSink, mut cancel: Cancel) -> BoxFuture<'_, RunResult> {
        let delay = self.delay;
        Box::pin(async move {
            // The silence limit counts from the start here, so the shortest limit applies.
            let limits = [
                (job.timeouts.start, TimeoutKind::Start),
                (job.timeouts.silence, TimeoutKind::Silence),
                (job.timeouts.total, TimeoutKind::Total),
            ];
            let first = limits
                .into_iter()
                .filter_map(|(limit, which)| limit.map(|limit| (limit, which)))
                .min_by_key(|(limit, _)| *limit);
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    Err(RunFailure::new(FailureKind::Cancelled, "the run was cancelled"))
                }
                which = expiry(first) => {
                    let message = format!("echo gave no answer within its time limit ({which:?})");
                    Err(RunFailure::new(FailureKind::Timeout { which }, message))
                }
                finished = answer(job, delay, &events) => Ok(finished),
            }
        })
    }
}

async fn expiry(limit: Option<(Duration, TimeoutKind)>) -> TimeoutKind {
    match limit {
        Some((limit, which)) => {
            tokio::time::sleep(limit).await;
            which
        }
        None => std::future::pending().await,
    }
}

async fn answer(job: Job, delay: Duration, events: &EventSink) -> Finished {
    events
        .send(RunEvent::Started {
            pid: None,
            session: None,
            model: job.model,
        })
        .await;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let mut text = job.prompt;
    let truncated = text.len() > job.max_output_bytes;
    if truncated {
        cut(&mut text, job.max_output_bytes);
    }
    // A short text comes in a few pieces, a long one in large pieces.
    let size = (text.len() / 16).clamp(PIECE, MAX_PIECE);
    for piece in pieces(&text, size) {
        events
            .send(RunEvent::Text {
                text: piece.to_owned(),
            })
            .await;
    }
    Finished {
        text,
        usage: None,
        truncated,
        conversation: None,
        doubt: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(delay: Duration) -> EchoProvider {
        EchoProvider {
            name: "echo".to_owned(),
            delay,
        }
    }

    #[tokio::test]
    async fn streams_the_prompt_and_answers_with_it() {
        let prompt = "wörter über wörter ".repeat(40);
        let (sink, mut stream) = EventSink::channel(64);
        let job = Job::new(prompt.clone(), "/");
        let finished = echo(Duration::ZERO)
            .run(job, sink, Cancel::never())
            .await
            .unwrap();
        let mut streamed = String::new();
        let mut count = 0;
        while let Some(event) = stream.recv().await {
            if let RunEvent::Text { text } = event {
                streamed.push_str(&text);
                count += 1;
            }
        }
        assert!(count > 1);
        assert_eq!((&streamed, &finished.text), (&prompt, &prompt));
    }

    #[tokio::test(start_paused = true)]
    async fn obeys_cancel_and_time_limits_while_it_waits() {
        let slow = echo(Duration::from_secs(3600));
        let mut job = Job::new("x", "/");
        let (handle, cancel) = Cancel::pair();
        handle.cancel();
        let failure = slow
            .run(job.clone(), EventSink::discard(), cancel)
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Cancelled);
        job.timeouts.total = Some(Duration::from_secs(5));
        let failure = slow
            .run(job, EventSink::discard(), Cancel::never())
            .await
            .unwrap_err();
        let which = TimeoutKind::Total;
        assert_eq!(failure.kind, FailureKind::Timeout { which });
    }
}
