//! The routes of permission requests and approvals.

use super::body;
use super::error::HttpError;
use super::forward::{forward, read, text_params, with_id};
use super::schema;
use crate::state::ClientState;
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::{ApprovalsAnswer, ApprovalsParams, ApproveParams, RejectParams, verbs};
use std::collections::BTreeMap;

type RestResult = Result<HttpResponse, HttpError>;

/// Lists what waits for a person: permission requests of agents, tasks to approve, tasks to answer.
#[utoipa::path(get, path = "/approvals", tag = "approvals",
    params(
        ("state" = Option<String>, Query, description = "open (the default), or permission requests that are approved, rejected, void, expired, any"),
        ("task_id" = Option<i64>, Query, description = "only of this task"),
        ("limit" = Option<u32>, Query, description = "maximum number of entries, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page"),
    ),
    responses(
        (status = 200, description = "a page", body = ApprovalsAnswer),
        (status = 422, description = "a parameter is invalid", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn list(
    query: web::Query<BTreeMap<String, String>>,
    state: ClientState,
) -> RestResult {
    let params = text_params(query.into_inner(), []);
    forward(&state, read::<ApprovalsParams>(&params, &state)?).await
}

/// Approves or rejects one permission request of an agent.
#[utoipa::path(post, path = "/approvals/{id}/{verdict}", tag = "approvals", request_body = Option<schema::ActSchema>,
    params(
        ("id" = String, Path, description = "number of the permission request, as 17 or a17"),
        ("verdict" = schema::VerdictName, Path, description = "the decision"),
    ),
    responses(
        (status = 200, description = "done", body = verbs::Done),
        (status = 404, description = "there is no such permission request", body = schema::RefusedSchema),
        (status = 409, description = "it is decided already, or its run has ended", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn decide(
    path: web::Path<(String, String)>,
    request: HttpRequest,
    payload: web::Payload,
    state: ClientState,
) -> RestResult {
    let body = body::read(&request, payload, &state).await?;
    let (id, verdict) = path.into_inner();
    let params = with_id(&body, "approval_id", &id)?;
    match verdict.as_str() {
        "approve" => forward(&state, read::<ApproveParams>(&params, &state)?).await,
        _ => forward(&state, read::<RejectParams>(&params, &state)?).await,
    }
}
