//! Reading of parameters and forwarding of answers, for all routes.

use super::body::RequestBody;
use super::error::HttpError;
use crate::link::{HubError, RequestSlot};
use crate::state::AppState;
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use kirosu_protocol::{ErrorCode, Params, Verb};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io;

/// Maximum size of an answer that is buffered before it is forwarded.
const SHORT_BYTES: usize = 64 << 10;

/// Sends a request to the hub and forwards its answer unchanged.
pub(super) async fn forward<V: Verb + Send + Sync + 'static>(
    state: &AppState,
    ask: V,
) -> Result<HttpResponse, HttpError> {
    let answer: Box<RawValue> = state.hub.request_as(ask).await?;
    let text = String::from(Box::<str>::from(answer));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(text))
}

/// Forwards an answer that arrives in pieces. A short one is buffered, so that the response has a length, and an error
/// status if the answer breaks off. Of a longer one, only one piece at a time is in memory.
pub(crate) async fn forward_stream(
    request: &HttpRequest,
    state: &AppState,
    answer: impl Stream<Item = io::Result<Bytes>> + 'static,
    slot: RequestSlot,
) -> Result<HttpResponse, HttpError> {
    let mut answer = Box::pin(answer);
    let (mut first, mut bytes) = (Vec::new(), 0);
    let broken = |error: io::Error| {
        HubError::Interrupted(format!("the hub's answer broke off in the middle: {error}"))
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
    let slots = (slot, state.hub.reserve_long()?);
    let first = stream::iter(first.into_iter().map(Ok));
    let all = first.chain(answer).inspect(move |_| {
        let _under_way = &slots;
    });
    let mut response = HttpResponse::Ok()
        .content_type("application/json")
        .streaming(all);
    if request.version() < Version::HTTP_11 {
        // HTTP/1.0 has no chunks: the end of the connection ends the response.
        let head = response.head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// Reads parameters with the protocol's parser.
pub(super) fn read<V: Verb>(
    params: &impl serde::Serialize,
    state: &AppState,
) -> Result<V, HttpError> {
    let text = serde_json::to_string(params).map_err(|error| not_json(&error))?;
    Ok(V::read(&Params::parse(&text)?, &state.hub.limits())?)
}

/// The parameters of a query, overridden by `more`, as strings: the protocol's parser reads numbers from strings.
pub(super) fn text_params<const N: usize>(
    query: BTreeMap<String, String>,
    more: [(&str, &str); N],
) -> Map<String, Value> {
    let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let all = query.into_iter().chain(more);
    all.map(|(name, value)| (name, Value::String(value)))
        .collect()
}

/// Turns these parameters of a query into booleans: a query has only strings, and the protocol's parser takes none for them.
pub(super) fn switches(params: &mut Map<String, Value>, names: &[&str]) {
    let switches = params.iter_mut();
    for (_, value) in switches.filter(|(name, _)| names.contains(&name.as_str())) {
        match value.as_str() {
            Some("true" | "1") => *value = true.into(),
            Some("false" | "0" | "") => *value = false.into(),
            _ => {}
        }
    }
}

/// The fields of a body, which may be empty, with the number from the path, which overrides the field.
pub(super) fn with_id(
    body: &RequestBody,
    name: &str,
    id: &str,
) -> Result<BTreeMap<String, Box<RawValue>>, HttpError> {
    let mut params: BTreeMap<String, Box<RawValue>> = match body.text()? {
        Some(text) => serde_json::from_str(object(text)?).map_err(|error| not_json(&error))?,
        None => BTreeMap::new(),
    };
    let id = serde_json::value::to_raw_value(id).map_err(|error| not_json(&error))?;
    params.insert(name.into(), id);
    Ok(params)
}

/// Checks that the text is one JSON object, and returns it.
pub(crate) fn object(text: &str) -> Result<&str, HttpError> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    match raw.get().starts_with('{') {
        true => Ok(raw.get()),
        false => {
            Err(kirosu_protocol::Error::invalid_params("the body must be a JSON object").into())
        }
    }
}

fn not_json(error: &serde_json::Error) -> HttpError {
    let message = format!("the body is not JSON: {error}");
    HttpError::new(StatusCode::BAD_REQUEST, ErrorCode::ParseError, message)
}
