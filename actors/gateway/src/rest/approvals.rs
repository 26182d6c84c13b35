//! The routes of what waits for a person.

use super::body;
use super::passing::{pass_on, read, with_id, words};
use super::refusal::Refusal;
use super::schema;
use crate::http::Desk;
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::verbs::approvals::ApprovalsParams;
use kirosu_protocol::verbs::approve::ApproveParams;
use kirosu_protocol::verbs::reject::RejectParams;
use std::collections::BTreeMap;

type Answer = Result<HttpResponse, Refusal>;

/// Lists what waits for a person: tool questions of agents, tasks to approve, tasks to answer.
#[utoipa::path(get, path = "/approvals", tag = "approvals",
    params(
        ("state" = Option<String>, Query, description = "open (the default), or tool questions that are approved, rejected, void, expired, any"),
        ("task_id" = Option<i64>, Query, description = "only of this task"),
        ("limit" = Option<u32>, Query, description = "at most so many, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "the `next` of the page before"),
    ),
    responses(
        (status = 200, description = "a page", body = schema::Approvals),
        (status = 422, description = "a parameter is wrong", body = schema::Refused),
    ),
)]
pub(super) async fn list(
    query: web::Query<BTreeMap<String, String>>,
    desk: web::Data<Desk>,
) -> Answer {
    let params = words(query.into_inner(), []);
    pass_on(&desk, read::<ApprovalsParams>(&params, &desk)?).await
}

/// Lets an agent use a tool, this once, or not.
#[utoipa::path(post, path = "/approvals/{id}/{verdict}", tag = "approvals", request_body = Option<schema::Act>,
    params(
        ("id" = String, Path, description = "the tool question's number, as 17 or a17"),
        ("verdict" = schema::VerdictName, Path, description = "yes or no"),
    ),
    responses(
        (status = 200, description = "done", body = schema::Done),
        (status = 404, description = "there is no such question", body = schema::Refused),
        (status = 409, description = "it is decided already, or nobody waits for the answer any more", body = schema::Refused),
    ),
)]
pub(super) async fn decide(
    path: web::Path<(String, String)>,
    request: HttpRequest,
    payload: web::Payload,
    desk: web::Data<Desk>,
) -> Answer {
    let body = body::read(&request, payload, &desk).await?;
    let (id, verdict) = path.into_inner();
    let params = with_id(&body, "approval_id", &id)?;
    match verdict.as_str() {
        "approve" => pass_on(&desk, read::<ApproveParams>(&params, &desk)?).await,
        _ => pass_on(&desk, read::<RejectParams>(&params, &desk)?).await,
    }
}
