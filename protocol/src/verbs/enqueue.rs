//! `enqueue`: adds a task. It is durable when the answer is sent.
//!
//! ```text
//! {"id":1,"method":"enqueue","params":{"prompt":"Summarise README.md","queue":"docs","retry":{"initial_seconds":5}}}
//! {"id":1,"result":{"task_id":42},"error":null}
//! ```

use super::{seconds, seconds_or_null, skip_zero};
use crate::group::read_labels;
use crate::limits::{DAY_MS, LAST_MS};
use crate::run::TYPE_PLAN;
use crate::task::{DEFAULT_QUEUE, TYPE_CHAT, TYPE_HUMAN};
use crate::{
    Accept, Error, ErrorCode, Limits, Method, OnLost, Params, RetryPolicy, Status, TaskBudget,
    TaskId, TaskRun, Verb, weight,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::ops::RangeInclusive;

/// The default of `max_attempts` for a task with `retry`.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;
/// The range of `max_attempts`.
pub const ATTEMPTS: RangeInclusive<i64> = 1..=1000;
/// The most bytes of texts and values of a task with `continues`, and its most dependencies: it is stored in one commit.
const CONTINUING: (usize, usize) = (512 << 10, 100);
/// The range of `priority`.
pub const PRIORITIES: RangeInclusive<i64> = -1000..=1000;

/// A new task. Serialises as the parameters of `enqueue`. The hub reads an empty type as `chat` and an empty queue as `default`.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewTask {
    /// The instructions for the agent, or the code; may be empty.
    pub prompt: String,
    /// The system prompt; never empty.
    pub system_prompt: Option<String>,
    /// `chat`, `python`, `human`, or another name that workers agree on.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub task_type: String,
    /// The queue.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub queue: String,
    /// A task with a greater priority is leased first; see [`PRIORITIES`].
    #[cfg_attr(feature = "schema", schema(minimum = -1000, maximum = 1000, required = false))]
    pub priority: i32,
    /// Unix milliseconds before which the task does not run.
    #[serde(rename = "run_at", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub run_at_ms: Option<i64>,
    /// Milliseconds from the enqueue before which the task does not run; at most 3660 days. 0 means no delay. Not together with
    /// `run_at_ms`.
    #[serde(
        rename = "delay_seconds",
        serialize_with = "seconds",
        skip_serializing_if = "skip_zero"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = f64, required = false))]
    pub delay_ms: u64,
    /// The most attempts, 1 to 1000. `None` means 3 with `retry`; without it a failed ack is final and a lost lease is retried
    /// without a limit.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 1000))]
    pub max_attempts: Option<u32>,
    /// The pauses between attempts. `None` with `max_attempts` means the hub's default.
    #[serde(serialize_with = "retry_in_seconds")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::schema::RetrySchema>))]
    pub retry: Option<RetryPolicy>,
    /// The longest run, in milliseconds; at most 366 days.
    #[serde(rename = "timeout_seconds", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub timeout_ms: Option<u64>,
    /// A key; a second request with the same key returns the first one's task instead of a new one.
    pub idempotency_key: Option<String>,
    /// The tasks that must be done first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<i64>, required = false))]
    pub depends_on: Vec<TaskId>,
    /// The finished task whose conversation this one goes on with, in the same folder. Queue and type are empty then unless they
    /// are given, and come from that task like all that is not given.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub continues: Option<TaskId>,
    /// The task of which this one is a part.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub parent_id: Option<TaskId>,
    /// Whether the task is cancelled when its parent reaches a final state.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub ends_with_parent: bool,
    /// Whether it goes on with the work of the task whose run adds it, once that is done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub handoff: bool,
    /// Whether a person must approve the task before it runs.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub requires_approval: bool,
    /// The preferred provider; the pool decides.
    pub provider: Option<String>,
    /// The preferred model; the pool decides.
    pub model: Option<String>,
    /// The directory within the pool's workspace; at most 4096 bytes.
    pub workdir: Option<String>,
    /// The consequence of a lost or crashed run.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub on_lost: OnLost,
    /// The budget of the task, and of the task with its descendants.
    pub budget: Option<TaskBudget>,
    /// The conditions for the task to be done.
    pub accept: Option<Box<Accept>>,
    /// Labels, by which groups of tasks are selected: at most [`LABELS`](crate::group::LABELS), without duplicates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub labels: Vec<String>,
    /// Any JSON; the hub stores it and returns it with the task.
    pub metadata: Option<Value>,
    /// The run that adds the task, a child of the run's own task then. The hub sets it, from the token of the request.
    #[serde(skip)]
    pub run: Option<TaskRun>,
}

impl NewTask {
    /// A `chat` task in the default queue, with the defaults of all other fields.
    pub fn chat(prompt: impl Into<String>) -> NewTask {
        NewTask {
            prompt: prompt.into(),
            task_type: TYPE_CHAT.into(),
            queue: DEFAULT_QUEUE.into(),
            ..NewTask::default()
        }
    }
}

fn read_retry(params: &Params<'_>) -> Result<Option<RetryPolicy>, Error> {
    let Some(fields) = params.object("retry")? else {
        return Ok(None);
    };
    let usual = RetryPolicy::default();
    let initial_ms = fields
        .opt_seconds("initial_seconds", 1..=DAY_MS)?
        .unwrap_or(usual.initial_ms);
    let max_ms = fields
        .opt_seconds("max_seconds", 1..=30 * DAY_MS)?
        .unwrap_or(usual.max_ms.max(initial_ms));
    let factor = fields
        .opt_float("factor", 1.0, 100.0)?
        .unwrap_or(usual.factor);
    if max_ms < initial_ms {
        return Err(fields.refuse("max_seconds", "at least `initial_seconds`"));
    }
    Ok(Some(RetryPolicy {
        initial_ms,
        max_ms,
        factor,
    }))
}

fn read_accept(params: &Params<'_>, limits: &Limits) -> Result<Option<Box<Accept>>, Error> {
    params.check_bytes("accept", limits.metadata_bytes)?;
    let accept = Accept::read(params)?;
    let task_type = params.opt_text("type")?;
    if accept.is_some() && task_type.as_deref() == Some(TYPE_PLAN) {
        return Err(params.refuse("accept", "left out of a plan: its steps have their own"));
    }
    if accept.is_some() && task_type.as_deref() == Some(TYPE_HUMAN) {
        return Err(params.refuse(
            "accept",
            "left out of a task of type `human`: a person answers it, and nothing is checked",
        ));
    }
    Ok(accept.map(Box::new))
}

/// Refuses what a task that continues another cannot have.
fn check_continuing(params: &Params<'_>, new: NewTask) -> Result<NewTask, Error> {
    if new.workdir.is_some() {
        return Err(params.refuse(
            "workdir",
            "left out with `continues`: the folder is that of the earlier task",
        ));
    }
    let (bytes, dependencies) = CONTINUING;
    let values = new.metadata.as_ref().map_or(0, weight)
        + new.accept.as_ref().map_or(0, |accept| accept.weight());
    let given = new.prompt.len() + new.system_prompt.as_ref().map_or(0, String::len) + values;
    if given > bytes || new.depends_on.len() > dependencies {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!(
                "a task with `continues` may have {bytes} bytes of texts and values, and {dependencies} dependencies"
            ),
        ));
    }
    Ok(new)
}

fn read_on_lost(params: &Params<'_>) -> Result<OnLost, Error> {
    match params.opt_text("on_lost")?.as_deref() {
        None | Some("" | "retry") => Ok(OnLost::Retry),
        Some("fail") => Ok(OnLost::Fail),
        Some("ask") => Ok(OnLost::Ask),
        Some(_) => Err(params.refuse("on_lost", "`retry`, `fail` or `ask`")),
    }
}

fn retry_in_seconds<S: Serializer>(
    retry: &Option<RetryPolicy>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Wire {
        initial_seconds: f64,
        max_seconds: f64,
        factor: f64,
    }
    let wire = retry.map(|r| Wire {
        initial_seconds: r.initial_ms as f64 / 1000.0,
        max_seconds: r.max_ms as f64 / 1000.0,
        factor: r.factor,
    });
    wire.serialize(serializer)
}

/// The new task, or the one that an earlier request with the same idempotency key added.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Enqueued))]
pub struct EnqueueAnswer {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// Whether an earlier request with the same key added it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub existed: bool,
    /// The state of a task that existed.
    pub status: Option<Status>,
}

/// The parameters of `enqueue` as a [`Request`](crate::Request) carries them: boxed, because they are large.
pub type EnqueueRequest = Box<NewTask>;

impl Verb for NewTask {
    const METHOD: Method = Method::Enqueue;
    type Answer = EnqueueAnswer;

    /// Reads the parameters of `enqueue`, or one entry of `enqueue_batch`.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<NewTask, Error> {
        let prompt = params.opt_scalar_text_within("prompt", limits.prompt_bytes)?;
        let retry = read_retry(params)?;
        let given = params.opt_int("max_attempts", ATTEMPTS)?.map(|n| n as u32);
        let run_at_ms = params.opt_seconds("run_at", 0..=LAST_MS)?;
        let delay_ms = params
            .opt_seconds("delay_seconds", 0..=3660 * DAY_MS)?
            .unwrap_or(0);
        if run_at_ms.is_some() && delay_ms > 0 {
            return Err(Error::invalid_params(
                "invalid params: give `run_at` or `delay_seconds`, not both",
            ));
        }
        let parent_id = params.opt_int("parent_id", 1..=i64::MAX)?;
        let continues = params.opt_int("continues", 1..=i64::MAX)?;
        let otherwise = |usual: &str| match continues {
            // The earlier task has it.
            Some(_) => String::new(),
            None => usual.to_owned(),
        };
        let new = NewTask {
            prompt: prompt.map_or_else(|| params.text("prompt"), Ok)?,
            system_prompt: params
                .opt_scalar_text_within("system_prompt", limits.prompt_bytes)?
                .filter(|t| !t.is_empty()),
            task_type: params
                .opt_name("type", limits)?
                .unwrap_or_else(|| otherwise(TYPE_CHAT)),
            queue: params
                .opt_name("queue", limits)?
                .unwrap_or_else(|| otherwise(DEFAULT_QUEUE)),
            priority: params.opt_int("priority", PRIORITIES)?.unwrap_or(0) as i32,
            run_at_ms: run_at_ms.map(|ms| ms as i64),
            delay_ms,
            max_attempts: given.or_else(|| retry.map(|_| DEFAULT_MAX_ATTEMPTS)),
            retry,
            timeout_ms: params.opt_seconds("timeout_seconds", 1..=366 * DAY_MS)?,
            idempotency_key: params.opt_name("idempotency_key", limits)?,
            depends_on: params.ids("depends_on", limits)?,
            continues,
            parent_id,
            ends_with_parent: params.flag("ends_with_parent", false)?,
            handoff: params.flag("handoff", false)?,
            requires_approval: params.flag("requires_approval", false)?,
            provider: params.opt_name("provider", limits)?,
            model: params.opt_name("model", limits)?,
            workdir: params
                .opt_text_within("workdir", 4096)?
                .filter(|t| !t.is_empty()),
            on_lost: read_on_lost(params)?,
            budget: TaskBudget::read(params)?,
            accept: read_accept(params, limits)?,
            labels: read_labels(params, "labels", limits)?,
            metadata: params.json("metadata", limits.metadata_bytes)?,
            run: None,
        };
        match continues {
            Some(_) => check_continuing(params, new),
            None => Ok(new),
        }
    }
}
