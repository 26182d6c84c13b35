//! Streams of long answers, passed on in pieces as the hub writes them. Each takes about [`READ_BYTES`] of memory here,
//! whatever its length and however slowly the client reads.

use crate::link::{ANSWER_TIMEOUT, HubError};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt, stream};
use kirosu_protocol::answer::write_request;
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::{Error, Method, RawId};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// The beginning of an answer with a result, up to the result's opening brace.
const HEAD: &[u8] = b"{\"id\":0,\"result\":{";
/// The end of an answer with a result.
const TAIL: &[u8] = b",\"error\":null}\n";
/// Maximum length of an error answer.
const ERROR_BYTES: usize = 64 << 10;
/// Timeout for the beginning of the result. The hub may have to wait for memory before it reads large texts.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes per read.
const READ_BYTES: usize = 64 << 10;

#[serde_with::skip_serializing_none]
#[derive(Serialize)]
struct WithKey<'a, V> {
    #[serde(flatten)]
    ask: &'a V,
    auth_token: Option<&'a str>,
}

/// Sends a request to the hub and streams the JSON of the result.
///
/// # Errors
/// All cases of [`HubError`], before the result has begun. A later failure is an error of the stream.
pub(crate) async fn open<P: Serialize>(
    endpoint: &Endpoint,
    key: Option<&str>,
    method: Method,
    ask: &P,
) -> Result<impl Stream<Item = io::Result<Bytes>> + use<P>, HubError> {
    let method = method.name();
    let mut line = Vec::new();
    let params = WithKey {
        ask,
        auth_token: key,
    };
    write_request(&mut line, &RawId::number(0), method, &params).map_err(HubError::Refused)?;
    let asked = async {
        let unreachable = |error: io::Error| {
            HubError::Unreachable(format!("cannot reach the hub at {endpoint}: {error}"))
        };
        let mut hub = endpoint.open().await.map_err(unreachable)?;
        hub.write_all(&line).await.map_err(unreachable)?;
        let mut answer = StreamedAnswer {
            hub,
            read: BytesMut::new(),
            has_ended: false,
        };
        answer.begin(method).await?;
        Ok::<_, HubError>(answer)
    };
    let answer = match timeout(BEGIN_TIMEOUT, asked).await {
        Ok(answer) => answer?,
        Err(_) => {
            let message = format!(
                "the hub at {endpoint} did not answer `{method}` in {} s",
                BEGIN_TIMEOUT.as_secs()
            );
            return Err(HubError::TimedOut(message));
        }
    };
    Ok(stream::try_unfold(answer, |mut answer| async move {
        let piece = answer.next().await?;
        Ok(piece.map(|piece| (piece, answer)))
    }))
}

/// The answer to a `wait` for one task before and after the task.
const ONE_TASK: &[u8] = b"{\"tasks\":[";
const FINISHED: &[u8] = b"],\"finished\":";
/// Maximum length of the answer's end.
const END: usize = FINISHED.len() + b"false}".len();

/// Converts the stream of an answer to a `wait` for one task into an object with `task` and `finished`.
pub(crate) fn of_one_task(
    answer: impl Stream<Item = io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let begun = (Box::pin(answer), BytesMut::new(), false);
    stream::try_unfold(Some(begun), |state| async move {
        let Some((mut answer, mut held, mut begun)) = state else {
            return Ok(None);
        };
        while let Some(piece) = answer.try_next().await? {
            held.extend_from_slice(&piece);
            if !begun && held.len() >= ONE_TASK.len() {
                begun = true;
                if !held.starts_with(ONE_TASK) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let _ = held.split_to(ONE_TASK.len());
                return Ok(Some((
                    Bytes::from_static(b"{\"task\":"),
                    Some((answer, held, begun)),
                )));
            }
            if begun && held.len() > END {
                let ready = held.len() - END;
                let piece = held.split_to(ready).freeze();
                return Ok(Some((piece, Some((answer, held, begun)))));
            }
        }
        let end = held
            .windows(FINISHED.len())
            .rposition(|part| part == FINISHED);
        let end = end.ok_or(io::ErrorKind::InvalidData)?;
        // Without the closing bracket of the list.
        let rest = [&held[..end], &held[end + 1..]].concat();
        Ok(Some((Bytes::from(rest), None)))
    })
}

struct StreamedAnswer<S> {
    hub: S,
    read: BytesMut,
    has_ended: bool,
}

impl<S: AsyncRead + Unpin> StreamedAnswer<S> {
    async fn more(&mut self) -> io::Result<()> {
        self.read.reserve(READ_BYTES);
        match timeout(ANSWER_TIMEOUT, self.hub.read_buf(&mut self.read)).await {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read.map(drop),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Reads up to the result, without its opening brace, or reads an error answer. Has no timeout of its own: the caller
    /// limits it by [`BEGIN_TIMEOUT`].
    async fn begin(&mut self, method: &str) -> Result<(), HubError> {
        let broken = |error: io::Error| {
            HubError::Interrupted(format!(
                "the connection to the hub broke over `{method}`: {error}"
            ))
        };
        while self.read.len() < HEAD.len() {
            self.read.reserve(READ_BYTES);
            let read = self.hub.read_buf(&mut self.read).await.map_err(broken)?;
            if read == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        if self.read.starts_with(HEAD) {
            let _ = self.read.split_to(HEAD.len() - 1);
            return Ok(());
        }
        #[derive(Deserialize)]
        struct ErrorAnswer {
            error: Error,
        }
        while self.read.last() != Some(&b'\n') && self.read.len() < ERROR_BYTES {
            self.more().await.map_err(broken)?;
        }
        Err(match serde_json::from_slice(&self.read) {
            Ok(ErrorAnswer { error }) => HubError::Refused(error),
            Err(error) => HubError::Interrupted(format!(
                "the hub's answer to `{method}` is invalid: {error}"
            )),
        })
    }

    /// The next piece of the result; `None` after its end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.has_ended {
            return Ok(None);
        }
        loop {
            if self.read.ends_with(TAIL) {
                // JSON texts contain no bare line feed, so this is the end of the answer.
                self.has_ended = true;
                let left = self.read.len() - TAIL.len();
                return Ok(Some(self.read.split_to(left).freeze()));
            }
            // The last bytes may be the beginning of the end and stay in the buffer until more bytes arrive.
            let ready = self.read.len().saturating_sub(TAIL.len());
            if ready > 0 {
                return Ok(Some(self.read.split_to(ready).freeze()));
            }
            self.more().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    async fn pass(answer: &[u8], step: usize) -> Result<Vec<u8>, String> {
        let (mut theirs, hub) = duplex(step);
        let answer = answer.to_vec();
        let writing = tokio::spawn(async move {
            let _ = theirs.write_all(&answer).await;
        });
        let mut reading = StreamedAnswer {
            hub,
            read: BytesMut::new(),
            has_ended: false,
        };
        reading
            .begin("list")
            .await
            .map_err(|error| error.to_string())?;
        let mut result = Vec::new();
        while let Some(piece) = reading.next().await.map_err(|error| error.to_string())? {
            result.extend_from_slice(&piece);
        }
        drop(reading);
        let _ = writing.await;
        Ok(result)
    }

    #[tokio::test]
    async fn a_result_is_passed_on_without_what_is_around_it() {
        let result = r#"{"tasks":[{"prompt":",\"error\":null}"}],"stats":{}}"#;
        let answer = [&HEAD[..HEAD.len() - 1], result.as_bytes(), TAIL].concat();
        for step in [1, 7, 1000] {
            assert_eq!(pass(&answer, step).await.unwrap(), result.as_bytes());
        }
    }

    #[tokio::test]
    async fn the_answer_to_a_wait_for_one_task_becomes_that_task() {
        for (task, finished) in [
            (r#"{"prompt":"],\"finished\":true}"}"#, "false"),
            ("{}", "true"),
        ] {
            let whole = format!("{{\"tasks\":[{task}],\"finished\":{finished}}}");
            for step in [1, 5, 1000] {
                let pieces: Vec<io::Result<Bytes>> = whole
                    .as_bytes()
                    .chunks(step)
                    .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                    .collect();
                let passed: Vec<Bytes> = of_one_task(stream::iter(pieces))
                    .try_collect()
                    .await
                    .unwrap();
                let passed = passed.concat();
                let expected = format!("{{\"task\":{task},\"finished\":{finished}}}");
                assert_eq!(String::from_utf8(passed).unwrap(), expected, "{step}");
            }
        }
        let short = stream::iter([Ok(Bytes::from_static(b"{}"))]);
        assert!(of_one_task(short).try_collect::<Vec<_>>().await.is_err());
    }

    #[tokio::test]
    async fn an_error_is_returned_and_a_broken_answer_ends_with_an_error() {
        let refusal = br#"{"id":0,"result":null,"error":{"message":"no","code":-32602}}
"#;
        assert_eq!(pass(refusal, 5).await.unwrap_err(), "no");
        let half = [HEAD, b"\"tasks\":["].concat();
        assert!(pass(&half, 5).await.is_err());
    }
}
