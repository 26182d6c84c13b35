//! The routes of schedules.

use super::body;
use super::error::HttpError;
use super::forward::{forward, object, read, text_params};
use super::schema;
use crate::state::ClientState;
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::verbs::schedule_list::ScheduleListAnswer;
use kirosu_protocol::{
    Params, ScheduleAddAnswer, ScheduleAddParams, ScheduleListParams, ScheduleRemoveParams,
    ScheduleRunAnswer, ScheduleRunParams, ScheduleSetParams, Verb, verbs,
};
use std::collections::BTreeMap;

type RestResult = Result<HttpResponse, HttpError>;

/// Lists the schedules.
#[utoipa::path(get, path = "/schedules", tag = "schedules", responses(
    (status = 200, description = "the schedules, by name", body = ScheduleListAnswer),
    (status = 403, description = "the key is wrong or missing", body = schema::RefusedSchema),
))]
pub(super) async fn list(state: ClientState) -> RestResult {
    forward(&state, ScheduleListParams {}).await
}

/// Adds a schedule, by which the hub adds a task again and again, or once.
#[utoipa::path(post, path = "/schedules", tag = "schedules", request_body = ScheduleAddParams, responses(
    (status = 200, description = "the time of the first task", body = ScheduleAddAnswer),
    (status = 400, description = "the body is not JSON", body = schema::RefusedSchema),
    (status = 403, description = "the key is wrong or missing", body = schema::RefusedSchema),
    (status = 409, description = "there is another schedule with this name", body = schema::RefusedSchema),
    (status = 422, description = "a field is missing or invalid", body = schema::RefusedSchema),
))]
pub(super) async fn add(
    request: HttpRequest,
    payload: web::Payload,
    state: ClientState,
) -> RestResult {
    let body = body::read(&request, payload, &state).await?;
    let params = Params::parse(object(body.text()?.unwrap_or("{}"))?)?;
    // Unchecked, because the hub compiles the regexes and schemas, on another thread.
    let new = read_unchecked(|| ScheduleAddParams::read(&params, &state.hub.limits()))?;
    forward(&state, new).await
}

/// Pauses a schedule, or lets it go on.
#[utoipa::path(post, path = "/schedules/{name}/{act}", tag = "schedules",
    params(
        ("name" = String, Path, description = "the name of the schedule"),
        ("act" = schema::ScheduleActName, Path, description = "the action"),
    ),
    responses(
        (status = 200, description = "done", body = verbs::Done),
        (status = 404, description = "there is no such schedule", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn act(path: web::Path<(String, String)>, state: ClientState) -> RestResult {
    let (name, act) = path.into_inner();
    let mut params = text_params(BTreeMap::new(), [("name", name.as_str())]);
    params.insert("paused".into(), (act == "pause").into());
    forward(&state, read::<ScheduleSetParams>(&params, &state)?).await
}

/// Adds the task of a schedule now.
#[utoipa::path(post, path = "/schedules/{name}/run", tag = "schedules",
    params(("name" = String, Path, description = "the name of the schedule")),
    responses(
        (status = 200, description = "the number of the task", body = ScheduleRunAnswer),
        (status = 404, description = "there is no such schedule", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn run(name: web::Path<String>, state: ClientState) -> RestResult {
    let params = text_params(BTreeMap::new(), [("name", name.as_str())]);
    forward(&state, read::<ScheduleRunParams>(&params, &state)?).await
}

/// Removes a schedule. Its tasks stay.
#[utoipa::path(delete, path = "/schedules/{name}", tag = "schedules",
    params(("name" = String, Path, description = "the name of the schedule")),
    responses(
        (status = 200, description = "it is removed", body = verbs::Done),
        (status = 404, description = "there is no such schedule", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn remove(name: web::Path<String>, state: ClientState) -> RestResult {
    let params = text_params(BTreeMap::new(), [("name", name.as_str())]);
    forward(&state, read::<ScheduleRemoveParams>(&params, &state)?).await
}
