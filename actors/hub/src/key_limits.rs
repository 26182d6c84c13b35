//! The limits of a key, applied to each request that it allows.

use crate::credentials::LiveKey;
use kirosu_protocol::task::TYPE_PYTHON;
use kirosu_protocol::{
    AccessRole, Error, ErrorCode, LeaseParams, NewTask, Request, Scope, TYPE_PLAN,
};
use serde_json::json;

/// Checks a request against the limits of its key, and puts the key's name in the place of the name that the request claims.
///
/// # Errors
/// `forbidden` for a request beyond the limits; `data.limit` names the limit.
pub fn apply(key: &LiveKey, request: &mut Request) -> Result<(), Error> {
    set_name(&key.name, request);
    match request {
        Request::Enqueue(new) => limit_new(key, new)?,
        Request::EnqueueBatch(params) => {
            let mut tasks = params.tasks.iter_mut();
            tasks.try_for_each(|new| limit_new(key, new))?;
        }
        Request::ScheduleAdd(params) => limit_new(key, &mut params.task)?,
        Request::RunResume(params) => {
            if let Some(plan) = &mut params.plan {
                limit_plan(key)?;
                if !key.scope.python {
                    plan.programs = Some(false);
                }
            }
        }
        Request::RetryFailed(params) => check_all_failed(key, params.queue.as_deref())?,
        Request::Lease(params) => check_lease(key, params)?,
        Request::Ack(params) => {
            if let Some(lease) = &mut params.lease {
                check_lease(key, lease)?;
            }
        }
        Request::Reserve(params) => {
            for limit in &params.scopes {
                if let Scope::Pool(pool) = &limit.scope {
                    check_name(key, "pools", &key.scope.pools, pool)?;
                }
            }
        }
        Request::Ask(request) => {
            let pool = request.pool.as_deref().unwrap_or_default();
            check_name(key, "pools", &key.scope.pools, pool)?;
        }
        Request::PoolDown(params) => check_name(key, "pools", &key.scope.pools, &params.pool)?,
        _ => {}
    }
    Ok(())
}

/// Puts a party's own name in the place of the name that its request claims.
pub fn set_name(who: &str, request: &mut Request) {
    let by = match request {
        Request::Approve(params) => &mut params.by,
        Request::Reject(params) => &mut params.by,
        Request::Answer(params) => &mut params.by,
        Request::Cancel(params) => &mut params.by,
        Request::WebTicket(params) => &mut params.by,
        _ => return,
    };
    *by = Some(who.to_owned());
}

/// Whether tasks that the key changes must be within its limits.
pub fn limits_tasks(key: &LiveKey) -> bool {
    let scope = &key.scope;
    key.role == AccessRole::Enqueue
        && !(scope.queues.is_empty() && scope.types.is_empty() && scope.labels.is_empty())
}

/// Checks a new task. A plan of a key that may not enqueue code runs no programs, whatever its planners plan.
fn limit_new(key: &LiveKey, new: &mut NewTask) -> Result<(), Error> {
    // The store checks a task that continues another: it has queue, type and labels of that.
    if new.continues.is_none()
        && let Some(limit) = key.scope.excludes(&new.queue, &new.task_type, &new.labels)
    {
        return Err(beyond(key, limit, "its task"));
    }
    if new.task_type == TYPE_PLAN {
        limit_plan(key)?;
    }
    if new.task_type == TYPE_PYTHON && !key.scope.python {
        return Err(beyond(key, "python", "its task"));
    }
    if new.task_type == TYPE_PLAN && !key.scope.python {
        let metadata = new.metadata.get_or_insert_with(|| json!({}));
        let Some(fields) = metadata.as_object_mut() else {
            let message = "invalid params: `metadata` of a task of the type plan is an object";
            return Err(Error::invalid_params(message));
        };
        fields.insert("programs".to_owned(), false.into());
    }
    Ok(())
}

/// The steps of a plan name pools, which are queues.
fn limit_plan(key: &LiveKey) -> Result<(), Error> {
    match key.scope.queues.is_empty() {
        true => Ok(()),
        false => Err(beyond(key, "queues", "a plan")),
    }
}

/// `retry_failed` is about whole queues.
fn check_all_failed(key: &LiveKey, queue: Option<&str>) -> Result<(), Error> {
    if !limits_tasks(key) {
        return Ok(());
    }
    if !key.scope.types.is_empty() {
        return Err(beyond(key, "types", "a whole queue"));
    }
    if !key.scope.labels.is_empty() {
        return Err(beyond(key, "labels", "a whole queue"));
    }
    check_name(key, "queues", &key.scope.queues, queue.unwrap_or("*"))
}

/// A lease of any type is narrowed to the types of the key.
fn check_lease(key: &LiveKey, params: &mut LeaseParams) -> Result<(), Error> {
    for queue in &params.queues {
        check_name(key, "queues", &key.scope.queues, queue)?;
    }
    if params.types.is_empty() {
        params.types.clone_from(&key.scope.types);
    }
    for task_type in &params.types {
        check_name(key, "types", &key.scope.types, task_type)?;
    }
    Ok(())
}

fn check_name(
    key: &LiveKey,
    limit: &'static str,
    allowed: &[String],
    name: &str,
) -> Result<(), Error> {
    let is_allowed = allowed.is_empty() || allowed.iter().any(|it| it == name);
    match is_allowed {
        true => Ok(()),
        false => Err(beyond(key, limit, &format!("`{name}`"))),
    }
}

fn beyond(key: &LiveKey, limit: &'static str, what: &str) -> Error {
    let message = format!(
        "{what} is beyond the limit `{limit}` of the key `{}`; `kirosu key list` shows its limits",
        key.name
    );
    Error::new(ErrorCode::Forbidden, message).with_data(json!({ "limit": limit }))
}
