//! Results of the tools for runs of plans.

use super::reports::fit;
use kirosu_protocol::{
    ItemInfo, ListedRun, RunAnswer, RunItemsAnswer, RunState, RunsAnswer, StepInfo, StepState,
};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

/// Maximum number of steps in a report: those that need attention most.
const STEPS: usize = 100;

/// Answer of `run_plan` and `retry_run`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StartReport {
    /// A sentence about the effect.
    pub(super) message: String,
    /// The number of the run, which is that of its task.
    pub(super) task_id: i64,
}

/// A run in a list. The counts are those of the items of all its steps. Times are Unix seconds.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
struct ListedRunReport {
    task_id: i64,
    /// pending, open, waiting (for a person), paused, done, partial, failed or cancelled.
    state: String,
    /// The reason for the state.
    reason: Option<String>,
    name: Option<String>,
    error: Option<String>,
    open: u64,
    done: u64,
    failed: u64,
    cancelled: u64,
    created_at: f64,
    ended_at: Option<f64>,
}

impl From<ListedRun> for ListedRunReport {
    fn from(run: ListedRun) -> ListedRunReport {
        ListedRunReport {
            task_id: run.task_id,
            state: run.state.to_string(),
            reason: run.reason,
            name: run.name,
            error: run.error,
            open: run.open,
            done: run.done,
            failed: run.failed,
            cancelled: run.cancelled,
            created_at: run.created_at,
            ended_at: run.ended_at,
        }
    }
}

/// Answer of `list_runs`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunListReport {
    /// A sentence about the number of runs.
    message: String,
    /// Newest first.
    runs: Vec<ListedRunReport>,
    /// `before` of the next page; missing on the last page.
    next: Option<i64>,
}

impl RunListReport {
    pub(super) fn of(answer: RunsAnswer) -> RunListReport {
        let found = match answer.runs.len() {
            0 => "no such run".to_owned(),
            1 => "1 run".to_owned(),
            many => format!("{many} runs, newest first"),
        };
        let more = answer
            .next
            .map(|next| format!("; call again with before: {next} for older ones"));
        RunListReport {
            message: found + &more.unwrap_or_default(),
            runs: answer.runs.into_iter().map(Into::into).collect(),
            next: answer.next,
        }
    }
}

/// A step of a run.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
struct StepReport {
    /// The id of the step, behind those of the steps around it.
    path: String,
    /// task, map, reduce, loop, race, vote, approve, run, pipeline or plan.
    kind: String,
    /// pending, open, done, partial, failed, skipped, omitted or cancelled.
    state: String,
    /// The reason for the state, or what it waits for.
    reason: Option<String>,
    /// The number of items, once it is known.
    total: Option<u64>,
    open: u64,
    done: u64,
    failed: u64,
    cancelled: u64,
    /// The task of a step that has made one task only.
    task_id: Option<i64>,
}

impl From<StepInfo> for StepReport {
    fn from(step: StepInfo) -> StepReport {
        StepReport {
            path: step.path,
            kind: step.kind,
            state: step.state.to_string(),
            reason: step.reason,
            total: step.total,
            open: step.open,
            done: step.done,
            failed: step.failed,
            cancelled: step.cancelled,
            task_id: step.task_id,
        }
    }
}

/// Answer of `get_run`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunReport {
    /// A sentence about the state, and what moves the run if it waits.
    message: String,
    task_id: i64,
    /// pending, open, waiting (for a person), paused, done, partial, failed or cancelled.
    state: String,
    /// Whether it has ended.
    finished: bool,
    reason: Option<String>,
    name: Option<String>,
    /// The tasks that its steps have made.
    tasks: u64,
    /// The result of its last step, when it is done.
    result: Option<String>,
    error: Option<String>,
    /// The steps that have begun: failed ones first, then open ones, then the others; at most 100.
    steps: Vec<StepReport>,
    /// Steps that are left out of the list.
    more_steps: Option<usize>,
    created_at: f64,
    ended_at: Option<f64>,
}

impl RunReport {
    pub(super) fn of(run: RunAnswer, chars: usize) -> RunReport {
        let message = sentence(&run);
        let mut steps = run.steps;
        steps.sort_by_key(|step| match step.state {
            StepState::Failed | StepState::Partial => 0,
            StepState::Open => 1,
            _ => 2,
        });
        let left_out = steps.len().saturating_sub(STEPS);
        steps.truncate(STEPS);
        RunReport {
            message,
            task_id: run.task_id,
            state: run.state.to_string(),
            finished: run.state.is_final(),
            reason: run.reason,
            name: run.name,
            tasks: run.made,
            result: run.result.map(|text| fit(text, chars).0),
            error: run.error.map(|text| fit(text, chars).0),
            steps: steps.into_iter().map(Into::into).collect(),
            more_steps: (left_out > 0).then_some(left_out),
            created_at: run.created_at,
            ended_at: run.ended_at,
        }
    }
}

/// A sentence about the state of a run.
fn sentence(run: &RunAnswer) -> String {
    let id = run.task_id;
    let sum = |of: fn(&StepInfo) -> u64| run.steps.iter().map(of).sum::<u64>();
    let (done, failed, open) = (
        sum(|step| step.done),
        sum(|step| step.failed),
        sum(|step| step.open),
    );
    let counts = format!("{done} items done, {failed} failed, {open} open");
    let why = run.reason.as_deref().or(run.error.as_deref());
    let why = why
        .and_then(|why| why.lines().next())
        .unwrap_or("no reason is known");
    match run.state {
        RunState::Pending => {
            format!("run {id} has not begun; get_task_status says what its task waits for")
        }
        RunState::Open => format!("run {id} is under way: {counts}"),
        RunState::Waiting => format!(
            "run {id} waits for a person ({why}): {counts}; `kirosu run explain {id}` names the command that decides"
        ),
        RunState::Paused => {
            format!("run {id} is paused: {counts}; `kirosu run resume {id}` lets it go on")
        }
        RunState::Done => format!("run {id} is done: {counts}"),
        RunState::Partial => format!(
            "run {id} is done in part: {counts}; list_run_items with state failed has the errors"
        ),
        RunState::Failed => {
            format!("run {id} has failed ({why}): {counts}; retry_run repeats what failed")
        }
        RunState::Cancelled => format!("run {id} was cancelled ({why}): {counts}"),
    }
}

/// An item of a step.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
struct ItemReport {
    /// The path of its step.
    step: String,
    /// Its position in the step, from 0.
    index: u64,
    /// Its identity within the step.
    key: String,
    /// waiting, open, done, failed or cancelled.
    state: String,
    task_id: Option<i64>,
    /// The class of its failure.
    class: Option<String>,
    error: Option<String>,
    /// Its result, if requested.
    result: Option<String>,
    /// True if a text is cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl ItemReport {
    fn of(item: ItemInfo, chars: usize) -> ItemReport {
        let mut cut = false;
        let mut fit = |text: String| {
            let (text, whole) = fit(text, chars);
            cut |= !whole;
            text
        };
        let (error, result) = (item.error.map(&mut fit), item.result.map(&mut fit));
        ItemReport {
            step: item.step,
            index: item.index,
            key: item.key,
            state: item.state.to_string(),
            task_id: item.task_id,
            class: item.class,
            error,
            result,
            cut,
        }
    }
}

/// Answer of `list_run_items`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ItemListReport {
    /// A sentence about the number of items.
    message: String,
    /// By step and position.
    items: Vec<ItemReport>,
    /// `cursor` of the next page; missing on the last page.
    next: Option<String>,
}

impl ItemListReport {
    pub(super) fn of(answer: RunItemsAnswer, chars: usize) -> ItemListReport {
        let found = match answer.items.len() {
            0 => "no such item".to_owned(),
            1 => "1 item".to_owned(),
            many => format!("{many} items"),
        };
        let more = answer.next.as_ref();
        let more = more.map(|next| format!("; call again with cursor: {next:?} for more"));
        ItemListReport {
            message: found + &more.unwrap_or_default(),
            items: answer
                .items
                .into_iter()
                .map(|item| ItemReport::of(item, chars))
                .collect(),
            next: answer.next,
        }
    }
}
