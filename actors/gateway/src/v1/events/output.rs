//! `GET /v1/tasks/{task_id}/output`: the output of a task's newest attempt, and what follows.

use super::feed::FeedClient;
use super::item::{ItemName, SseItem, write_alive, write_frame};
use super::{last_event_id, response};
use crate::link::{HubError, HubLink, RequestSlot};
use crate::rest::HttpError;
use crate::state::ClientState;
use crate::v1::call::V1Result;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream as streams;
use kirosu_protocol::{Error, Fence, GetAnswer, GetParams, Limits, Params, Status, TaskId, Verb};
use kirosu_supervision::StopToken;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Longest time without a byte.
const ALIVE: Duration = Duration::from_secs(15);
/// Most bytes of events in one read.
const READ_BYTES: usize = 256 << 10;

/// The output that a client has: all of an attempt up to a number of bytes. Written as `FENCE:CHUNK:BYTES`, at the end of the task
/// with `:end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TaskOutputPosition {
    fence: Fence,
    /// The number of the next chunk.
    next_chunk: u64,
    bytes: usize,
    has_ended: bool,
}

impl TaskOutputPosition {
    fn parse(text: &str) -> Option<TaskOutputPosition> {
        let (text, has_ended) = match text.strip_suffix(":end") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let mut parts = text.split(':');
        let mut number = || parts.next()?.parse::<i64>().ok().filter(|n| *n >= 0);
        let (fence, chunk, bytes) = (number()?, number()?, number()?);
        Some(TaskOutputPosition {
            fence,
            next_chunk: chunk.unsigned_abs() + 1,
            bytes: usize::try_from(bytes).ok()?,
            has_ended,
        })
    }

    /// The number of the last chunk.
    fn chunk(&self) -> u64 {
        self.next_chunk.saturating_sub(1)
    }
}

impl std::fmt::Display for TaskOutputPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.fence, self.chunk(), self.bytes)?;
        match self.has_ended {
            true => f.write_str(":end"),
            false => Ok(()),
        }
    }
}

/// The stored output of a task's newest attempt.
struct TaskOutputText {
    status: Status,
    fence: Fence,
    text: String,
    /// Whether the beginning may be missing.
    is_cut: bool,
    next_chunk: u64,
}

async fn stored(hub: &HubLink, task_id: TaskId) -> Result<TaskOutputText, HubError> {
    let answer: GetAnswer = hub
        .request(GetParams {
            task_id,
            output: true,
            attempt: None,
        })
        .await?;
    let output = answer.output.and_then(|mut all| all.pop());
    let output = output.unwrap_or_default();
    Ok(TaskOutputText {
        status: answer.task.status,
        fence: match output.fence {
            0 => answer.task.fence,
            fence => fence,
        },
        text: output.text,
        is_cut: output.cut,
        next_chunk: output.next_chunk.unwrap_or(0),
    })
}

/// The parameters of the stream.
struct TaskOutputParams {
    task_id: TaskId,
    follow: bool,
    after: Option<u64>,
    resume: Option<TaskOutputPosition>,
}

impl TaskOutputParams {
    fn read(
        request: &HttpRequest,
        text: &str,
        limits: &Limits,
    ) -> Result<TaskOutputParams, HttpError> {
        let params = Params::parse(text)?;
        let resume = last_event_id(request)?.map(|id| {
            TaskOutputPosition::parse(&id).ok_or_else(|| {
                Error::invalid_params(
                    "the header Last-Event-ID must be the id of an event of this stream",
                )
            })
        });
        Ok(TaskOutputParams {
            task_id: GetParams::read(&params, limits)?.task_id,
            follow: params.flag("follow", false)?,
            after: params
                .opt_int("after", 0..=i64::MAX)?
                .map(i64::unsigned_abs),
            resume: resume.transpose()?,
        })
    }
}

/// Answers the request.
pub(in crate::v1) async fn serve(
    request: &HttpRequest,
    text: &str,
    state: ClientState,
) -> V1Result {
    let params = TaskOutputParams::read(request, text, &state.hub.limits())?;
    let slot = state.feeds.enter()?;
    // Before the stored output is read, so that nothing is missed in between.
    let (feed, at) = match params.follow {
        false => (None, 0),
        true => {
            let feed = state
                .feeds
                .find(state.key.clone(), &state.hub, None)
                .await?;
            let at = feed.lock().end();
            (Some(feed.enter()), at)
        }
    };
    let first = stored(&state.hub, params.task_id).await?;
    let has_all = params.resume.is_some_and(|resume| {
        resume.has_ended && first.status.is_final() && resume.fence == first.fence
    });
    if has_all {
        // Tells a browser not to connect again.
        return Ok(HttpResponse::NoContent().finish());
    }
    let mut stream = OutputStream {
        hub: state.hub.clone(),
        task_id: params.task_id,
        feed,
        at,
        position: params.resume.unwrap_or_default(),
        out: BytesMut::new(),
        is_over: false,
        last: Instant::now(),
        _slot: slot,
        stop: state.stop_token(),
    };
    let after = params.after.filter(|_| params.resume.is_none());
    stream.begin(first, after);
    Ok(response(streams::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok(bytes), stream))
    })))
}

struct OutputStream {
    hub: HubLink,
    task_id: TaskId,
    /// `None`: the stored output only.
    feed: Option<FeedClient>,
    at: u64,
    position: TaskOutputPosition,
    /// Frames that are not sent yet.
    out: BytesMut,
    is_over: bool,
    last: Instant,
    _slot: RequestSlot,
    stop: StopToken,
}

impl OutputStream {
    /// Writes the stored output that the client does not have. `after` is the last chunk that it has.
    fn begin(&mut self, stored: TaskOutputText, after: Option<u64>) {
        match after {
            Some(after) if after.saturating_add(1) >= stored.next_chunk => {
                self.position = TaskOutputPosition {
                    fence: stored.fence,
                    next_chunk: stored.next_chunk,
                    bytes: stored.text.len(),
                    has_ended: false,
                };
            }
            // The stored text does not say where a chunk ends: all again.
            Some(_) => write_frame(&mut self.out, None, "gap", r#"{"reason":"expired"}"#),
            None => {}
        }
        self.write_stored(&stored);
        if self.out.is_empty() {
            write_alive(&mut self.out, None);
        }
    }

    fn write_stored(&mut self, stored: &TaskOutputText) {
        let has = self.position;
        let is_same = has.fence == stored.fence && !stored.is_cut;
        let new = match is_same {
            true => stored.text.get(has.bytes..),
            false => None,
        };
        self.position = TaskOutputPosition {
            fence: stored.fence,
            next_chunk: stored.next_chunk,
            bytes: stored.text.len(),
            has_ended: false,
        };
        let has_shown = has.bytes > 0 && has.fence == stored.fence;
        let has_all = has_shown && has.next_chunk == stored.next_chunk;
        match new {
            _ if has_all => {}
            Some(new) => self.write_text(new),
            None => {
                if has_shown {
                    // The place at which the client stopped is not known: all again.
                    write_frame(&mut self.out, None, "gap", r#"{"reason":"expired"}"#);
                }
                self.write_text(&stored.text);
            }
        }
        if stored.status.is_final() {
            self.position.has_ended = true;
            let data = json!({"status": stored.status, "fence": stored.fence});
            write_frame(
                &mut self.out,
                Some(&self.position),
                "end",
                &data.to_string(),
            );
            self.is_over = true;
        }
    }

    fn write_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let chunk = self.position.chunk();
        let data = json!({"fence": self.position.fence, "chunk": chunk, "text": text});
        write_frame(
            &mut self.out,
            Some(&self.position),
            "output",
            &data.to_string(),
        );
    }

    /// The next bytes. `None` at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        let stop = self.stop.clone();
        let more = async {
            while self.out.is_empty() {
                if self.is_over || !self.follow().await {
                    return None;
                }
            }
            self.last = Instant::now();
            Some(self.out.split().freeze())
        };
        tokio::select! {
            () = stop.requested() => None,
            bytes = more => bytes,
        }
    }

    /// Waits for events, and writes their frames. `false` if there will be none.
    async fn follow(&mut self) -> bool {
        let Some(feed) = &self.feed else {
            return false;
        };
        tokio::select! {
            has_grown = feed.grown(self.at) => {
                if !has_grown {
                    return false;
                }
            }
            () = sleep_until(self.last + ALIVE) => {
                write_alive(&mut self.out, None);
                return true;
            }
        }
        let task_id = self.task_id;
        let takes = |item: &SseItem| {
            item.task_id == Some(task_id) && matches!(&*item.kind, "output" | "task")
                || matches!(item.name, ItemName::Gap(_))
        };
        let (read, _) = feed.read(self.at, READ_BYTES, takes);
        self.at = read.at;
        let mut again = read.missed;
        for item in &read.items {
            again |= !self.take(item);
        }
        match again {
            true => self.read_again().await,
            false => true,
        }
    }

    /// Takes an event. `false` if the stored output must be read again.
    fn take(&mut self, item: &Arc<SseItem>) -> bool {
        let is_event = item.name == ItemName::Event;
        let Some(event) = serde_json::from_str::<Value>(&item.data)
            .ok()
            .filter(|_| is_event)
        else {
            return item.name == ItemName::Approval;
        };
        if &*item.kind == "task" {
            let status = event["status"].as_str().and_then(Status::from_name);
            return !status.is_some_and(Status::is_final);
        }
        let (fence, chunk) = (event["fence"].as_i64(), event["chunk"].as_u64());
        let (Some(fence), Some(chunk), Some(text)) = (fence, chunk, event["text"].as_str()) else {
            return true;
        };
        let has = self.position;
        if fence < has.fence || fence == has.fence && chunk < has.next_chunk {
            return true;
        }
        if fence > has.fence {
            self.position = TaskOutputPosition {
                fence,
                ..TaskOutputPosition::default()
            };
        }
        if chunk != self.position.next_chunk {
            return false;
        }
        self.position.next_chunk = chunk + 1;
        self.position.bytes += text.len();
        self.write_text(text);
        true
    }

    async fn read_again(&mut self) -> bool {
        match stored(&self.hub, self.task_id).await {
            Ok(stored) => {
                self.write_stored(&stored);
                true
            }
            // The client connects again, with its position.
            Err(error) => {
                tracing::debug!(task_id = self.task_id, %error, "a stream of output has ended");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_written_and_read() {
        for text in ["3:0:17", "3:12:170:end"] {
            assert_eq!(TaskOutputPosition::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "3", "3:1", "3:1:x", "-3:1:1", "3:1:1:"] {
            let read = TaskOutputPosition::parse(bad);
            assert!(read.is_none() || bad == "3:1:1:", "{bad}");
        }
    }
}
