//! A run that the conductor has taken.

use kirosu_plan::advance::{ResultRef, StepFacts, StepRows};
use kirosu_plan::{
    Plan, PlanFormat, PlanVersion, StepFate, ask_always, compile, needs_source, pool_faults,
    replanned,
};
use kirosu_protocol::{Fence, LimitsLeft, PlanMetadata, PlanText, SourceId, Task, TaskId};
use kirosu_store::{PlanRun, RunStep};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A run: what does not change while it is under way, and caches.
pub(crate) struct LiveRun {
    /// Its task.
    pub id: TaskId,
    /// The fence of its lease.
    pub fence: Fence,
    /// Its plan; an error is the reason why it cannot run.
    pub plan: Result<Arc<Plan>, String>,
    /// The hash of the plan.
    pub hash: String,
    /// The metadata that the client gave.
    pub metadata: PlanMetadata,
    /// The values of the inputs, with defaults.
    pub inputs: Map<String, Value>,
    /// The queue of its task, which steps without a pool use.
    pub queue: String,
    /// The labels of its task, which its tasks have too.
    pub labels: Vec<String>,
    /// Priority of its task.
    pub priority: i32,
    /// The runs above it, the nearest first.
    pub above: Vec<TaskId>,
    /// Whether it waited for a person in its last turn.
    pub is_waiting: bool,
    /// Whether nothing new started in its last turn: it, or a run above it, was paused.
    pub is_paused: bool,
    /// Whether the runs below it are to learn that its budget was raised.
    pub was_raised: bool,
    /// Further turns in which tasks that wait for the budget are let run after a decision.
    pub raise_turns: Option<u64>,
    /// Commands that are not answered yet.
    pub unanswered: usize,
    /// Whether something has changed since the last decision.
    pub is_due: bool,
    /// The time of the next turn that no change causes, in Unix milliseconds.
    pub wake_at: Option<i64>,
    /// The time for which a timer runs.
    pub timer: Option<i64>,
    /// Steps that cannot go on, each with the reason.
    pub faults: BTreeMap<String, String>,
    /// The lists of maps that are expressions, by path and generation.
    pub lists: HashMap<(String, i64), Arc<Vec<Value>>>,
    /// The piece of a source that was read last: the position of its first item, and the items.
    pub piece: Option<(SourceId, i64, Arc<Vec<Value>>)>,
    /// The plan to which the run is about to go over. Steps are cleared in several turns, and it is checked in the first one.
    pub next_plan: Option<(PlanText, NextPlan)>,
}

/// A plan that was checked for a run, and the fate of each step.
pub(crate) type NextPlan = (CheckedPlan, Vec<(String, StepFate)>);

impl LiveRun {
    /// A run as its task is, and the runs above it. `text`: the plan with which it goes on instead of that of its task.
    pub fn new(task: &Task, text: Option<PlanText>, above: Vec<TaskId>) -> LiveRun {
        let metadata = task.metadata.clone().unwrap_or(Value::Null);
        let metadata: Result<PlanMetadata, String> = match metadata {
            Value::Null => Ok(PlanMetadata::default()),
            metadata => serde_json::from_value(metadata).map_err(|why| format!("metadata: {why}")),
        };
        let (mut metadata, fault) = match metadata {
            Ok(metadata) => (metadata, None),
            Err(why) => (PlanMetadata::default(), Some(why)),
        };
        let text = text.unwrap_or_else(|| PlanText {
            text: task.prompt.clone(),
            format: metadata.format.clone(),
            programs: metadata.programs,
            plans: std::mem::take(&mut metadata.plans),
        });
        let checked = match fault {
            Some(why) => Err(why),
            None => CheckedPlan::read(&text, &metadata),
        };
        metadata.plans = text.plans;
        if text.programs == Some(false) {
            metadata.programs = Some(false);
        }
        let (plan, inputs, hash) = match checked {
            Ok(checked) => (Ok(Arc::new(checked.plan)), checked.inputs, checked.hash),
            Err(why) => (Err(why), Map::new(), String::new()),
        };
        LiveRun {
            id: task.task_id,
            fence: task.fence,
            hash,
            plan,
            metadata,
            inputs,
            queue: task.queue.clone(),
            labels: task.labels.clone(),
            priority: task.priority,
            above,
            is_waiting: false,
            is_paused: false,
            was_raised: false,
            raise_turns: None,
            unanswered: 0,
            is_due: true,
            wake_at: None,
            timer: None,
            faults: BTreeMap::new(),
            lists: HashMap::new(),
            piece: None,
            next_plan: None,
        }
    }

    /// Another plan for this run, and the fate of each step.
    ///
    /// # Errors
    /// It has faults, the inputs of the run do not fit, it is beyond the limits of the run above, or it reads other items.
    pub fn with_plan(&self, text: &PlanText) -> Result<NextPlan, String> {
        let new = CheckedPlan::read(text, &self.metadata)?;
        let Ok(plan) = &self.plan else {
            // It has ended before it began any step.
            return Ok((new, Vec::new()));
        };
        let before = PlanVersion {
            plan,
            inputs: &self.inputs,
            plans: &self.metadata.plans,
        };
        let after = PlanVersion {
            plan: &new.plan,
            inputs: &new.inputs,
            plans: &text.plans,
        };
        if let Some(why) = needs_source(&before, &after) {
            return Err(why);
        }
        let fates = replanned(&before, &after);
        Ok((new, fates))
    }

    /// Drops the lists of maps that have ended or begun anew.
    pub(super) fn forget_lists(&mut self, snapshot: &RunSnapshot) {
        self.lists.retain(|(path, generation), _| {
            let step = snapshot.steps.get(path);
            // A list is evaluated before its step has a row.
            step.is_none_or(|step| !step.state.is_final() && step.generation == *generation)
        });
    }

    /// Whether it is among the runs whose number is limited.
    pub fn takes_room(&self) -> bool {
        self.above.is_empty() && !self.is_waiting
    }

    /// The name for people.
    pub fn name(&self) -> Option<String> {
        let plan = self.plan.as_ref().ok();
        let own = plan.and_then(|plan| plan.name.clone());
        self.metadata.name.clone().or(own)
    }
}

/// A plan that a run can carry out.
pub(crate) struct CheckedPlan {
    /// The plan, within the limits of the run.
    pub plan: Plan,
    /// The values of the inputs, with defaults.
    pub inputs: Map<String, Value>,
    /// The hash of the plan as it was sent.
    pub hash: String,
}

impl CheckedPlan {
    fn read(text: &PlanText, metadata: &PlanMetadata) -> Result<CheckedPlan, String> {
        let format = match text.format.as_deref() {
            Some("toml") => PlanFormat::Toml,
            _ => PlanFormat::Yaml,
        };
        let plan = compile(&text.text, format)
            .map_err(|faults| format!("the plan has faults:\n{faults}"))?;
        Ok(CheckedPlan {
            hash: plan.hash(),
            inputs: values(&plan, &metadata.inputs)?,
            plan: limited(plan, &metadata.limits)?,
        })
    }
}

/// A plan within the limits that the run above has left.
///
/// # Errors
/// It names a pool that it may not use.
fn limited(mut plan: Plan, left: &LimitsLeft) -> Result<Plan, String> {
    let limits = &mut plan.limits;
    limits.depth = left.depth.unwrap_or(limits.depth).min(limits.depth);
    limits.tasks = left.tasks.unwrap_or(limits.tasks).min(limits.tasks);
    limits.pools = match (limits.pools.take(), &left.pools) {
        (own, None) => own,
        (None, Some(left)) => Some(left.clone()),
        (Some(own), Some(left)) => {
            Some(own.into_iter().filter(|pool| left.contains(pool)).collect())
        }
    };
    if left.ask == Some(true) {
        ask_always(&mut plan.pipeline);
    }
    if let Some(pools) = &plan.limits.pools {
        let faults = pool_faults(&plan, pools);
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
    }
    Ok(plan)
}

/// The values of the inputs of a run.
///
/// # Errors
/// A value is missing, unknown, or not allowed.
fn values(plan: &Plan, given: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    if let Some(unknown) = given.keys().find(|name| !plan.inputs.contains_key(*name)) {
        return Err(format!("the plan has no input {unknown}"));
    }
    let mut values = Map::new();
    for (name, input) in &plan.inputs {
        let value = given.get(name).or(input.default.as_ref());
        let Some(value) = value else {
            if input.required {
                return Err(format!("the input {name} is required"));
            }
            values.insert(name.clone(), Value::Null);
            continue;
        };
        if input.r#type.is_some_and(|kind| !kind.takes(value)) {
            return Err(format!(
                "the input {name} has another type than the plan demands: {value}"
            ));
        }
        if input
            .r#enum
            .as_ref()
            .is_some_and(|allowed| !allowed.contains(value))
        {
            return Err(format!(
                "the input {name} has a value that the plan does not allow: {value}"
            ));
        }
        values.insert(name.clone(), value.clone());
    }
    Ok(values)
}

/// The rows of a run at one moment.
pub(super) struct RunSnapshot {
    /// The run.
    pub run: PlanRun,
    /// Its steps, by path.
    pub steps: BTreeMap<String, RunStep>,
    /// The same as decisions need them.
    pub rows: StepRows,
}

impl RunSnapshot {
    pub fn new(run: PlanRun, steps: Vec<RunStep>) -> RunSnapshot {
        let rows = steps
            .iter()
            .map(|step| (step.path.clone(), facts(step)))
            .collect();
        let steps = steps.into_iter().map(|step| (step.path.clone(), step));
        RunSnapshot {
            run,
            rows,
            steps: steps.collect(),
        }
    }
}

fn facts(step: &RunStep) -> StepFacts {
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    StepFacts {
        state: step.state,
        reason: step.reason.clone(),
        total: step.total.map(number),
        cursor: number(step.cursor),
        waiting: number(step.waiting),
        open: number(step.open),
        done: number(step.done),
        failed: number(step.failed),
        cancelled: number(step.cancelled),
        streak: number(step.streak),
        class: step.class.clone(),
        result: step.result.as_deref().and_then(result_ref),
        began_early: step.merges.is_some(),
    }
}

/// A stored reference to a result; `None` also if a later version has written it.
pub(super) fn result_ref(text: &str) -> Option<ResultRef> {
    serde_json::from_str(text).ok()
}
