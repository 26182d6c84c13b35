//! The routes of keys of clients.

use super::body;
use super::error::HttpError;
use super::forward::{forward, object, read, text_params};
use super::schema;
use crate::state::ClientState;
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::verbs::key_list::KeyListAnswer;
use kirosu_protocol::{
    KeyAddAnswer, KeyAddParams, KeyListParams, KeyRevokeParams, Params, Verb, verbs,
};
use std::collections::BTreeMap;

type RestResult = Result<HttpResponse, HttpError>;

/// Lists the keys of clients, without their secrets.
#[utoipa::path(get, path = "/keys", tag = "keys", responses(
    (status = 200, description = "the keys, by name", body = KeyListAnswer),
    (status = 403, description = "the key is wrong or missing, or lacks the right `admin`", body = schema::RefusedSchema),
))]
pub(super) async fn list(state: ClientState) -> RestResult {
    forward(&state, KeyListParams {}).await
}

/// Adds a key. The answer is the only one that has its secret.
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = KeyAddParams, responses(
    (status = 200, description = "the new key with its secret", body = KeyAddAnswer),
    (status = 403, description = "the key is wrong or missing, or lacks the right `admin`", body = schema::RefusedSchema),
    (status = 409, description = "there is a key with this name", body = schema::RefusedSchema),
    (status = 422, description = "a field is missing or invalid", body = schema::RefusedSchema),
))]
pub(super) async fn add(
    request: HttpRequest,
    payload: web::Payload,
    state: ClientState,
) -> RestResult {
    let body = body::read(&request, payload, &state).await?;
    let params = Params::parse(object(body.text()?.unwrap_or("{}"))?)?;
    let new = KeyAddParams::read(&params, &state.hub.limits())?;
    forward(&state, new).await
}

/// Ends the validity of a key at once.
#[utoipa::path(delete, path = "/keys/{name}", tag = "keys",
    params(("name" = String, Path, description = "the name of the key")),
    responses(
        (status = 200, description = "it is revoked, perhaps since before", body = verbs::Done),
        (status = 403, description = "the key is wrong or missing, or lacks the right `admin`", body = schema::RefusedSchema),
        (status = 404, description = "there is no such key", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn revoke(name: web::Path<String>, state: ClientState) -> RestResult {
    let params = text_params(BTreeMap::new(), [("name", name.as_str())]);
    forward(&state, read::<KeyRevokeParams>(&params, &state)?).await
}
