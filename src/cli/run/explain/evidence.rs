//! The facts from which an explanation is made, read from the hub: about a step its open tasks and failed items, about a step that
//! has not begun its place in the plan.

use crate::cli::follow::pages::ItemPages;
use crate::cli::{Failure, HubClient};
use kirosu_plan::{Plan, PlanFormat, Step, compile};
use kirosu_protocol::{
    BudgetInfo, GetParams, IdRange, ItemInfo, ItemState, ListParams, PlanText, RunAnswer,
    RunItemsParams, StepInfo, StepState, Task, TaskId, UsageParams,
};

/// Open items of a step that are looked at.
pub const TASKS: u64 = 100;
/// Failed items of a step that are looked at.
const FAILURES: u64 = 100;
/// Bytes of each text of a task.
const TEXT_BYTES: u32 = 2 << 10;

/// A step that has begun.
#[derive(Clone, Debug)]
pub struct StepEvidence {
    /// The step.
    pub step: StepInfo,
    /// Some of its tasks that have not ended.
    pub tasks: Vec<Task>,
    /// Some of its items that failed.
    pub failures: Vec<ItemInfo>,
}

impl StepEvidence {
    /// Reads what is known about a step.
    ///
    /// # Errors
    /// The hub refuses, or does not come back after a broken connection.
    pub async fn read(run: TaskId, step: StepInfo, hub: &HubClient) -> Result<Self, Failure> {
        let tasks = match step.state == StepState::Open && step.open > 0 {
            true => {
                let open = items(run, &step.path, ItemState::Open, TASKS, hub).await?;
                tasks(open.iter().filter_map(|item| item.task_id), hub).await?
            }
            false => Vec::new(),
        };
        let failures = match step.failed > 0 {
            true => items(run, &step.path, ItemState::Failed, FAILURES, hub).await?,
            false => Vec::new(),
        };
        Ok(StepEvidence {
            step,
            tasks,
            failures,
        })
    }
}

async fn items(
    run: TaskId,
    path: &str,
    state: ItemState,
    most: u64,
    hub: &HubClient,
) -> Result<Vec<ItemInfo>, Failure> {
    let params = RunItemsParams {
        task_id: run,
        step: Some(path.to_owned()),
        state: Some(state),
        ..RunItemsParams::default()
    };
    let (mut pages, mut all) = (ItemPages::new(hub, params, Some(most)), Vec::new());
    while let Some(page) = pages.next().await? {
        all.extend(page);
    }
    Ok(all)
}

/// These tasks, with the reasons for which they wait.
async fn tasks(ids: impl Iterator<Item = TaskId>, hub: &HubClient) -> Result<Vec<Task>, Failure> {
    let mut ids: Vec<TaskId> = ids.collect();
    // Items of a batch have one task.
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let one = |id: TaskId| IdRange {
        first: id,
        last: id,
    };
    let params = ListParams {
        limit: u32::try_from(ids.len()).ok(),
        ranges: ids.into_iter().map(one).collect(),
        preview_bytes: Some(TEXT_BYTES),
        ..ListParams::default()
    };
    Ok(hub.request_idempotent(&params).await?.tasks)
}

/// The items with a key, of all steps of the run, at most `most`.
///
/// # Errors
/// As [`StepEvidence::read`].
pub async fn items_by_key(
    run: TaskId,
    key: &str,
    most: u32,
    hub: &HubClient,
) -> Result<Vec<ItemInfo>, Failure> {
    let params = RunItemsParams {
        task_id: run,
        key: Some(key.to_owned()),
        limit: Some(most),
        ..RunItemsParams::default()
    };
    let mut items = hub.request_idempotent(&params).await?.items;
    // A hub of an earlier version does not know the parameter.
    items.retain(|item| item.key == key);
    Ok(items)
}

/// A run with its task and, if it can be read, its plan.
#[derive(Clone, Debug)]
pub struct RunEvidence {
    /// The run.
    pub run: RunAnswer,
    /// Its task.
    pub task: Task,
    /// The plan; `None` if it has faults.
    pub plan: Option<Plan>,
    /// Its budgets, with what is used of them. Empty if it has ended.
    pub budgets: Vec<BudgetInfo>,
}

impl RunEvidence {
    /// Reads the task, the plan and the budgets of a run.
    ///
    /// # Errors
    /// As [`StepEvidence::read`].
    pub async fn read(run: RunAnswer, hub: &HubClient) -> Result<Self, Failure> {
        let params = GetParams {
            task_id: run.task_id,
            ..GetParams::default()
        };
        let task = hub.request_idempotent(&params).await?.task;
        let plan = run.plan_text.as_ref().and_then(plan_of);
        let budgets = match run.state.is_final() {
            true => Vec::new(),
            false => {
                let params = UsageParams {
                    tree_id: Some(run.task_id),
                    limit: Some(1),
                    ..UsageParams::default()
                };
                hub.request_idempotent(&params).await?.budgets
            }
        };
        Ok(RunEvidence {
            run,
            task,
            plan,
            budgets,
        })
    }

    /// The row of a step.
    pub fn step(&self, path: &str) -> Option<&StepInfo> {
        self.run.steps.iter().find(|step| step.path == path)
    }

    /// The steps of the plan itself that have not begun, in the order of the plan.
    pub fn not_begun(&self) -> Vec<&Step> {
        let steps = self.plan.iter().flat_map(|plan| &plan.pipeline);
        steps
            .filter(|step| match self.step(&step.id) {
                None => true,
                Some(row) => row.state == StepState::Pending,
            })
            .collect()
    }

    /// A step of the plan with its path, which is its id in the plan itself.
    pub fn planned(&self, id: &str) -> Option<&Step> {
        find(&self.plan.as_ref()?.pipeline, id)
    }
}

fn find<'a>(steps: &'a [Step], id: &str) -> Option<&'a Step> {
    steps.iter().find_map(|step| match step.id == id {
        true => Some(step),
        false => find(step.work.steps(), id),
    })
}

fn plan_of(plan: &PlanText) -> Option<Plan> {
    let format = match plan.format.as_deref() {
        Some("toml") => PlanFormat::Toml,
        _ => PlanFormat::Yaml,
    };
    compile(&plan.text, format).ok()
}
