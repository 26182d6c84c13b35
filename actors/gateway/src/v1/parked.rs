//! Verbs whose answer the hub delays: `wait`, `lease` and `ack` with a lease.
//!
//! The hub learns nothing of an HTTP client that has disconnected. So one request is parked there only for a short time, and
//! tasks that were leased for a client that is gone are given back.

use super::call::{HubCall, V1Result, as_fields, json};
use crate::rest::{HttpError, forward_stream};
use crate::state::ClientState;
use crate::waiting::{self, SLICE};
use actix_web::HttpRequest;
use kirosu_protocol::{
    AckParams, Error, LeaseParams, Limits, Method, Params, ReleaseParams, TaskId, Verb, WaitParams,
    millis,
};
use serde_json::value::{RawValue, to_raw_value};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

fn read<V: Verb>(call: &HubCall, limits: &Limits) -> Result<V, Error> {
    V::read(&Params::parse(call.params.get())?, limits)
}

/// The next part of a wait that ends at `end`.
fn slice(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).min(SLICE)
}

/// Waits for tasks or a group, and answers as `wait` does.
pub(super) async fn wait(request: &HttpRequest, state: &ClientState, call: HubCall) -> V1Result {
    let mut ask: WaitParams = read(&call, &state.hub.limits())?;
    let time = Duration::from_millis(ask.timeout_ms);
    waiting::until_finished(state, &ask.target, time).await?;
    ask.timeout_ms = 0;
    let (answer, slot) = state.hub.stream(&ask).await?;
    forward_stream(request, state, answer, slot).await
}

/// Leases tasks, or waits for one.
pub(super) async fn lease(state: &ClientState, call: HubCall) -> V1Result {
    let ask: LeaseParams = read(&call, &state.hub.limits())?;
    lease_until(state, ask).await.map(json)
}

async fn lease_until(state: &ClientState, ask: LeaseParams) -> Result<Box<RawValue>, HttpError> {
    let end = Instant::now() + Duration::from_millis(ask.wait_ms);
    loop {
        let part = slice(end);
        let wait_ms = millis(part);
        let is_last = end.saturating_duration_since(Instant::now()) <= part;
        let ask = LeaseParams {
            wait_ms,
            ..ask.clone()
        };
        let answer = kept(state, Method::Lease, &ask, part).await?;
        if is_last || has_tasks(&answer) {
            return Ok(answer);
        }
    }
}

/// Reports the end of runs, and may lease the next tasks.
pub(super) async fn ack(state: &ClientState, call: HubCall) -> V1Result {
    let mut ask: AckParams = read(&call, &state.hub.limits())?;
    let Some(lease) = ask.lease.take() else {
        return call.send(state).await.map(json);
    };
    let end = Instant::now() + Duration::from_millis(lease.wait_ms);
    let part = slice(end);
    ask.lease = Some(Box::new(LeaseParams {
        wait_ms: millis(part),
        ..(*lease).clone()
    }));
    let answer = kept(state, Method::Ack, &ask, part).await?;
    let left = end.saturating_duration_since(Instant::now());
    if has_tasks(&answer) || left.is_zero() {
        return Ok(json(answer));
    }
    let rest = LeaseParams {
        wait_ms: millis(left),
        ..*lease
    };
    // The reports took effect with the first request, so a failure of a later one must not look like theirs.
    let Ok(later) = lease_until(state, rest).await else {
        return Ok(json(answer));
    };
    // The tasks come from a later request.
    let later = as_fields(&later)?;
    let mut whole = as_fields(&answer)?;
    whole.extend(later);
    let whole = to_raw_value(&whole).map_err(|why| Error::invalid_params(why.to_string()))?;
    Ok(json(whole))
}

/// The leases in an answer.
#[derive(serde::Deserialize)]
struct Leased {
    #[serde(default)]
    tasks: Vec<LeasedTask>,
}

#[derive(serde::Deserialize)]
struct LeasedTask {
    task_id: TaskId,
    fence: i64,
}

fn leased(answer: &RawValue) -> Vec<LeasedTask> {
    let leased: Option<Leased> = serde_json::from_str(answer.get()).ok();
    leased.map(|it| it.tasks).unwrap_or_default()
}

fn has_tasks(answer: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Any<'a> {
        #[serde(borrow, default)]
        tasks: Vec<&'a RawValue>,
    }
    let any: Option<Any<'_>> = serde_json::from_str(answer.get()).ok();
    any.is_some_and(|it| !it.tasks.is_empty())
}

/// Sends a request that leases tasks. If the client disconnects before the answer, the tasks are given back.
async fn kept<V: Verb + Clone + Send + Sync + 'static>(
    state: &ClientState,
    verb: Method,
    ask: &V,
    parked: Duration,
) -> Result<Box<RawValue>, HttpError> {
    let hub = state.hub.clone();
    let params = ask.clone();
    let (reply, answer) = oneshot::channel();
    tokio::spawn(async move {
        let answer: Result<Box<RawValue>, _> = hub.send(verb, params, parked).await;
        let Err(Ok(unread)) = reply.send(answer) else {
            return;
        };
        for task in leased(&unread) {
            let release = ReleaseParams {
                task_id: task.task_id,
                fence: Some(task.fence),
                reason: Some("the client disconnected before it got the task".to_owned()),
                ..ReleaseParams::default()
            };
            if let Err(error) = hub.request(release).await {
                tracing::warn!(task_id = task.task_id, %error, "a lease without a client could not be released");
            }
        }
    });
    match answer.await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(HttpError::panicked()),
    }
}
