//! Server-sent events: `GET /v1/events` and the output of a task.
//!
//! All clients with the same key share one subscription to the hub ([`feed`]) and its newest events ([`ring`]), of which each
//! reads at its own position ([`stream`]). So a slow client delays neither the hub nor the others: it misses events, and learns so.

mod coalesce;
mod feed;
mod item;
mod output;
mod ring;
mod stream;

pub(crate) use feed::EventFeeds;
pub(super) use output::serve as serve_output;

use super::call::V1Result;
use crate::rest::HttpError;
use crate::state::ClientState;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, stream as streams};
use item::{GapReason, StreamPosition, write_alive};
use kirosu_protocol::{Error, Params, Verb, WatchParams};
use std::convert::Infallible;
use std::time::Duration;
use stream::{SseClientStream, StreamFilter, write_gap};
use tokio::time::Instant;

/// The header with which a client goes on after a loss of the connection.
const LAST_EVENT_ID: &str = "last-event-id";
/// The range of `coalesce` in milliseconds.
const COALESCE_MS: std::ops::RangeInclusive<i64> = 50..=5000;

/// The parameters of the stream.
struct EventsParams {
    filter: StreamFilter,
    since: Option<StreamPosition>,
    coalesce: Option<Duration>,
}

impl EventsParams {
    fn read(
        request: &HttpRequest,
        text: &str,
        state: &ClientState,
    ) -> Result<EventsParams, HttpError> {
        let params = Params::parse(text)?;
        let since = match last_event_id(request)? {
            Some(id) => Some(id),
            None => params.opt_text("since")?.filter(|text| !text.is_empty()),
        };
        let since = since.map(|text| {
            StreamPosition::parse(&text).ok_or_else(|| {
                Error::invalid_params(
                    "invalid params: `since` and the header Last-Event-ID must be the id of an event, as BOOT_ID:SEQ",
                )
            })
        });
        let coalesce = params.opt_positive("coalesce", COALESCE_MS)?;
        // The protocol's reader takes `since` as a number, which is not given here.
        let watch = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
            .map(|mut fields| {
                fields.remove("since");
                serde_json::Value::Object(fields).to_string()
            })
            .unwrap_or_default();
        let watch = WatchParams::read(&Params::parse(&watch)?, &state.hub.limits())?;
        Ok(EventsParams {
            filter: StreamFilter {
                task_id: watch.task_id,
                kinds: watch.kinds,
            },
            since: since.transpose()?,
            coalesce: coalesce.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        })
    }
}

/// The value of the header `Last-Event-ID`.
fn last_event_id(request: &HttpRequest) -> Result<Option<String>, HttpError> {
    let id = request.headers().get(LAST_EVENT_ID);
    let id = id.map(|id| {
        id.to_str().map(str::to_owned).map_err(|_| {
            Error::invalid_params("the header Last-Event-ID must be visible ASCII characters")
        })
    });
    Ok(id.transpose()?.filter(|id| !id.is_empty()))
}

/// `GET /v1/events`
pub(super) async fn serve(request: &HttpRequest, text: &str, state: ClientState) -> V1Result {
    let params = EventsParams::read(request, text, &state)?;
    let slot = state.feeds.enter()?;
    let key = state.key.clone();
    let feed = state
        .feeds
        .find(key, &state.hub, params.since.as_ref())
        .await?;
    let (at, first) = {
        let ring = feed.lock();
        let mut first = BytesMut::new();
        let newest = ring.newest();
        let at = match params.since.as_ref() {
            None => {
                write_alive(&mut first, Some(&newest));
                ring.end()
            }
            Some(since) => ring.find(since).unwrap_or_else(|| {
                let reason = match since.boot_id == newest.boot_id {
                    true => GapReason::Expired,
                    false => GapReason::Restarted,
                };
                write_gap(&mut first, reason, Some(&newest));
                ring.end()
            }),
        };
        if first.is_empty() {
            write_alive(&mut first, None);
        }
        (at, first.freeze())
    };
    let stream = SseClientStream {
        feed: feed.enter(),
        at,
        filter: params.filter,
        coalesce: params.coalesce,
        first: Some(first),
        last: Instant::now(),
        _slot: slot,
        stop: state.stop_token(),
    };
    Ok(response(streams::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok(bytes), stream))
    })))
}

/// A response with server-sent events.
fn response(events: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies such as nginx would collect the events otherwise.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events)
}
