//! `schedule_add`: adds a schedule, by which the hub adds a task again and again, or once at a time.
//!
//! ```text
//! {"id":1,"method":"schedule_add","params":{"name":"nightly","cron":"0 3 * * *","tz":"Europe/Berlin","task":{"prompt":"Check the links"}}}
//! {"id":1,"result":{"name":"nightly","next_at":1790000000.0},"error":null}
//! ```

use super::key_add::key_name;
use super::{seconds, skip_zero};
use crate::group::LABELS;
use crate::schedule::{
    JITTER_MS, MissedPolicy, OverlapPolicy, SCHEDULE_LABEL, SCHEDULE_TASK_BYTES, ScheduleSpec,
};
use crate::{Error, Limits, Method, NewTask, Params, TYPE_PLAN, Verb};
use serde::{Deserialize, Serialize};

/// Parameters of a task that a schedule cannot have, with the reason.
const FOREIGN: [(&str, &str); 8] = [
    ("run_at", "the schedule has the times"),
    ("delay_seconds", "the schedule has the times"),
    (
        "idempotency_key",
        "the second firing would find the task of the first one",
    ),
    (
        "depends_on",
        "the second firing would depend on the same tasks",
    ),
    (
        "continues",
        "the second firing would continue the same conversation",
    ),
    ("parent_id", "the task of a schedule has no parent"),
    ("ends_with_parent", "the task of a schedule has no parent"),
    ("handoff", "a run hands over to a task, not to a schedule"),
];

/// The schedule to add.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleAddParams {
    /// Its unique name: letters, digits, `.`, `-`, `_` and `@`; at most 64.
    pub name: String,
    /// Its times.
    #[serde(flatten)]
    pub spec: ScheduleSpec,
    /// The task that each firing adds: parameters of `enqueue`, at most [`SCHEDULE_TASK_BYTES`] of JSON. It gets the label
    /// `schedule:NAME`.
    pub task: Box<NewTask>,
    /// The treatment of times that passed while the hub was down.
    #[cfg_attr(feature = "schema", schema(value_type = String, required = false))]
    pub missed: MissedPolicy,
    /// The behaviour while the last task is unfinished.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub overlap: OverlapPolicy,
    /// Each firing is delayed by a part of this, in milliseconds, which is always the same for one name and time.
    #[serde(
        rename = "jitter_seconds",
        serialize_with = "seconds",
        skip_serializing_if = "skip_zero"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = f64, required = false))]
    pub jitter_ms: u64,
    /// Whether it replaces a schedule of the same name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub replace: bool,
}

/// The added schedule, or the one that exists with the same definition.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleAddAnswer {
    /// Its name.
    pub name: String,
    /// Unix seconds of the next firing. `None` means that it is finished, which only one that existed can be.
    pub next_at: Option<f64>,
}

/// Whether a task is a run of a plan whose maps name items that a client has read.
fn has_sources(new: &NewTask) -> bool {
    let sources = new.metadata.as_ref().and_then(|it| it.get("sources"));
    new.task_type == TYPE_PLAN
        && sources.is_some_and(|it| it.as_object().is_none_or(|it| !it.is_empty()))
}

/// `jitter_seconds`, which is at most the interval: a later firing would overtake an earlier one.
fn read_jitter(params: &Params<'_>, spec: &ScheduleSpec) -> Result<u64, Error> {
    let jitter_ms = params
        .opt_seconds("jitter_seconds", JITTER_MS)?
        .unwrap_or(0);
    match spec {
        ScheduleSpec::Every { every_ms } if jitter_ms > *every_ms => {
            Err(params.refuse("jitter_seconds", "at most `every_seconds`"))
        }
        _ => Ok(jitter_ms),
    }
}

impl Verb for ScheduleAddParams {
    const METHOD: Method = Method::ScheduleAdd;
    type Answer = ScheduleAddAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<ScheduleAddParams, Error> {
        let name = key_name(params)?;
        let spec = ScheduleSpec::read(params)?;
        params.check_bytes("task", SCHEDULE_TASK_BYTES)?;
        let task = params
            .object("task")?
            .ok_or_else(|| params.refuse("task", "an object with the parameters of `enqueue`"))?;
        let mut new = NewTask::read(&task, limits)?;
        if let Some((foreign, why)) = FOREIGN.iter().find(|(it, _)| task.raw(it).is_some()) {
            return Err(task.refuse(foreign, &format!("left out: {why}")));
        }
        if has_sources(&new) {
            let rule = "without `sources`: items that a client has read belong to one run, so that such a plan cannot be scheduled yet";
            return Err(task.refuse("metadata", rule));
        }
        let label = format!("{SCHEDULE_LABEL}{name}");
        if !new.labels.contains(&label) {
            if new.labels.len() >= LABELS {
                let rule = format!("at most {} labels: the schedule adds one", LABELS - 1);
                return Err(task.refuse("labels", &rule));
            }
            new.labels.push(label);
        }
        let missed = match params.opt_text("missed")?.filter(|word| !word.is_empty()) {
            None => MissedPolicy::default(),
            Some(word) => word
                .parse()
                .map_err(|_| params.refuse("missed", MissedPolicy::RULE))?,
        };
        Ok(ScheduleAddParams {
            name,
            jitter_ms: read_jitter(params, &spec)?,
            spec,
            task: Box::new(new),
            missed,
            overlap: params.opt_word("overlap")?.unwrap_or(OverlapPolicy::Skip),
            replace: params.flag("replace", false)?,
        })
    }
}
