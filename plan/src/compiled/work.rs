//! The kinds of steps.

use super::Step;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// The kind of a step, with its own fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// One task with the step's prompt.
    Task,
    /// One task per item.
    Map(MapWork),
    /// Results of a step, merged until one is left.
    Reduce(ReduceWork),
    /// Steps that are repeated.
    Loop(LoopWork),
    /// Steps of which the first that is done wins.
    Race(Vec<Step>),
    /// Several answers to one prompt.
    Vote(VoteWork),
    /// A person's decision.
    Approve(ApproveWork),
    /// A program.
    Run(RunWork),
    /// Another plan.
    Pipeline(PipelineWork),
    /// A planner.
    Plan(PlannerWork),
}

impl Work {
    /// The name of the kind.
    pub fn name(&self) -> &'static str {
        match self {
            Work::Task => "task",
            Work::Map(_) => "map",
            Work::Reduce(_) => "reduce",
            Work::Loop(_) => "loop",
            Work::Race(_) => "race",
            Work::Vote(_) => "vote",
            Work::Approve(_) => "approve",
            Work::Run(_) => "run",
            Work::Pipeline(_) => "pipeline",
            Work::Plan(_) => "plan",
        }
    }

    /// The inner steps of a loop or race; empty for other kinds.
    pub fn steps(&self) -> &[Step] {
        match self {
            Work::Loop(work) => &work.steps,
            Work::Race(steps) => steps,
            _ => &[],
        }
    }

    /// As [`steps`](Work::steps), to be changed.
    pub fn steps_mut(&mut self) -> &mut [Step] {
        match self {
            Work::Loop(work) => &mut work.steps,
            Work::Race(steps) => steps,
            _ => &mut [],
        }
    }
}

/// The fields of a map.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapWork {
    /// The items.
    pub over: Over,
    /// Template of an item's identity; `None` means the hash of its content.
    pub key: Option<String>,
    /// Items per task.
    pub batch: Batch,
    /// Items that run first.
    pub sample: Option<u64>,
    /// Whether a person agrees after the sample.
    pub ask: bool,
    /// Items that may fail.
    pub tolerate: Tolerance,
    /// The running tasks of a step that fails.
    pub stop: StopMode,
    /// Items that must fail first until the step waits for a person.
    pub breaker: u64,
    /// Open tasks; `None` means twice the sessions that can take them.
    pub concurrency: Option<u64>,
}

/// The items of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Over {
    /// These values.
    List(Vec<Value>),
    /// The list that this expression returns.
    Expression(String),
    /// A source that the client reads.
    Source(ItemSource),
}

/// A source of items. All but `Stdin` are templates of a path or glob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemSource {
    /// Files by a glob.
    Files(String),
    /// Lines of a file.
    Lines(String),
    /// JSON lines of a file.
    Jsonl(String),
    /// Rows of a CSV file.
    Csv(String),
    /// The client's standard input, in the form `lines`, `jsonl` or `csv`.
    Stdin(String),
}

impl ItemSource {
    /// The template of its path or glob; `None` for standard input.
    pub fn template(&self) -> Option<&str> {
        match self {
            ItemSource::Files(text)
            | ItemSource::Lines(text)
            | ItemSource::Jsonl(text)
            | ItemSource::Csv(text) => Some(text),
            ItemSource::Stdin(_) => None,
        }
    }

    /// The same kind of source with another path or glob.
    pub fn with_template(&self, text: String) -> ItemSource {
        match self {
            ItemSource::Files(_) => ItemSource::Files(text),
            ItemSource::Lines(_) => ItemSource::Lines(text),
            ItemSource::Jsonl(_) => ItemSource::Jsonl(text),
            ItemSource::Csv(_) => ItemSource::Csv(text),
            ItemSource::Stdin(form) => ItemSource::Stdin(form.clone()),
        }
    }
}

/// Items per task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Batch {
    /// At most this number.
    Items(u64),
    /// At most this size together.
    Size {
        /// Bytes of all items of a task.
        bytes: u64,
    },
}

impl Batch {
    /// Whether a task gets a list of items.
    pub fn is_list(self) -> bool {
        self != Batch::Items(1)
    }
}

/// Items of a map that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tolerance {
    /// At most this number.
    Items(u64),
    /// At most this percentage of those that ran.
    Percent {
        /// 0 to 100.
        percent: f64,
    },
}

/// The running tasks of a step that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopMode {
    /// They finish, and none starts.
    Drain,
    /// They are cancelled.
    Cancel,
}

/// The fields of a reduce.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceWork {
    /// The step with the results.
    pub of: String,
    /// Results per task.
    pub arity: u64,
    /// The order of the results: `index` or `done`.
    pub order: String,
    /// Joins the results without an agent: `jsonl`, `json` or `concat`.
    pub into: Option<String>,
    /// Whether the step is done without any result.
    pub may_be_empty: bool,
    /// Whether it may begin before its source has ended.
    #[serde(skip)]
    pub early: EarlyBegin,
}

/// Whether a reduce may begin before its source has ended. It follows from the texts of the step, and is found once, when the plan is
/// compiled: a plan that was read from its canonical text does not have it, and is the same plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct EarlyBegin(pub bool);

impl PartialEq for EarlyBegin {
    fn eq(&self, _: &EarlyBegin) -> bool {
        true
    }
}

/// The fields of a loop.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopWork {
    /// Passes.
    pub max: u64,
    /// The expression that ends the loop as done.
    pub until: Option<String>,
    /// Ends the loop after equal results of this number of passes.
    pub same: Option<u64>,
    /// The expression whose greatest value is the pass `best`.
    pub score: Option<String>,
    /// The state after `max` passes: `failed` or `done`.
    pub on_max: String,
    /// The steps of a pass.
    pub steps: Vec<Step>,
}

/// The fields of a vote.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoteWork {
    /// Answers.
    pub n: u64,
    /// The choice: `majority` or `judge`.
    pub by: String,
    /// The path in the JSON of an answer by which answers are equal.
    pub key: Option<String>,
    /// Decides, or decides when there is no majority.
    pub judge: Option<JudgeWork>,
}

/// A task that chooses one of `results`.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeWork {
    /// Template of the prompt.
    pub prompt: String,
    /// Template of the system prompt.
    pub system: Option<String>,
    /// The pool.
    pub pool: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// Template of the model's name.
    pub model: Option<String>,
    /// Whether results in the prompt are marked as results of other agents.
    pub fence: bool,
}

/// The fields of an approval.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveWork {
    /// Template of the question.
    pub prompt: String,
    /// The JSON schema of the answer.
    pub form: Option<Value>,
    /// The longest wait, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The decision after the longest wait: `wait`, `deny` or `approve`.
    pub on_timeout: String,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunWork {
    /// Templates of the program and its arguments, each rendered alone.
    pub words: Vec<String>,
    /// Whether the only word is a text for a shell.
    pub shell: bool,
}

/// Another plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineWork {
    /// Its file or name.
    pub plan: String,
    /// Its inputs; texts are templates.
    pub inputs: BTreeMap<String, Value>,
}

/// A planner.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannerWork {
    /// Template of the goal.
    pub goal: String,
    /// The planner's pool.
    pub pool: Option<String>,
    /// Whether a person approves the plan; `None` means on a terminal.
    pub ask: Option<bool>,
    /// Plans until one has no fault.
    pub tries: u64,
}
