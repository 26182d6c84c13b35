//! The routes of tasks.

use super::body;
use super::error::HttpError;
use super::forward::{forward, forward_stream, object, read, switches, text_params, with_id};
use super::schema;
use crate::state::ClientState;
use crate::streaming::of_one_task;
use crate::waiting::until_finished;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::{
    AnswerParams, ApproveParams, CancelParams, EnqueueAnswer, ErrorCode, GetAnswer, GetParams,
    ListAnswer, ListParams, NewTask, Params, RejectParams, RetryParams, StatsAnswer, StatsParams,
    Verb, WaitParams, verbs,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Default time of a wait in seconds.
const WAIT_DEFAULT: &str = "30";

/// Lists with a higher limit are forwarded in pieces.
const LONG_LIST: u32 = 200;

type RestResult = Result<HttpResponse, HttpError>;
type Query = web::Query<BTreeMap<String, String>>;

/// Enqueues a task. It is durable when the response is sent.
#[utoipa::path(post, path = "/tasks", tag = "tasks", request_body = NewTask, responses(
    (status = 200, description = "the number of the new task", body = EnqueueAnswer),
    (status = 400, description = "the body is not JSON", body = schema::RefusedSchema),
    (status = 403, description = "the key is wrong or missing", body = schema::RefusedSchema),
    (status = 413, description = "the body or the prompt is too long", body = schema::RefusedSchema),
    (status = 422, description = "a field is missing or invalid", body = schema::RefusedSchema),
    (status = 503, description = "the hub is unreachable, or a limit is reached; the request had no effect", body = schema::RefusedSchema),
))]
pub(super) async fn enqueue(
    request: HttpRequest,
    payload: web::Payload,
    state: ClientState,
) -> RestResult {
    let body = body::read(&request, payload, &state).await?;
    let Some(text) = body.text()? else {
        let message = "the body is empty: send a JSON object with a `prompt`";
        return Err(HttpError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::ParseError,
            message,
        ));
    };
    let params = Params::parse(object(text)?)?;
    // Unchecked, because the hub compiles the regexes and schemas, on another thread.
    let task = read_unchecked(|| NewTask::read(&params, &state.hub.limits()))?;
    forward(&state, task).await
}

/// Lists tasks, newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks",
    params(
        ("status" = Option<String>, Query, description = "only tasks with this status"),
        ("limit" = Option<i64>, Query, description = "maximum number of tasks, 50 by default; 0 for all"),
        ("queue" = Option<String>, Query, description = "only tasks of this queue"),
        ("type" = Option<String>, Query, description = "only tasks of this type"),
        ("parent_id" = Option<i64>, Query, description = "only children of this task"),
        ("label" = Option<String>, Query, description = "only tasks with this label"),
        ("ids" = Option<String>, Query, description = "only these ids and ranges, as 42,50-60"),
        ("before" = Option<i64>, Query, description = "only lower numbers: `next` of the previous page"),
        ("preview_bytes" = Option<u32>, Query, description = "maximum bytes of each text, 65536 by default; 0 for whole texts"),
    ),
    responses(
        (status = 200, description = "a page", body = ListAnswer),
        (status = 403, description = "the key is wrong or missing", body = schema::RefusedSchema),
        (status = 422, description = "a parameter is invalid", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn list(request: HttpRequest, query: Query, state: ClientState) -> RestResult {
    let params = text_params(query.into_inner(), []);
    let ask = read::<ListParams>(&params, &state)?;
    let is_long = ask.limit.is_none_or(|limit| limit > LONG_LIST) || ask.preview_bytes == Some(0);
    match is_long {
        true => {
            let (answer, slot) = state.hub.stream(&ask).await?;
            forward_stream(&request, &state, answer, slot).await
        }
        false => forward(&state, ask).await,
    }
}

/// Returns the counters.
#[utoipa::path(get, path = "/stats", tag = "tasks", responses(
    (status = 200, description = "the counters", body = StatsAnswer),
    (status = 403, description = "the key is wrong or missing", body = schema::RefusedSchema),
))]
pub(super) async fn stats(state: ClientState) -> RestResult {
    forward(&state, StatsParams::default()).await
}

/// Returns one task with its attempts.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks",
    params(
        ("id" = i64, Path, description = "the task's number"),
        ("output" = Option<bool>, Query, description = "true: with the output of its attempts"),
    ),
    responses(
        (status = 200, description = "the task", body = GetAnswer),
        (status = 404, description = "there is no such task", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn get(
    id: web::Path<String>,
    request: HttpRequest,
    query: Query,
    state: ClientState,
) -> RestResult {
    let mut params = text_params(query.into_inner(), [("task_id", id.as_str())]);
    switches(&mut params, &["output"]);
    let ask = read::<GetParams>(&params, &state)?;
    let (answer, slot) = state.hub.stream(&ask).await?;
    forward_stream(&request, &state, answer, slot).await
}

/// Waits until a task is finished, or the time is over.
#[utoipa::path(get, path = "/tasks/{id}/wait", tag = "tasks",
    params(
        ("id" = i64, Path, description = "the task's number"),
        ("seconds" = Option<f64>, Query, description = "maximum time of the wait, 30 by default"),
    ),
    responses(
        (status = 200, description = "the current task; `finished` is true if it has ended", body = schema::Waited),
        (status = 404, description = "there is no such task", body = schema::RefusedSchema),
    ),
)]
pub(super) async fn wait(
    id: web::Path<String>,
    request: HttpRequest,
    query: Query,
    state: ClientState,
) -> RestResult {
    let seconds = query.get("seconds").map_or(WAIT_DEFAULT, String::as_str);
    let params = text_params(
        BTreeMap::new(),
        [("task_id", id.as_str()), ("timeout_seconds", seconds)],
    );
    // Errors name the parameter as the route does.
    let mut ask = read::<WaitParams>(&params, &state).map_err(|mut refusal| {
        let message = &mut refusal.error.message;
        *message = message.replace("`timeout_seconds`", "`seconds`");
        refusal
    })?;
    let time = Duration::from_millis(ask.timeout_ms);
    until_finished(&state, &ask.target, time).await?;
    ask.timeout_ms = 0;
    let (answer, slot) = state.hub.stream(&ask).await?;
    forward_stream(&request, &state, of_one_task(answer), slot).await
}

/// Cancels, approves, answers, rejects or retries a task.
#[utoipa::path(post, path = "/tasks/{id}/{act}", tag = "tasks", request_body = Option<schema::ActSchema>,
    params(
        ("id" = i64, Path, description = "the task's number"),
        ("act" = schema::ActName, Path, description = "the action"),
    ),
    responses(
        (status = 200, description = "done", body = verbs::Done),
        (status = 404, description = "there is no such task", body = schema::RefusedSchema),
        (status = 409, description = "its state does not allow this", body = schema::RefusedSchema),
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
        "cancel" => forward(&state, read::<CancelParams>(&params, &state)?).await,
        "approve" => forward(&state, read::<ApproveParams>(&params, &state)?).await,
        "answer" => forward(&state, read::<AnswerParams>(&params, &state)?).await,
        "reject" => forward(&state, read::<RejectParams>(&params, &state)?).await,
        _ => forward(&state, read::<RetryParams>(&params, &state)?).await,
    }
}
