//! Groups of tasks, selected by label, queue, parent and ranges of ids. `list`, `wait`, `cancel` and `retry` take a group
//! instead of single tasks.

use crate::{Error, Limits, Params, TaskId};
use serde::{Serialize, Serializer};

/// The most labels of a task or of a group.
pub const LABELS: usize = 16;
/// The most ranges of ids of a group.
pub const RANGES: usize = 100;

/// The ids from `first` to `last`, both included; 1 <= `first` <= `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The smallest id.
    pub first: TaskId,
    /// The largest id.
    pub last: TaskId,
}

impl IdRange {
    /// Reads `42` or `12-40`. `None` for any other text.
    pub fn parse(text: &str) -> Option<IdRange> {
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (first.trim().parse().ok()?, last.trim().parse().ok()?),
            None => {
                let id = text.trim().parse().ok()?;
                (id, id)
            }
        };
        (1 <= first && first <= last).then_some(IdRange { first, last })
    }
}

impl std::fmt::Display for IdRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl Serialize for IdRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The tasks that match every given condition. Serialises as the parameters of the verbs that take a group.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Group {
    /// The tasks have all of these labels.
    #[serde(rename = "label", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub labels: Vec<String>,
    /// The tasks are in this queue.
    pub queue: Option<String>,
    /// The tasks have this parent.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub parent_id: Option<TaskId>,
    /// The tasks' ids are in one of these ranges. Empty means any id.
    #[serde(rename = "ids", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>, required = false))]
    pub ranges: Vec<IdRange>,
}

impl Group {
    /// Whether no condition is given. Such a group is refused or ignored; it never means all tasks.
    pub fn is_empty(&self) -> bool {
        *self == Group::default()
    }

    /// Reads `label`, `queue`, `parent_id` and `ids`. Empty if none of them is given.
    ///
    /// # Errors
    /// `invalid_params` for a label that is blank or has control characters, for more than [`LABELS`] labels or [`RANGES`]
    /// ranges, and for `ids` that are neither ids nor ranges.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<Group, Error> {
        Ok(Group {
            labels: read_labels(params, "label", limits)?,
            queue: params.opt_name("queue", limits)?,
            parent_id: params.opt_int("parent_id", 1..=i64::MAX)?,
            ranges: read_ranges(params)?,
        })
    }

    /// Reads the group of a verb that takes either single tasks, in the parameter `single`, or a group. `None` if `single` or
    /// no group is given.
    ///
    /// # Errors
    /// As [`Group::read`]; `invalid_params` if `label` or `ids` are given together with `single`.
    pub fn instead_of(
        single: &str,
        params: &Params<'_>,
        limits: &Limits,
    ) -> Result<Option<Group>, Error> {
        if params.raw(single).is_some() {
            return match ["label", "ids"]
                .into_iter()
                .find(|name| params.raw(name).is_some())
            {
                Some(name) => Err(params.refuse(name, &format!("left out beside `{single}`"))),
                None => Ok(None),
            };
        }
        Ok(Some(Group::read(params, limits)?).filter(|group| !group.is_empty()))
    }
}

/// The tasks that `cancel` and `retry` change. Serialises, flattened, as their parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Target {
    /// This task.
    #[serde(rename = "task_id")]
    Task(TaskId),
    /// All tasks of this group, which is not empty.
    #[serde(untagged)]
    Group(Group),
}

impl Target {
    /// Reads `task_id`, or the parameters of a group.
    ///
    /// # Errors
    /// As [`Group::read`]; `invalid_params` when neither is given, and for `label` or `ids` together with `task_id`.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<Target, Error> {
        match Group::instead_of("task_id", params, limits)? {
            Some(group) => Ok(Target::Group(group)),
            None => params.task_id().map(Target::Task),
        }
    }
}

/// Reads a list of labels without duplicates. A string is a list with one element.
pub(crate) fn read_labels(
    params: &Params<'_>,
    name: &str,
    limits: &Limits,
) -> Result<Vec<String>, Error> {
    let mut labels: Vec<String> = Vec::new();
    for label in params.names(name, limits)? {
        if label.trim().is_empty() || label.chars().any(char::is_control) {
            return Err(params.refuse(name, "names that are not blank, without control characters"));
        }
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    match labels.len() > LABELS {
        true => Err(params.refuse(name, &format!("at most {LABELS} labels"))),
        false => Ok(labels),
    }
}

fn read_ranges(params: &Params<'_>) -> Result<Vec<IdRange>, Error> {
    let Some(raw) = params.raw("ids") else {
        return Ok(Vec::new());
    };
    let rule = || {
        let rule = format!("at most {RANGES} task ids and ranges of them, such as [42, \"12-40\"]");
        params.refuse("ids", &rule)
    };
    let value: serde_json::Value = serde_json::from_str(raw).map_err(|_| rule())?;
    let words: Vec<String> = match value {
        serde_json::Value::Array(items) => items.iter().map(word).collect(),
        // A query of REST has one text: `42,50-60`.
        one => word(&one).split(',').map(str::to_owned).collect(),
    };
    let ranges: Option<Vec<IdRange>> = words.iter().map(|text| IdRange::parse(text)).collect();
    ranges
        .filter(|ranges| (1..=RANGES).contains(&ranges.len()))
        .ok_or_else(rule)
}

fn word(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
