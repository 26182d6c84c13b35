//! From a request to the hub and back: what all routes share.

use super::body::Body;
use super::refusal::Refusal;
use crate::http::Desk;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use kirosu_protocol::{ErrorCode, Limits, Params, Verb};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

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

/// Reads parameters with the protocol's parser.
pub(super) fn read<A>(
    params: &impl serde::Serialize,
    desk: &Desk,
    reader: impl FnOnce(&Params<'_>, &Limits) -> Result<A, kirosu_protocol::Error>,
) -> Result<A, Refusal> {
    let text = serde_json::to_string(params).map_err(|error| not_json(&error))?;
    Ok(reader(&Params::parse(&text)?, &desk.hub.limits())?)
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
