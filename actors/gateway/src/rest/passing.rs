//! From a request to the hub and back: what all routes share.

use super::body::Body;
use super::refusal::Refusal;
use crate::http::Desk;
use crate::link::{AskError, Slot};
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use kirosu_protocol::{ErrorCode, Params, Verb};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io;

/// Bytes of an answer that is put together before it is passed on.
const SHORT_BYTES: usize = 64 << 10;

/// Asks the hub and passes its answer on as it is.
pub(super) async fn pass_on<V: Verb + Send + Sync + 'static>(
    desk: &Desk,
    ask: V,
) -> Result<HttpResponse, Refusal> {
    let answer: Box<RawValue> = desk.hub.ask_for(ask).await?;
    let text = String::from(Box::<str>::from(answer));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(text))
}

/// Passes an answer on as it comes from the hub. A short one is put together first, so that it has a length, and is a
/// refusal where it breaks; of a longer one only a piece is here at a time.
pub(super) async fn in_pieces(
    request: &HttpRequest,
    desk: &Desk,
    answer: impl Stream<Item = io::Result<Bytes>> + 'static,
    slot: Slot,
) -> Result<HttpResponse, Refusal> {
    let mut answer = Box::pin(answer);
    let (mut first, mut bytes) = (Vec::new(), 0);
    let broken = |error: io::Error| {
        AskError::Broken(format!("the hub's answer broke off in the middle: {error}"))
    };
    while bytes <= SHORT_BYTES {
        match answer.try_next().await.map_err(broken)? {
            Some(piece) => {
                bytes += piece.len();
                first.push(piece);
            }
            None => {
                return Ok(HttpResponse::Ok()
                    .content_type("application/json")
                    .body(first.concat()));
            }
        }
    }
    let slots = (slot, desk.hub.take_long()?);
    let first = stream::iter(first.into_iter().map(Ok));
    let all = first.chain(answer).inspect(move |_| {
        let _under_way = &slots;
    });
    let mut response = HttpResponse::Ok()
        .content_type("application/json")
        .streaming(all);
    if request.version() < Version::HTTP_11 {
        // Clients of HTTP/1.0 know no chunks: the answer ends with its connection.
        let head = response.head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// Reads parameters with the protocol's parser.
pub(super) fn read<V: Verb>(params: &impl serde::Serialize, desk: &Desk) -> Result<V, Refusal> {
    let text = serde_json::to_string(params).map_err(|error| not_json(&error))?;
    Ok(V::read(&Params::parse(&text)?, &desk.hub.limits())?)
}

/// A query's words, and others that count more, as parameters: the protocol reads numbers from text.
pub(super) fn words<const N: usize>(
    query: BTreeMap<String, String>,
    more: [(&str, &str); N],
) -> Map<String, Value> {
    let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let all = query.into_iter().chain(more);
    all.map(|(name, value)| (name, Value::String(value)))
        .collect()
}

/// The fields of a body, which may be empty, with the number that the path tells; that one counts.
pub(super) fn with_id(
    body: &Body,
    name: &str,
    id: &str,
) -> Result<BTreeMap<String, Box<RawValue>>, Refusal> {
    let mut params: BTreeMap<String, Box<RawValue>> = match body.text()? {
        Some(text) => serde_json::from_str(object(text)?).map_err(|error| not_json(&error))?,
        None => BTreeMap::new(),
    };
    let id = serde_json::value::to_raw_value(id).map_err(|error| not_json(&error))?;
    params.insert(name.into(), id);
    Ok(params)
}

/// The text, once it is sure to be one JSON object.
pub(super) fn object(text: &str) -> Result<&str, Refusal> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    match raw.get().starts_with('{') {
        true => Ok(raw.get()),
        false => {
            Err(kirosu_protocol::Error::invalid_params("the body must be a JSON object").into())
        }
    }
}

fn not_json(error: &serde_json::Error) -> Refusal {
    let message = format!("the body is not JSON: {error}");
    Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::ParseError, message)
}
