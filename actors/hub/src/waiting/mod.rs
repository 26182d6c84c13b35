//! The reason for which a task waits, as a pure function of the task and of facts inside and outside the store.

use kirosu_protocol::task::{TYPE_HUMAN, TYPE_PYTHON};
use kirosu_protocol::{
    ALL_QUEUES, LaneInfo, PoolInfo, Status, TYPE_PLAN, Task, WaitReason, Waiting,
};
use kirosu_store::{Dependency, WaitFacts};

/// The largest number of characters of an attempt's error in a message.
const ERROR_CHARS: usize = 200;

/// Facts outside the store, at the time of a query.
#[derive(Clone, Debug, Default)]
pub struct WaitContext {
    /// The pools of this process.
    pub pools: Vec<PoolInfo>,
    /// Whether the hub has stopped leasing tasks.
    pub draining: bool,
    /// Whether the hub hands out `python` tasks.
    pub python: bool,
}

/// Whether a task with this status waits for something.
pub fn waits(status: Status) -> bool {
    !status.is_final() && status != Status::Leased
}

/// The reason for which a task waits. `None` if it does not wait.
pub fn reason(task: &Task, facts: &WaitFacts, context: &WaitContext) -> Option<Waiting> {
    let id = task.task_id;
    Some(match task.status {
        Status::Blocked => dependency(facts.dependencies.get(&id)),
        Status::Scheduled => Waiting {
            until: task.run_at,
            ..later(task)
        },
        Status::AwaitingApproval => approval(task),
        Status::Queued if task.task_type == TYPE_HUMAN => simple(
            WaitReason::Answer,
            format!("a person has to answer it: kirosu answer {id} TEXT"),
        ),
        Status::Queued if task.task_type == TYPE_PLAN => simple(
            WaitReason::Busy,
            "for its turn: the hub carries out a limited number of runs of plans at the same time, and none of a paused queue",
        ),
        Status::Queued => queued(task, facts, context),
        Status::Leased | Status::Done | Status::Failed | Status::Cancelled => return None,
    })
}

fn simple(reason: WaitReason, message: impl Into<String>) -> Waiting {
    Waiting {
        reason,
        message: message.into(),
        until: None,
        task_id: None,
        pool: None,
    }
}

fn dependency(on: Option<&Dependency>) -> Waiting {
    let Some(on) = on else {
        return simple(
            WaitReason::Dependency,
            "all tasks that it depends on are done: it leaves `blocked` in a moment",
        );
    };
    let id = on.task_id;
    let state = match on.status {
        Status::Failed => format!("which has failed: kirosu retry {id}"),
        Status::Cancelled => format!("which was cancelled: kirosu retry {id}"),
        Status::AwaitingApproval => format!("which waits for approval: kirosu approve {id}"),
        Status::Leased => "which runs".to_owned(),
        status => format!("which is {status}"),
    };
    let more = match on.more {
        0 => String::new(),
        more => format!(", and for {more} more"),
    };
    Waiting {
        task_id: Some(id),
        ..simple(
            WaitReason::Dependency,
            format!("it waits for task {id}, {state}{more}"),
        )
    }
}

fn later(task: &Task) -> Waiting {
    // A task without an attempt has no worker. A task whose lease was given back has no error.
    match (&task.worker_id, last_error(task)) {
        (None, _) => simple(WaitReason::NotBefore, "its time has not come"),
        (_, Some(why)) => simple(
            WaitReason::Retry,
            format!("its next attempt follows after a pause; the last one failed: {why}"),
        ),
        (_, None) => simple(WaitReason::Retry, "its lease was given back for a while"),
    }
}

fn approval(task: &Task) -> Waiting {
    let id = task.task_id;
    let message = match last_error(task) {
        Some(why) => format!(
            "a person has to let it run again: kirosu approve {id}; its last attempt failed: {why}"
        ),
        None => format!("a person has to approve it: kirosu approve {id}"),
    };
    simple(WaitReason::Approval, message)
}

/// The beginning of the last attempt's error.
fn last_error(task: &Task) -> Option<String> {
    let error = task.error.as_deref()?;
    let line = error.lines().find(|line| !line.trim().is_empty())?.trim();
    Some(match line.char_indices().nth(ERROR_CHARS) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line.to_owned(),
    })
}

fn queued(task: &Task, facts: &WaitFacts, context: &WaitContext) -> Waiting {
    let queue = &task.queue;
    if context.draining {
        let message = "the hub drains: it leases nothing until it is restarted";
        return simple(WaitReason::Draining, message);
    }
    if facts.paused.iter().any(|paused| paused == ALL_QUEUES) {
        return simple(WaitReason::Paused, "all queues are paused: kirosu resume");
    }
    if facts.paused.contains(queue) {
        let message = format!("queue '{queue}' is paused: kirosu resume {queue}");
        return simple(WaitReason::Paused, message);
    }
    if task.task_type == TYPE_PYTHON && !context.python {
        let message = "python tasks run code, and this hub is not trusted with that any more: start it with hub.trust_all_tools = true, or cancel the task";
        return simple(WaitReason::NotTrusted, message);
    }
    let serving: Vec<&PoolInfo> = context.pools.iter().filter(|it| serves(it, task)).collect();
    let takes = |pool: &&&PoolInfo| pool.size > 0 && WaitReason::of_pool(&pool.state).is_none();
    if let Some(pool) = serving.iter().find(takes) {
        return running(pool);
    }
    // No pool can run it now: name the one that is expected back first.
    let first = serving.iter().min_by(|a, b| order(a).total_cmp(&order(b)));
    match first {
        Some(pool) => stopped(pool),
        None => unserved(task, facts, context),
    }
}

/// Whether a pool leases tasks of this queue and type.
fn serves(pool: &PoolInfo, task: &Task) -> bool {
    pool.queues.contains(&task.queue)
        && (pool.types.is_empty() || pool.types.contains(&task.task_type))
        && (pool.python || task.task_type != TYPE_PYTHON)
}

/// The Unix seconds at which the first of a pool's accounts is tried again.
fn retry_at(pool: &PoolInfo) -> Option<f64> {
    let parked = pool.lanes.iter().filter(|lane| is_parked(lane));
    parked
        .filter_map(|lane| lane.until)
        .min()
        .map(|at| at as f64)
}

fn is_parked(lane: &LaneInfo) -> bool {
    !matches!(lane.state.as_str(), "open" | "probing")
}

fn order(pool: &PoolInfo) -> f64 {
    retry_at(pool).unwrap_or(f64::INFINITY)
}

/// The reason for a task whose pool takes tasks.
fn running(pool: &PoolInfo) -> Waiting {
    let name = &pool.name;
    let full = |lane: &&LaneInfo| lane.concurrency.is_some_and(|most| lane.running >= most);
    let full = pool.lanes.iter().find(full);
    let (reason, message) = match full {
        _ if pool.busy >= pool.size => {
            let message = match pool.size {
                1 => format!("the one agent of pool '{name}' is busy"),
                size => format!("all {size} agents of pool '{name}' are busy"),
            };
            (WaitReason::Busy, message)
        }
        Some(lane) => (
            WaitReason::Busy,
            format!(
                "account '{}' of pool '{name}' runs as many at once as it may ({})",
                lane.account, lane.running
            ),
        ),
        None => (
            WaitReason::Next,
            format!("pool '{name}' takes it with its next free agent"),
        ),
    };
    Waiting {
        pool: Some(name.clone()),
        ..simple(reason, message)
    }
}

/// The reason for a task whose pool cannot run it now.
fn stopped(pool: &PoolInfo) -> Waiting {
    let name = &pool.name;
    let note = pool.note.as_deref().unwrap_or_default();
    let (reason, message) = match WaitReason::of_pool(&pool.state) {
        None => (
            WaitReason::NoAgents,
            format!("pool '{name}' has no agents: kirosu pool resize {name} 1"),
        ),
        Some(reason) => {
            let why = if note.is_empty() { &pool.state } else { note };
            // The note about a missing program or folder is already a full sentence.
            let why = match reason {
                WaitReason::AuthRequired => format!("a person has to log in: {why}"),
                WaitReason::RateLimited => {
                    format!("its account is over the provider's limit: {why}")
                }
                WaitReason::Network => format!("its provider cannot be reached: {why}"),
                WaitReason::BudgetExhausted => format!("a budget is used up: {why}"),
                WaitReason::Short => format!("the machine is short of something: {why}"),
                WaitReason::Failing => format!("its runs fail at once: {why}"),
                WaitReason::NotTrusted => format!("it is not trusted: {why}"),
                WaitReason::GaveUp => format!("its agents crash: {why}"),
                _ => why.to_owned(),
            };
            (reason, format!("pool '{name}' takes no tasks: {why}"))
        }
    };
    Waiting {
        until: retry_at(pool),
        pool: Some(name.clone()),
        ..simple(reason, message)
    }
}

/// The reason for a task that no pool of this process serves.
fn unserved(task: &Task, facts: &WaitFacts, context: &WaitContext) -> Waiting {
    let Task {
        queue, task_type, ..
    } = task;
    if let Some(leased) = facts.leased.get(&(queue.clone(), task_type.clone())) {
        let message = match leased {
            1 => format!("the worker of queue '{queue}' is busy with another task"),
            many => format!("the workers of queue '{queue}' are busy with {many} other tasks"),
        };
        return simple(WaitReason::Busy, message);
    }
    let by_queue = |pool: &&PoolInfo| pool.queues.contains(queue);
    let what = match context.pools.iter().find(by_queue) {
        Some(pool) => format!(
            "pool '{}' serves queue '{queue}', but not type '{task_type}'",
            pool.name
        ),
        None if context.pools.is_empty() => "this hub has no pools".to_owned(),
        None => format!("no pool serves queue '{queue}'"),
    };
    simple(
        WaitReason::NoWorker,
        format!(
            "{what}, and no worker is at work on its tasks: name the queue in a pool's `queues`, start a worker for it, or \
             enqueue into another queue"
        ),
    )
}

#[cfg(test)]
mod tests;
