//! The routes of runs of plans, and of the items that their maps take.

use super::body;
use super::error::HttpError;
use super::forward::{forward, object, read, switches, text_params, with_id};
use super::schema;
use crate::new_run;
use crate::state::ClientState;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::verbs::runs::RunsAnswer;
use kirosu_protocol::verbs::source::SOURCE_PIECE_BYTES;
use kirosu_protocol::{
    CancelParams, EnqueueAnswer, Error, ErrorCode, RunAnswer, RunItemsAnswer, RunItemsParams,
    RunParams, RunPauseParams, RunResumeParams, RunRetryParams, RunsParams, SourceAnswer,
    SourceParams, verbs,
};
use serde_json::Value;
use std::collections::BTreeMap;

type RestResult = Result<HttpResponse, HttpError>;
type Query = web::Query<BTreeMap<String, String>>;

/// Lists runs of plans, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs",
    params(
        ("state" = Option<String>, Query, description = "only runs in this state: pending, open, waiting, paused, done, partial, failed or cancelled"),
        ("limit" = Option<u32>, Query, description = "maximum number of runs, 1 to 200; 20 by default"),
        ("before" = Option<i64>, Query, description = "only lower numbers: `next` of the previous page"),
    ),
    responses(
        (status = 200, description = "a page", body = RunsAnswer),
        (status = 403, description = "the key is wrong or missing", body = schema::RefusedSchema),
        (status = 422, description = "a parameter is invalid", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn list(query: Query, state: ClientState) -> RestResult {
    let params = text_params(query.into_inner(), []);
    forward(&state, read::<RunsParams>(&params, &state)?).await
}

/// Starts a run of a plan. It is durable when the response is sent.
#[utoipa::path(post, path = "/runs", tag = "runs", request_body = schema::NewRunSchema, responses(
    (status = 200, description = "the number of the run, which is that of its task", body = EnqueueAnswer),
    (status = 400, description = "the body is not JSON", body = schema::RefusedSchema),
    (status = 403, description = "the key is wrong or missing, or may not start plans", body = schema::RefusedSchema),
    (status = 413, description = "the body or the plan is too long", body = schema::RefusedSchema),
    (status = 422, description = "a field is missing or invalid", body = schema::RefusedSchema),
))]
pub(super) async fn start(
    request: HttpRequest,
    payload: web::Payload,
    state: ClientState,
) -> RestResult {
    let body = body::read(&request, payload, &state).await?;
    let text = object(body.text()?.unwrap_or("{}"))?;
    let task = new_run::read(text, &state.hub.limits())?;
    forward(&state, task).await
}

/// Returns a run with its steps.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs",
    params(
        ("id" = i64, Path, description = "the run's number"),
        ("with_plan" = Option<bool>, Query, description = "true: with the text of its plan"),
    ),
    responses(
        (status = 200, description = "the run", body = RunAnswer),
        (status = 404, description = "there is no such task", body = schema::RefusedSchema),
        (status = 409, description = "the task is not a run", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn get(id: web::Path<String>, query: Query, state: ClientState) -> RestResult {
    let mut params = text_params(query.into_inner(), [("task_id", id.as_str())]);
    switches(&mut params, &["with_plan"]);
    forward(&state, read::<RunParams>(&params, &state)?).await
}

/// Lists the items of a run, by step and position.
#[utoipa::path(get, path = "/runs/{id}/items", tag = "runs",
    params(
        ("id" = i64, Path, description = "the run's number"),
        ("step" = Option<String>, Query, description = "only of the step with this path"),
        ("key" = Option<String>, Query, description = "only those with this key, at most one per step"),
        ("state" = Option<String>, Query, description = "only in this state: waiting, open, done, failed or cancelled"),
        ("results" = Option<bool>, Query, description = "true: with the results of items that are done"),
        ("limit" = Option<u32>, Query, description = "maximum number of items, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page"),
    ),
    responses(
        (status = 200, description = "a page", body = RunItemsAnswer),
        (status = 404, description = "there is no such task", body = schema::RefusedSchema),
        (status = 422, description = "a parameter is invalid", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn items(id: web::Path<String>, query: Query, state: ClientState) -> RestResult {
    let mut params = text_params(query.into_inner(), [("task_id", id.as_str())]);
    switches(&mut params, &["results"]);
    forward(&state, read::<RunItemsParams>(&params, &state)?).await
}

/// Pauses a run, lets it go on, repeats what failed in it, or cancels it.
#[utoipa::path(post, path = "/runs/{id}/{act}", tag = "runs", request_body = Option<schema::RunActSchema>,
    params(
        ("id" = i64, Path, description = "the run's number"),
        ("act" = schema::RunActName, Path, description = "the action"),
    ),
    responses(
        (status = 200, description = "done", body = verbs::Done),
        (status = 404, description = "there is no such task", body = schema::RefusedSchema),
        (status = 409, description = "its state does not allow this, or the task is not a run", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn act(
    path: web::Path<(String, String)>,
    request: HttpRequest,
    payload: web::Payload,
    state: ClientState,
) -> RestResult {
    let body = body::read(&request, payload, &state).await?;
    let (id, act) = path.into_inner();
    let params = with_id(&body, "task_id", &id)?;
    match act.as_str() {
        "pause" => forward(&state, read::<RunPauseParams>(&params, &state)?).await,
        "resume" => forward(&state, read::<RunResumeParams>(&params, &state)?).await,
        "retry" => forward(&state, read::<RunRetryParams>(&params, &state)?).await,
        _ => {
            let cancel = read::<CancelParams>(&params, &state)?;
            // A task that is not a run is not cancelled.
            let run = read::<RunParams>(&params, &state)?;
            state.hub.request(run).await?;
            forward(&state, cancel).await
        }
    }
}

/// Stores items for a map of a plan. Each line of the body is a JSON value, an item.
#[utoipa::path(post, path = "/sources", tag = "runs",
    request_body(content = String, description = "JSON lines", content_type = "application/jsonl"),
    params(
        ("source_id" = Option<i64>, Query, description = "the source to append to; a new one by default"),
        ("first" = Option<u64>, Query, description = "the number of items that the source has before; 0 by default"),
    ),
    responses(
        (status = 200, description = "the source, for `sources` of a run", body = SourceAnswer),
        (status = 400, description = "a line is not JSON", body = schema::RefusedSchema),
        (status = 409, description = "`first` is above the number of items that the source has", body = schema::RefusedSchema),
        (status = 413, description = "the body or an item is too long", body = schema::RefusedSchema),
        (status = 422, description = "there is no item, or a parameter is invalid", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn source(
    request: HttpRequest,
    payload: web::Payload,
    query: Query,
    state: ClientState,
) -> RestResult {
    let body = body::read(&request, payload, &state).await?;
    let text = body.text()?.unwrap_or_default();
    let mut given = text_params(query.into_inner(), []);
    given.insert("items".into(), Value::Array(vec![Value::Null]));
    let given = read::<SourceParams>(&given, &state)?;
    let (mut source_id, mut first) = (given.source_id, given.first);
    let mut answer = None;
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .peekable();
    while lines.peek().is_some() {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while let Some((at, line)) =
            lines.next_if(|(_, line)| items.is_empty() || bytes + line.len() < SOURCE_PIECE_BYTES)
        {
            // With the brackets of the list and a comma.
            bytes += line.len() + 2;
            items.push(item(at, line)?);
        }
        let count = items.len() as u64;
        let piece = SourceParams {
            source_id,
            first,
            items,
        };
        let stored: SourceAnswer = state.hub.request(piece).await?;
        source_id = Some(stored.source_id);
        first += count;
        answer = Some(stored);
    }
    match answer {
        Some(answer) => Ok(HttpResponse::Ok().json(answer)),
        None => {
            Err(Error::invalid_params("the body has no item: send one JSON value per line").into())
        }
    }
}

fn item(at: usize, line: &str) -> Result<Value, HttpError> {
    let number = at + 1;
    if line.len() + 2 > SOURCE_PIECE_BYTES {
        let message = format!(
            "line {number} of the body is longer than the {SOURCE_PIECE_BYTES} bytes of an item"
        );
        return Err(HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooLarge,
            message,
        ));
    }
    serde_json::from_str(line).map_err(|why| {
        let message = format!("line {number} of the body is not JSON: {why}");
        HttpError::new(StatusCode::BAD_REQUEST, ErrorCode::ParseError, message)
    })
}
