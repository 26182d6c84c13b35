//! The parameters of a task, as flags and as JSON.

use super::super::running_task;
use super::accept::AcceptFlags;
use super::budget;
use crate::cli::{Failure, task_id, time, whole};
use kirosu_protocol::{
    ATTEMPTS, Budget, Limits, NewTask, PRIORITIES, Params, TaskBudget, TaskId, Verb,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Every parameter of `enqueue`. A line of a file with another key is refused here, because the hub ignores unknown
/// parameters.
const KNOWN: [&str; 24] = [
    "prompt",
    "system_prompt",
    "type",
    "queue",
    "priority",
    "run_at",
    "delay_seconds",
    "max_attempts",
    "retry",
    "timeout_seconds",
    "idempotency_key",
    "depends_on",
    "parent_id",
    "ends_with_parent",
    "handoff",
    "requires_approval",
    "provider",
    "model",
    "workdir",
    "on_lost",
    "metadata",
    "budget",
    "accept",
    "labels",
];

/// The flags that describe a task.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The task")]
pub struct Fields {
    /// Instructions that frame the prompt
    #[arg(long, visible_alias = "system-prompt", value_name = "TEXT")]
    pub system: Option<String>,
    /// chat, python, human, or any type that workers agree on [default: chat]
    #[arg(long = "type", value_name = "TYPE")]
    pub task_type: Option<String>,
    /// Queue of the task [default: default]
    #[arg(long)]
    pub queue: Option<String>,
    /// Higher values run first, -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = whole::<i64>(PRIORITIES, 10))]
    pub priority: Option<i64>,
    /// Runs no earlier than this time from now: 90, 5m, 1h30m
    #[arg(long, value_name = "TIME", value_parser = time::read_span, conflicts_with = "at")]
    pub delay: Option<Duration>,
    /// Runs no earlier than this moment: "2027-01-31 08:00" (local time), 2027-01-31T08:00:00Z or +02:00
    #[arg(long, value_name = "MOMENT", value_parser = time::read_moment)]
    pub at: Option<f64>,
    /// Maximum number of attempts; failed ones are repeated with growing pauses
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u32>(ATTEMPTS, 3))]
    pub max_attempts: Option<u32>,
    /// Maximum run time of an attempt
    #[arg(long, value_name = "TIME", value_parser = time::read_span)]
    pub timeout: Option<Duration>,
    /// A second task with the same key is not created; the first one is returned
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Task that must be done first; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = task_id)]
    pub depends_on: Vec<TaskId>,
    /// Waits for `kirosu approve` before it runs
    #[arg(long)]
    pub requires_approval: bool,
    /// Model to use
    #[arg(long)]
    pub model: Option<String>,
    /// Provider to use
    #[arg(long)]
    pub provider: Option<String>,
    /// Folder to run in
    #[arg(long, value_name = "FOLDER")]
    pub workdir: Option<String>,
    /// Action when the task's agent is lost: retry, fail or ask [default: retry]
    #[arg(long, value_name = "WHAT", value_parser = ["retry", "fail", "ask"], hide_possible_values = true)]
    pub on_lost: Option<String>,
    /// Parent of the task; 0 for none [default: the task whose agent runs this command (KIROSU_TASK_ID)]
    #[arg(long, value_name = "ID", value_parser = whole::<TaskId>(0..=TaskId::MAX, 42))]
    pub parent: Option<TaskId>,
    /// Cancels the task when its parent ends
    #[arg(long)]
    pub ends_with_parent: bool,
    /// In the run of a task: hands over to the new task, which begins when the run's own task is done
    #[arg(long, conflicts_with_all = ["parent", "ends_with_parent"])]
    pub handoff: bool,
    /// Budget of all attempts together: 200k (tokens), 1.50usd, or both: 200k,1.50usd
    #[arg(long, value_name = "AMOUNT", value_parser = budget::read)]
    pub budget: Option<Budget>,
    /// Budget of the task and all its descendants together
    #[arg(long, value_name = "AMOUNT", value_parser = budget::read)]
    pub tree_budget: Option<Budget>,
    /// Label of the task, to select a group with `wait`, `list`, `cancel`, `retry` and `results`; may be repeated
    #[arg(long, value_name = "NAME")]
    pub label: Vec<String>,
    /// Any JSON to store with the task
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
    #[command(flatten)]
    pub accept: AcceptFlags,
}

impl Fields {
    /// The given flags as parameters of `enqueue`.
    ///
    /// # Errors
    /// `--metadata` is not JSON, or an acceptance flag cannot be used.
    pub fn to_json(&self) -> Result<Map<String, Value>, Failure> {
        let mut map = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(name.to_owned(), value);
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::String);
        put("system_prompt", text(&self.system));
        put("type", text(&self.task_type));
        put("queue", text(&self.queue));
        put("priority", self.priority.map(Value::from));
        put("delay_seconds", self.delay.map(|d| d.as_secs_f64().into()));
        put("run_at", self.at.map(Value::from));
        put("max_attempts", self.max_attempts.map(Value::from));
        put(
            "timeout_seconds",
            self.timeout.map(|d| d.as_secs_f64().into()),
        );
        put("idempotency_key", text(&self.idempotency_key));
        put(
            "depends_on",
            (!self.depends_on.is_empty()).then(|| json!(self.depends_on)),
        );
        put(
            "requires_approval",
            self.requires_approval.then_some(Value::Bool(true)),
        );
        put("model", text(&self.model));
        put("provider", text(&self.provider));
        put("workdir", text(&self.workdir));
        put("on_lost", text(&self.on_lost));
        let parent = self.parent.or_else(running_task).filter(|id| *id != 0);
        put("parent_id", parent.map(Value::from));
        put(
            "ends_with_parent",
            self.ends_with_parent.then_some(Value::Bool(true)),
        );
        put("handoff", self.handoff.then_some(Value::Bool(true)));
        put("budget", self.budget());
        put(
            "labels",
            (!self.label.is_empty()).then(|| json!(self.label)),
        );
        put("metadata", self.metadata()?);
        put("accept", self.accept.to_json()?);
        Ok(map)
    }

    fn budget(&self) -> Option<Value> {
        let budget = TaskBudget {
            own: self.budget.unwrap_or_default(),
            tree: self.tree_budget,
        };
        (budget != TaskBudget::default()).then(|| json!(budget))
    }

    fn metadata(&self) -> Result<Option<Value>, Failure> {
        let Some(text) = &self.metadata else {
            return Ok(None);
        };
        let value = serde_json::from_str(text)
            .map_err(|why| Failure::Usage(format!("--metadata is not JSON: {why}")))?;
        Ok(Some(value))
    }
}

/// Reads the parameters of `enqueue` by the hub's own rules.
///
/// # Errors
/// The first rule that they break.
pub fn read(object: &str, limits: &Limits) -> Result<NewTask, String> {
    let plain = |error: kirosu_protocol::Error| {
        error
            .message
            .trim_start_matches("invalid params: ")
            .to_owned()
    };
    let params = Params::parse(object).map_err(plain)?;
    NewTask::read(&params, limits).map_err(plain)
}

/// Merges the flags with a line of the file, which takes precedence, into the text of one object.
///
/// # Errors
/// The line is not an object, has an unknown key, or has no prompt.
pub fn merged(line: &str, defaults: &Map<String, Value>) -> Result<String, String> {
    let own: Map<String, Value> = serde_json::from_str(line).map_err(|why| {
        let why = why.to_string();
        let reason = why.split(" at line ").next().unwrap_or_default();
        match line.trim_start().starts_with('{') {
            true => format!("not JSON: {reason}"),
            false => "not a JSON object".to_owned(),
        }
    })?;
    if let Some(unknown) = own.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("`{unknown}` is not a parameter of a task"));
    }
    if !own.contains_key("prompt") {
        return Err("`prompt` is missing".into());
    }
    let mut all = defaults.clone();
    // The line and the flags may each name a time; the line wins.
    if own.contains_key("run_at") || own.contains_key("delay_seconds") {
        all.remove("run_at");
        all.remove("delay_seconds");
    }
    all.extend(own);
    Ok(Value::Object(all).to_string())
}
