//! Compiled plans: without aliases, defaults filled in, durations in milliseconds and sizes in bytes.

mod work;

pub use work::*;

use crate::limits::{DEPTH, INSERT_BYTES, ITEMS, STEPS, TASKS};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::skip_serializing_none;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A plan that has no fault.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The name; `None` means that of the file.
    pub name: Option<String>,
    /// The purpose, for people.
    pub description: Option<String>,
    /// The values that a run is given.
    #[serde(default)]
    pub inputs: BTreeMap<String, PlanInput>,
    /// The limits of a run.
    #[serde(default)]
    pub limits: PlanLimits,
    /// The share of a run among other runs.
    pub weight: u32,
    /// The steps.
    pub pipeline: Vec<Step>,
}

impl Plan {
    /// The given values of inputs, and the defaults of the others. An input without either is not among them, so that a template
    /// that names it is refused.
    pub fn filled(&self, given: &Map<String, Value>) -> Map<String, Value> {
        let defaults = self.inputs.iter();
        let defaults =
            defaults.filter_map(|(name, input)| Some((name.clone(), input.default.clone()?)));
        let mut values: Map<String, Value> = defaults.collect();
        values.extend(given.clone());
        values
    }

    /// The plan as JSON with sorted keys and without blanks: equal plans have equal texts, whatever their format was.
    pub fn canonical(&self) -> String {
        // A plan has no keys that are not texts, so it always is a value.
        let value = serde_json::to_value(self).unwrap_or_default();
        sorted(value).to_string()
    }

    /// The identity of the plan: the SHA-256 of [`canonical`](Self::canonical) in hexadecimal.
    pub fn hash(&self) -> String {
        let hash = Sha256::digest(self.canonical().as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The value with sorted keys, also if a crate enables the feature `preserve_order` of serde_json.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            fields
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect()
        }
        Value::Array(list) => list.into_iter().map(sorted).collect(),
        value => value,
    }
}

/// A value that a run is given.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanInput {
    /// The meaning, for people.
    pub description: Option<String>,
    /// The value of a run that is not given one.
    pub default: Option<Value>,
    /// Whether a run must be given a value.
    pub required: bool,
    /// The type; `None` means any.
    pub r#type: Option<InputType>,
    /// The allowed values.
    pub r#enum: Option<Vec<Value>>,
}

/// The type of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// A table.
    Object,
}

impl InputType {
    /// Whether a value has this type.
    pub fn takes(self, value: &Value) -> bool {
        match self {
            InputType::Text => value.is_string(),
            InputType::Integer => value.is_i64() || value.is_u64(),
            InputType::Number => value.is_number(),
            InputType::Boolean => value.is_boolean(),
            InputType::List => value.is_array(),
            InputType::Object => value.is_object(),
        }
    }
}

/// Limits of a run, which its sub-runs inherit.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanLimits {
    /// Tokens of all tasks together.
    pub tokens: Option<u64>,
    /// US dollars of all tasks together.
    pub usd: Option<f64>,
    /// Milliseconds from the start to the end.
    pub deadline_ms: Option<u64>,
    /// Tasks.
    pub tasks: u64,
    /// Levels of runs.
    pub depth: u64,
    /// Open tasks; `None` means twice the sessions that can take them.
    pub concurrency: Option<u64>,
    /// The greatest number of passes of a loop; `None` means the hardest value.
    pub passes: Option<u64>,
    /// Items of each map.
    pub items: u64,
    /// Steps of the plan.
    pub steps: u64,
    /// Bytes that one insertion of a result into a template may have.
    pub max_insert_bytes: u64,
    /// The only pools that may be named; `None` means any.
    pub pools: Option<Vec<String>>,
}

impl Default for PlanLimits {
    fn default() -> PlanLimits {
        PlanLimits {
            tokens: None,
            usd: None,
            deadline_ms: None,
            tasks: TASKS.default,
            depth: DEPTH.default,
            concurrency: None,
            passes: None,
            items: ITEMS.default,
            steps: STEPS.default,
            max_insert_bytes: INSERT_BYTES.default,
            pools: None,
        }
    }
}

/// A step.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The name, unique in the plan.
    pub id: String,
    /// The steps that must end first, that of `reduce.of` included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// The expression that decides whether the step runs.
    pub r#if: Option<String>,
    /// Whether the step runs at the end, whatever happened.
    pub always: bool,
    /// Whether the run goes on if the step fails.
    pub may_fail: bool,
    /// The kind of step.
    pub work: Work,
    /// Template of the prompt.
    pub prompt: Option<String>,
    /// Template of the system prompt.
    pub system: Option<String>,
    /// The pool.
    pub pool: Option<String>,
    /// The pool, if there is one of this name; else the default pool.
    pub module: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// Template of the model's name.
    pub model: Option<String>,
    /// The form of the result.
    pub result: Option<ResultForm>,
    /// The conditions of the result, as the protocol's `accept`.
    pub accept: Option<Value>,
    /// The effects of a run on the world.
    pub effects: Effects,
    /// The use of earlier results; `None` means no use.
    pub cache: Option<CacheRule>,
    /// The longest run of a task, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Attempts per task.
    pub max_attempts: Option<u32>,
    /// Pauses between attempts.
    pub retry: Option<RetryPauses>,
    /// Labels of the tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Priority of the tasks.
    pub priority: i32,
    /// Template of the folder inside the workspace.
    pub workdir: Option<String>,
    /// Whether results in the prompt are marked as results of other agents.
    pub fence: bool,
}

impl Step {
    /// Whether it is a reduce that may begin before this step, whose results it merges, has ended.
    pub fn merges_early(&self, id: &str) -> bool {
        matches!(&self.work, Work::Reduce(work) if work.of == id && work.early.0)
    }

    /// The texts of which its tasks are made, each with whether it is an expression.
    pub fn templates(&self) -> impl Iterator<Item = (&str, bool)> {
        let texts = [&self.prompt, &self.system, &self.model, &self.workdir];
        let texts = texts.into_iter().flatten();
        texts.map(|text| (text.as_str(), false))
    }
}

/// The form of a result.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultForm {
    /// The JSON schema of the result.
    pub schema: Option<Value>,
    /// Whether the result of a batch is a list with one element per item.
    pub each: bool,
}

/// The effects of a run on the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effects {
    /// No effects: its result may be used again.
    None,
    /// A second run does no harm.
    Repeatable,
    /// It must not run twice without a person's decision.
    Once,
}

/// The use of earlier results.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheRule {
    /// The greatest age of a result, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// The tasks whose results count: `run`, `plan` or `hub`.
    pub scope: String,
}

/// Pauses between attempts; `None` means the hub's default.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPauses {
    /// The first pause, in milliseconds.
    pub initial_ms: Option<u64>,
    /// The longest pause, in milliseconds.
    pub max_ms: Option<u64>,
    /// The ratio of a pause to the one before.
    pub factor: Option<f64>,
}

/// The value of `prev` and `best` in the first pass of a loop: each step with nothing in each attribute, so that
/// `prev.write.result or "..."` has a value.
pub fn no_earlier_pass(steps: &[Step]) -> Value {
    let nothing = || {
        let attributes = crate::check::STEP_ATTRIBUTES.iter();
        let pairs = attributes.map(|name| ((*name).to_owned(), Value::Null));
        Value::Object(pairs.collect())
    };
    steps
        .iter()
        .map(|step| (step.id.clone(), nothing()))
        .collect()
}
