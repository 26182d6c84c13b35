//! The requests that a run's token allows: reports on its own run, and everything about the tasks below its own.

use kirosu_protocol::{
    Error, ErrorCode, Group, Method, NewTask, Request, Right, TYPE_PLAN, Target, TaskId, TaskRun,
    WaitTarget,
};
use serde_json::json;

/// A refusal, or the tasks that must be below the run's own.
type TasksBelow = Result<Vec<TaskId>, Error>;

/// Checks a request of a run, and binds it to the run: new tasks become children of the run's task, reports are those of its
/// lease. Whether the returned tasks are below the run's own, only the store knows.
///
/// # Errors
/// `forbidden`; `data.limit` is `tree` for a task that cannot be below the run's, else `data.right` is `run`.
pub fn bind(run: TaskRun, request: &mut Request) -> TasksBelow {
    let own = run.task_id;
    match request {
        Request::Hello(params) if params.session_id.is_none() => Ok(Vec::new()),
        request if !serves(request.method()) => Err(refusal(request.method())),
        Request::Ping(_) => Ok(Vec::new()),
        Request::Heartbeat(params) => {
            check_own(run, params.task_id)?;
            (params.fence, params.worker_id) = (Some(run.fence), None);
            Ok(Vec::new())
        }
        Request::Progress(params) => {
            check_own(run, params.task_id)?;
            (params.fence, params.worker_id) = (Some(run.fence), None);
            Ok(Vec::new())
        }
        Request::WaitChildren(params) => {
            if params.task_id == 0 {
                params.task_id = own;
            }
            check_own(run, params.task_id)?;
            (params.fence, params.worker_id) = (Some(run.fence), None);
            Ok(Vec::new())
        }
        Request::Enqueue(new) => bind_child(run, new),
        Request::EnqueueBatch(params) => {
            for new in &mut params.tasks {
                bind_child(run, new)?;
            }
            Ok(Vec::new())
        }
        Request::Get(params) => Ok(others(own, [params.task_id])),
        Request::List(params) => {
            let parent = *params.parent_id.get_or_insert(own);
            Ok(others(own, [parent]))
        }
        Request::Wait(params) => match &mut params.target {
            WaitTarget::Tasks(tasks) => without_own(own, tasks.clone()),
            WaitTarget::Group(group) => Ok(bind_group(own, group)),
        },
        Request::Cancel(params) => {
            params.by = Some(format!("the run of task {own}"));
            bind_target(own, &mut params.target)
        }
        Request::Retry(params) => bind_target(own, &mut params.target),
        request => Err(refusal(request.method())),
    }
}

/// The methods that a run may use.
const SERVED: [Method; 11] = [
    Method::Ping,
    Method::Heartbeat,
    Method::Progress,
    Method::WaitChildren,
    Method::Enqueue,
    Method::EnqueueBatch,
    Method::Get,
    Method::List,
    Method::Wait,
    Method::Cancel,
    Method::Retry,
];

/// Whether a run may use a method with some parameters.
pub fn serves(method: Method) -> bool {
    SERVED.contains(&method)
}

/// Whether the request is also for the tasks on which the run's own depends: their results are its input.
pub fn reads_dependencies(request: &Request) -> bool {
    match request {
        Request::Get(_) => true,
        Request::Wait(params) => matches!(params.target, WaitTarget::Tasks(_)),
        _ => false,
    }
}

fn check_own(run: TaskRun, task: TaskId) -> Result<(), Error> {
    let own = run.task_id;
    match task == own {
        true => Ok(()),
        false => Err(beyond_tree(format!(
            "a run reports on its own task {own} only, not on task {task}"
        ))),
    }
}

fn bind_child(run: TaskRun, new: &mut NewTask) -> TasksBelow {
    let own = run.task_id;
    if new.task_type == TYPE_PLAN {
        // Its tasks would pass by the limits of what a run may add.
        let message = "a run adds tasks, but no plans".to_owned();
        return Err(beyond_tree(message));
    }
    match new.parent_id {
        Some(parent) if parent != own => {
            let message = format!(
                "a run adds children to its own task {own} only, not to task {parent}: leave `parent_id` out"
            );
            return Err(beyond_tree(message));
        }
        _ => new.parent_id = Some(own),
    }
    // Keys belong to one hub; those of a run must neither find nor block those of others.
    if let Some(key) = &mut new.idempotency_key {
        *key = format!("run:{own}:{key}");
    }
    new.run = Some(run);
    match new.continues {
        Some(earlier) => without_own(own, vec![earlier]),
        None => Ok(Vec::new()),
    }
}

fn bind_target(own: TaskId, target: &mut Target) -> TasksBelow {
    match target {
        Target::Task(task) => without_own(own, vec![*task]),
        Target::Group(group) => Ok(bind_group(own, group)),
    }
}

/// Restricts a group to the children of one task.
fn bind_group(own: TaskId, group: &mut Group) -> Vec<TaskId> {
    let parent = *group.parent_id.get_or_insert(own);
    others(own, [parent])
}

fn without_own(own: TaskId, tasks: Vec<TaskId>) -> TasksBelow {
    match tasks.contains(&own) {
        true => Err(beyond_tree(format!(
            "a run can neither wait for its own task {own} nor change its state: name tasks below it"
        ))),
        false => Ok(tasks),
    }
}

fn others(own: TaskId, tasks: impl IntoIterator<Item = TaskId>) -> Vec<TaskId> {
    tasks.into_iter().filter(|task| *task != own).collect()
}

/// The refusal of a task that is not below the run's own, or does not exist.
pub fn not_below(task: TaskId, own: TaskId) -> Error {
    beyond_tree(format!(
        "no task {task} is below task {own}, whose run sends this: a run sees its own task, those below it and those on which it depends"
    ))
}

fn beyond_tree(message: String) -> Error {
    Error::new(ErrorCode::Forbidden, message).with_data(json!({ "limit": "tree" }))
}

fn refusal(method: Method) -> Error {
    let why = match (method, method.right()) {
        (Method::Ask, _) => ": to ask a person, enqueue a task of the type `human` and wait for it",
        (Method::Output, _) => ": print it, the run's output is kept",
        (Method::Hello, _) => " with a session: those are for agent hosts",
        (_, Right::Person) => ": a person decides, with a key of the role `person`",
        _ => "",
    };
    let served = SERVED.map(Method::name).join(", ");
    let message = format!(
        "`{}` is not for the token of a run{why}; it serves {served}, for its own task and those below it",
        method.name()
    );
    Error::new(ErrorCode::Forbidden, message).with_data(json!({ "right": "run" }))
}
