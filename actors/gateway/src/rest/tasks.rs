//! The routes of tasks.

use super::body;
use super::passing::{in_pieces, object, pass_on, read, with_id, words};
use super::refusal::Refusal;
use super::schema;
use crate::http::Desk;
use crate::passage::of_one_task;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::verbs::answer::AnswerParams;
use kirosu_protocol::verbs::approve::ApproveParams;
use kirosu_protocol::verbs::cancel::CancelParams;
use kirosu_protocol::verbs::enqueue::NewTask;
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::verbs::list::ListParams;
use kirosu_protocol::verbs::reject::RejectParams;
use kirosu_protocol::verbs::retry::RetryParams;
use kirosu_protocol::verbs::stats::StatsParams;
use kirosu_protocol::verbs::wait::{WaitParams, WaitTarget};
use kirosu_protocol::{ErrorCode, Group, IdRange, Params, Verb};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long `wait` waits when nobody says how long.
const WAIT_DEFAULT: &str = "30";
/// The longest single wait that is parked in the hub: a client that has hung up costs a slot that long.
const WAIT_SLICE: Duration = Duration::from_secs(15);

/// Lists of more tasks are passed on in pieces.
const LONG_LIST: u32 = 200;

type Answer = Result<HttpResponse, Refusal>;
type Query = web::Query<BTreeMap<String, String>>;

/// Makes a task. It is durable when the answer leaves.
#[utoipa::path(post, path = "/tasks", tag = "tasks", request_body = schema::NewTask, responses(
    (status = 200, description = "the new task's number", body = schema::Enqueued),
    (status = 400, description = "the body is not JSON", body = schema::Refused),
    (status = 403, description = "the key is wrong or missing", body = schema::Refused),
    (status = 413, description = "body or prompt are too long", body = schema::Refused),
    (status = 422, description = "a field is missing or wrong", body = schema::Refused),
    (status = 503, description = "hub or gateway are full or away; nothing was done", body = schema::Refused),
))]
pub(super) async fn enqueue(
    request: HttpRequest,
    payload: web::Payload,
    desk: web::Data<Desk>,
) -> Answer {
    let body = body::read(&request, payload, &desk).await?;
    let Some(text) = body.text()? else {
        let message = "the body is empty: send a JSON object with a `prompt`";
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::ParseError,
            message,
        ));
    };
    let params = Params::parse(object(text)?)?;
    // The hub compiles what the clauses hold, on a thread for that.
    let task = read_unchecked(|| NewTask::read(&params, &desk.hub.limits()))?;
    pass_on(&desk, task).await
}

/// Lists tasks, newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks",
    params(
        ("status" = Option<String>, Query, description = "only of this status"),
        ("limit" = Option<i64>, Query, description = "at most so many, 50 by default; 0 for all"),
        ("queue" = Option<String>, Query, description = "only of this queue"),
        ("type" = Option<String>, Query, description = "only of this type"),
        ("parent_id" = Option<i64>, Query, description = "only children of this task"),
        ("label" = Option<String>, Query, description = "only tasks with this label"),
        ("ids" = Option<String>, Query, description = "only these ids and ranges, as 42,50-60"),
        ("before" = Option<i64>, Query, description = "only lower numbers: the last answer's `next`"),
        ("preview_bytes" = Option<u32>, Query, description = "the most bytes of each text, 65536 by default; 0 for whole texts"),
    ),
    responses(
        (status = 200, description = "a page", body = schema::TaskList),
        (status = 403, description = "the key is wrong or missing", body = schema::Refused),
        (status = 422, description = "a parameter is wrong", body = schema::Refused),
    ),
)]
pub(super) async fn list(request: HttpRequest, query: Query, desk: web::Data<Desk>) -> Answer {
    let params = words(query.into_inner(), []);
    let ask = read::<ListParams>(&params, &desk)?;
    let is_long = ask.limit.is_none_or(|limit| limit > LONG_LIST) || ask.preview_bytes == Some(0);
    match is_long {
        true => {
            let (answer, slot) = desk.hub.pass(&ask).await?;
            in_pieces(&request, &desk, answer, slot).await
        }
        false => pass_on(&desk, ask).await,
    }
}

/// The counters.
#[utoipa::path(get, path = "/stats", tag = "tasks", responses(
    (status = 200, description = "the counters", body = schema::StatsOnly),
    (status = 403, description = "the key is wrong or missing", body = schema::Refused),
))]
pub(super) async fn stats(desk: web::Data<Desk>) -> Answer {
    pass_on(&desk, StatsParams::default()).await
}

/// One task with its attempts.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks",
    params(
        ("id" = i64, Path, description = "the task's number"),
        ("output" = Option<bool>, Query, description = "true: with what its attempts printed"),
    ),
    responses(
        (status = 200, description = "the task", body = schema::TaskAndAttempts),
        (status = 404, description = "there is no such task", body = schema::Refused),
    ),
)]
pub(super) async fn get(
    id: web::Path<String>,
    request: HttpRequest,
    query: Query,
    desk: web::Data<Desk>,
) -> Answer {
    let mut params = words(query.into_inner(), [("task_id", id.as_str())]);
    // A query has no other way to say it.
    for switch in params.iter_mut().filter(|(name, _)| *name == "output") {
        match switch.1.as_str() {
            Some("true" | "1") => *switch.1 = true.into(),
            Some("false" | "0" | "") => *switch.1 = false.into(),
            _ => {}
        }
    }
    let ask = read::<GetParams>(&params, &desk)?;
    let (answer, slot) = desk.hub.pass(&ask).await?;
    in_pieces(&request, &desk, answer, slot).await
}

/// Waits until a task is finished, or the time is over.
#[utoipa::path(get, path = "/tasks/{id}/wait", tag = "tasks",
    params(
        ("id" = i64, Path, description = "the task's number"),
        ("seconds" = Option<f64>, Query, description = "the longest wait, 30 by default"),
    ),
    responses(
        (status = 200, description = "the task as it stands; `finished` tells whether it has ended", body = schema::Waited),
        (status = 404, description = "there is no such task", body = schema::Refused),
    ),
)]
pub(super) async fn wait(
    id: web::Path<String>,
    request: HttpRequest,
    query: Query,
    desk: web::Data<Desk>,
) -> Answer {
    let seconds = query.get("seconds").map_or(WAIT_DEFAULT, String::as_str);
    let params = words(
        BTreeMap::new(),
        [("task_id", id.as_str()), ("timeout_seconds", seconds)],
    );
    // The protocol's word is not the route's.
    let mut ask = read::<WaitParams>(&params, &desk).map_err(|mut refusal| {
        let message = &mut refusal.error.message;
        *message = message.replace("`timeout_seconds`", "`seconds`");
        refusal
    })?;
    let longest = Duration::from_millis(desk.hub.limits().wait_ms_max);
    let end = Instant::now() + Duration::from_millis(ask.timeout_ms);
    let task_ids = match &ask.target {
        WaitTarget::Tasks(task_ids) => task_ids.as_slice(),
        WaitTarget::Group(_) => &[],
    };
    let ids = task_ids.iter();
    let ranges = ids.map(|id| IdRange {
        first: *id,
        last: *id,
    });
    let group = Group {
        ranges: ranges.collect(),
        ..Group::default()
    };
    // Of ids that no task can have, the answer itself says so.
    while task_ids.iter().all(|id| *id > 0) {
        let left = end.saturating_duration_since(Instant::now());
        let slice = left.min(WAIT_SLICE).min(longest);
        // As a group, its answer has no text of a task that has ended.
        let wait = WaitParams {
            target: WaitTarget::Group(group.clone()),
            timeout_ms: u64::try_from(slice.as_millis()).unwrap_or(u64::MAX),
        };
        if desk.hub.ask(wait).await?.finished || left <= slice {
            break;
        }
    }
    ask.timeout_ms = 0;
    let (answer, slot) = desk.hub.pass(&ask).await?;
    in_pieces(&request, &desk, of_one_task(answer), slot).await
}

/// Cancels, approves, answers, rejects or retries a task.
#[utoipa::path(post, path = "/tasks/{id}/{act}", tag = "tasks", request_body = Option<schema::Act>,
    params(
        ("id" = i64, Path, description = "the task's number"),
        ("act" = schema::ActName, Path, description = "what to do"),
    ),
    responses(
        (status = 200, description = "done", body = schema::Done),
        (status = 404, description = "there is no such task", body = schema::Refused),
        (status = 409, description = "its state does not allow this", body = schema::Refused),
    ),
)]
pub(super) async fn act(
    path: web::Path<(String, String)>,
    request: HttpRequest,
    payload: web::Payload,
    desk: web::Data<Desk>,
) -> Answer {
    let body = body::read(&request, payload, &desk).await?;
    let (id, act) = path.into_inner();
    let params = with_id(&body, "task_id", &id)?;
    match act.as_str() {
        "cancel" => pass_on(&desk, read::<CancelParams>(&params, &desk)?).await,
        "approve" => pass_on(&desk, read::<ApproveParams>(&params, &desk)?).await,
        "answer" => pass_on(&desk, read::<AnswerParams>(&params, &desk)?).await,
        "reject" => pass_on(&desk, read::<RejectParams>(&params, &desk)?).await,
        _ => pass_on(&desk, read::<RetryParams>(&params, &desk)?).await,
    }
}
