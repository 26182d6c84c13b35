//! The parameters of a request, from path, query and body, as the JSON object that the protocol's parser reads.

use super::schema::{QueryType, query_type};
use super::table::V1Route;
use crate::rest::{HttpError, RequestBody, object};
use actix_web::HttpRequest;
use actix_web::web;
use kirosu_protocol::Error;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The header with the `idempotency_key` of a new task or run.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The parameters in the path.
fn in_path(request: &HttpRequest) -> BTreeMap<String, String> {
    let all = request.match_info().iter();
    all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The pairs of the query, in their order.
pub(super) fn in_query(request: &HttpRequest) -> Result<Vec<(String, String)>, HttpError> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    query
        .map(web::Query::into_inner)
        .map_err(|why| Error::invalid_params(format!("invalid query: {why}")).into())
}

/// The parameters of a GET or DELETE.
pub(super) fn from_url(
    request: &HttpRequest,
    fields: &BTreeMap<String, Value>,
    refused: impl Fn(&str) -> bool,
) -> Result<String, HttpError> {
    let mut params = Map::new();
    for (name, value) in in_query(request)? {
        if refused(&name) {
            return Err(Error::invalid_params(format!(
                "invalid params: `{name}` changes something: send it with POST"
            ))
            .into());
        }
        let kind = fields.get(&name).map_or(QueryType::Text, query_type);
        add(&mut params, kind, name, value);
    }
    for (name, value) in in_path(request) {
        params.insert(name, Value::String(value));
    }
    Ok(Value::Object(params).to_string())
}

/// Adds a parameter of a query with the type that the parser expects. A list may be repeated, or have commas.
fn add(params: &mut Map<String, Value>, kind: QueryType, name: String, value: String) {
    let value = match (kind, value.as_str()) {
        (QueryType::List, _) => {
            let values = value
                .split(',')
                .map(|it| Value::String(it.trim().to_owned()));
            let list = params
                .entry(name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.extend(values);
            }
            return;
        }
        (QueryType::Switch, "true" | "1") => true.into(),
        (QueryType::Switch, "false" | "0" | "") => false.into(),
        _ => Value::String(value),
    };
    params.insert(name, value);
}

/// The parameters of a POST or PATCH: the body, which may be empty, with those in the path.
pub(super) fn from_body(
    route: &V1Route,
    request: &HttpRequest,
    body: &RequestBody,
) -> Result<String, HttpError> {
    let text = object(body.text()?.unwrap_or("{}"))?;
    let path = in_path(request);
    let key = request.headers().get(IDEMPOTENCY_KEY);
    let key = key.filter(|_| route.takes_idempotency_key());
    if path.is_empty() && key.is_none() {
        return Ok(text.to_owned());
    }
    let mut params: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).map_err(|why| bad(&why))?;
    for (name, value) in path {
        params.insert(name, to_raw_value(&value).map_err(|why| bad(&why))?);
    }
    if let Some(key) = key {
        let key = key.to_str().map_err(|_| {
            Error::invalid_params("the header Idempotency-Key must be visible ASCII characters")
        })?;
        let key = to_raw_value(key).map_err(|why| bad(&why))?;
        let given = params.insert("idempotency_key".to_owned(), key.clone());
        if given.is_some_and(|given| given.get() != key.get()) {
            return Err(Error::invalid_params(
                "the header Idempotency-Key and `idempotency_key` of the body must be the same, or one is left out",
            )
            .into());
        }
    }
    serde_json::to_string(&params).map_err(|why| bad(&why))
}

fn bad(why: &serde_json::Error) -> HttpError {
    Error::invalid_params(format!("invalid params: {why}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_of_a_query_get_the_types_of_the_parameters() {
        let mut params = Map::new();
        let mut add = |kind, name: &str, value: &str| {
            super::add(&mut params, kind, name.to_owned(), value.to_owned());
        };
        add(QueryType::List, "label", "a, b");
        add(QueryType::List, "label", "c");
        add(QueryType::Switch, "output", "true");
        add(QueryType::Switch, "other", "maybe");
        add(QueryType::Text, "limit", "7");
        let expected =
            json!({"label": ["a", "b", "c"], "output": true, "other": "maybe", "limit": "7"});
        assert_eq!(Value::Object(params), expected);
    }
}
