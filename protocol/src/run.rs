//! Runs of plans: a run is a task of the type `plan`, which the hub itself carries out. Its steps make further tasks, the
//! children of that task.
//!
//! The prompt of such a task is the plan. [`PlanMetadata`] is its metadata.

use crate::{Task, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The type of a task whose prompt is a plan. Workers never lease it.
pub const TYPE_PLAN: &str = "plan";

/// The beginning of the reason of a run that waits because its budget is used up.
pub const BUDGET_REASON: &str = "budget: ";
/// The beginning of the reason of a run that waits for a person's answer to the question of a step.
pub const PERSON_REASON: &str = "person: ";
/// The beginning of the reason of a run whose tasks wait for a person's approval.
pub const APPROVAL_REASON: &str = "approval: ";

/// The number of a source of items.
pub type SourceId = i64;

/// The metadata of a task of the type [`TYPE_PLAN`].
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanMetadata {
    /// The name of the run for people. `None` means that of the plan.
    pub name: Option<String>,
    /// The format of the prompt: `yaml` (also for JSON) or `toml`.
    pub format: Option<String>,
    /// The values of the plan's inputs, by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
    /// The items of maps that the client has read, by the id of the step; for a step of a run below by [`source_below`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceId>,
    /// Whether steps may run programs. The hub sets false for a key that may not enqueue code. `None`: they may.
    pub programs: Option<bool>,
    /// The limits that the run above has left. The hub sets them for runs below others.
    #[serde(skip_serializing_if = "LimitsLeft::is_empty")]
    pub limits: LimitsLeft,
    /// The texts of the plans that the steps name, by name or path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<String, String>,
}

impl PlanMetadata {
    /// The sources of the run of a step, as the metadata of that run names them.
    pub fn sources_of(&self, step: &str) -> BTreeMap<String, SourceId> {
        let below = source_below(step, "");
        let sources = self.sources.iter();
        let sources = sources.filter_map(|(key, id)| Some((key.strip_prefix(&below)?, *id)));
        sources.map(|(key, id)| (key.to_owned(), id)).collect()
    }
}

/// The name of a step that has a source in a run below: `sub/read` is the step `read` of the run of the step `sub`.
pub fn source_below(step: &str, key: &str) -> String {
    format!("{step}/{key}")
}

/// A plan as it was sent.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanText {
    /// The text.
    pub text: String,
    /// Its format: `yaml` (also for JSON) or `toml`. `None` means `yaml`.
    pub format: Option<String>,
    /// Whether its steps may run programs. The hub sets false for a key that may not enqueue code. `None`: as before.
    pub programs: Option<bool>,
    /// The texts of the plans that its steps name, by name or path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<String, String>,
}

/// Limits beyond those of a plan itself: the smaller ones hold.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsLeft {
    /// Levels of runs, counted from the highest run.
    pub depth: Option<u64>,
    /// Tasks of the run.
    pub tasks: Option<u64>,
    /// The only pools that the plan may name.
    pub pools: Option<Vec<String>>,
    /// Whether a person is asked about the plan of each planner, whatever the plan says.
    pub ask: Option<bool>,
}

impl LimitsLeft {
    /// Whether it sets no limit.
    pub fn is_empty(&self) -> bool {
        *self == LimitsLeft::default()
    }
}

/// The folder of the results of steps, in the folder in which a task runs that reads them.
pub const RESULTS_FOLDER: &str = ".kirosu/results";

/// The field `run` in the metadata of a task that a step has made. Any client can write the same: the hub trusts it only of a task
/// that is an item of the step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTask {
    /// The run.
    pub id: TaskId,
    /// The path of the step.
    pub step: String,
    /// The key of the item, or of the first of several.
    pub key: String,
    /// The results that the task finds as files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ResultFile>,
}

/// The result of a step as a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResultFile {
    /// The path of the step in the run.
    pub step: String,
    /// The path of the file, below [`RESULTS_FOLDER`] in the folder of the task.
    pub path: String,
    /// That of the result, as `run_file` answers it: tasks of one version can share a file.
    pub version: String,
}

impl ResultFile {
    /// The parts of the path below [`RESULTS_FOLDER`]: a folder and a file. `None`: it leads elsewhere.
    pub fn parts(&self) -> Option<(&str, &str)> {
        let below = self.path.strip_prefix(RESULTS_FOLDER)?.strip_prefix('/')?;
        let (folder, file) = below.split_once('/')?;
        let is_name = |name: &str| {
            let mut chars = name.chars();
            chars
                .next()
                .is_some_and(|first| first.is_ascii_alphanumeric() || first == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        (is_name(folder) && is_name(file)).then_some((folder, file))
    }
}

impl StepTask {
    /// That of a task; `None` for one that no step has made.
    pub fn of(task: &Task) -> Option<StepTask> {
        let run = task.metadata.as_ref()?.get("run")?;
        StepTask::deserialize(run).ok()
    }
}

/// Why a task was made for an item of a step with `cache`: `run.not_cached` in the metadata of the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum CacheMiss {
    /// No task of this item was noted in the scope of the cache.
    Nothing,
    /// The newest one got something else.
    Differs {
        /// That task.
        task_id: TaskId,
        /// The names of the parts that differ, such as `prompt`.
        parts: Vec<String>,
    },
    /// The result of an equal task was too old.
    Expired {
        /// That task.
        task_id: TaskId,
        /// Unix seconds at which it was no longer taken.
        at: f64,
    },
    /// An equal task had no result: it ran, failed or was cancelled.
    NotDone {
        /// That task.
        task_id: TaskId,
    },
}

wire_enum! {
    /// The state of a run.
    pub enum RunState {
        /// Not begun: its task waits for its time, for other tasks, for a person or for its turn.
        Pending,
        /// Under way.
        Open,
        /// Under way, but nothing goes on before a person has decided or raised a limit; the reason says what.
        Waiting,
        /// Under way, but nothing new starts.
        Paused,
        /// Ended: every step is done or was skipped.
        Done,
        /// Ended: some items failed that may fail, or a step that may fail did.
        Partial,
        /// Ended: a step failed.
        Failed,
        /// Ended by `cancel`.
        Cancelled,
    }
}

impl RunState {
    /// Whether the run has ended.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            RunState::Done | RunState::Partial | RunState::Failed | RunState::Cancelled
        )
    }
}

wire_enum! {
    /// The state of a step.
    pub enum StepState {
        /// A step that it depends on has not ended.
        Pending,
        /// Its tasks run, or it waits; the reason says for what.
        Open,
        /// Ended: all its items are done.
        Done,
        /// Ended: no more items failed than may fail.
        Partial,
        /// Ended without a result.
        Failed,
        /// Its `if` did not hold.
        Skipped,
        /// A step that it depends on has no result.
        Omitted,
        /// Ended because the run, or the race, has ended.
        Cancelled,
    }
}

impl StepState {
    /// Whether the step has ended.
    pub fn is_final(self) -> bool {
        !matches!(self, StepState::Pending | StepState::Open)
    }

    /// Whether steps that depend on one in this state may run.
    pub fn satisfies(self) -> bool {
        matches!(
            self,
            StepState::Done | StepState::Partial | StepState::Skipped
        )
    }
}

wire_enum! {
    /// The state of an item of a step.
    pub enum ItemState {
        /// Its task is to be made again.
        Waiting,
        /// Its task has not ended.
        Open,
        /// Its task is done.
        Done,
        /// Its task has failed.
        Failed,
        /// Its task was cancelled.
        Cancelled,
    }
}

/// A run in a list of runs. The counts are those of the items of all its steps; a step that makes one task has one item.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedRun {
    /// The task of the run.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The state.
    pub state: RunState,
    /// The reason for the state.
    pub reason: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The first line of the error.
    pub error: Option<String>,
    /// The tasks that its steps have made.
    pub made: u64,
    /// The steps that have begun.
    pub steps: u64,
    /// Items whose tasks have not ended.
    pub open: u64,
    /// Items that are done.
    pub done: u64,
    /// Items that failed.
    pub failed: u64,
    /// Items whose tasks were cancelled.
    pub cancelled: u64,
    /// Unix seconds of the enqueue.
    pub created_at: f64,
    /// Unix seconds of the end.
    pub ended_at: Option<f64>,
}

/// A step of a run. A step has one row per pass of the loops around it; they differ in `path`, as in `polish[2].write`.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StepInfo {
    /// The id of the step, behind those of the steps around it.
    pub path: String,
    /// The kind of step, as in docs/plans.md.
    pub kind: String,
    /// The state.
    pub state: StepState,
    /// The reason for the state, or what the step waits for.
    pub reason: Option<String>,
    /// The number of times that the step was begun anew after its end, by `run_retry`.
    pub generation: u64,
    /// The number of items, once it is known. A step that makes one task has one item.
    pub total: Option<u64>,
    /// Items whose tasks have been made.
    pub made: u64,
    /// Items whose tasks have not ended.
    pub open: u64,
    /// Items that are done.
    pub done: u64,
    /// Items that failed.
    pub failed: u64,
    /// Items whose tasks were cancelled.
    pub cancelled: u64,
    /// The task of a step that has made one task only.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// Unix seconds of its beginning.
    pub started_at: Option<f64>,
    /// Unix seconds of its end.
    pub ended_at: Option<f64>,
}

/// An item of a step: an element of the list of a map, one result of a reduce, one answer of a vote.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ItemInfo {
    /// The path of its step.
    pub step: String,
    /// Its position in the step, from 0.
    pub index: u64,
    /// Its identity within the step.
    pub key: String,
    /// The state.
    pub state: ItemState,
    /// Its newest task. Items of a batch have the same one.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// Whether the task was made for an earlier item, whose result this one has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// The kind of failure of an item that failed.
    pub class: Option<String>,
    /// The error of an item that failed.
    pub error: Option<String>,
    /// The result of an item that is done, if requested. Of a batch whose result has one element per item, its element: a text as
    /// it is, any other as JSON.
    pub result: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_below_the_folder_of_results() {
        let parts = |path: &str| {
            let file = ResultFile {
                path: path.to_owned(),
                ..ResultFile::default()
            };
            file.parts()
                .map(|(folder, file)| format!("{folder} {file}"))
        };
        assert_eq!(
            parts(".kirosu/results/run-4-1a/polish.2.write.txt"),
            Some("run-4-1a polish.2.write.txt".into())
        );
        for path in [
            "",
            "a/b",
            ".kirosu/results/a",
            ".kirosu/results/a/b/c",
            ".kirosu/results/../b",
            ".kirosu/results/a/..",
            ".kirosu/results//b",
            "x/.kirosu/results/a/b",
        ] {
            assert_eq!(parts(path), None, "{path}");
        }
    }
}
