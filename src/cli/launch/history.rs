//! The usage of earlier runs of a plan, for the estimate of the next one.

use crate::cli::follow::pages::ItemPages;
use crate::cli::{Context, Failure, HubClient};
use kirosu_protocol::{
    ItemState, ListedRun, RunItemsParams, RunsParams, TaskId, UsageBy, UsageParams, UsageSum,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Runs of this plan that are examined, and the newest runs among which they are looked for.
const RUNS: (usize, u32) = (3, 100);
/// Tasks of a run whose usage is read, and items.
const TASKS: u32 = 100_000;
const ITEMS: u64 = 5000;

/// The usage of one task of a step, from tasks of earlier runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepUsage {
    /// The tasks that were examined.
    pub tasks: usize,
    /// Input that no cache served and output, in tokens: the median.
    pub tokens: u64,
    /// The same: nine of ten tasks used at most this many.
    pub tokens_p90: u64,
    /// The median of the costs in US dollars; `None`: no cost is known.
    pub usd: Option<f64>,
    /// Nine of ten tasks cost at most this.
    pub usd_p90: Option<f64>,
}

/// The usage of earlier runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlanHistory {
    /// The runs, newest first.
    pub runs: Vec<TaskId>,
    /// The usage by the id of the step.
    #[serde(skip)]
    pub steps: BTreeMap<String, StepUsage>,
}

/// The history of a plan of this name. Empty if no hub can be reached: an estimate needs none.
pub async fn of(name: Option<&str>, context: &Context) -> PlanHistory {
    let (Some(name), Ok(hub)) = (name, context.connect().await) else {
        return PlanHistory::default();
    };
    read(name, &hub).await.unwrap_or_default()
}

async fn read(name: &str, hub: &HubClient) -> Result<PlanHistory, Failure> {
    let params = RunsParams {
        limit: Some(RUNS.1),
        ..RunsParams::default()
    };
    let listed = hub.request_idempotent(&params).await?.runs;
    let is_known = |run: &&ListedRun| run.name.as_deref() == Some(name) && run.state.is_final();
    let runs: Vec<TaskId> = listed
        .iter()
        .filter(is_known)
        .map(|run| run.task_id)
        .take(RUNS.0)
        .collect();
    let mut samples: BTreeMap<String, Vec<UsageSum>> = BTreeMap::new();
    for run in &runs {
        add(*run, hub, &mut samples).await?;
    }
    let steps = samples.into_iter();
    Ok(PlanHistory {
        runs,
        steps: steps.map(|(step, all)| (step, usage(&all))).collect(),
    })
}

/// Adds the usage of the tasks of a run to that of their steps.
async fn add(
    run: TaskId,
    hub: &HubClient,
    samples: &mut BTreeMap<String, Vec<UsageSum>>,
) -> Result<(), Failure> {
    let params = UsageParams {
        by: UsageBy::Task,
        tree_id: Some(run),
        limit: Some(TASKS),
        ..UsageParams::default()
    };
    let rows = hub.request_idempotent(&params).await?.rows;
    let by_task: HashMap<TaskId, UsageSum> = rows
        .into_iter()
        .filter_map(|row| Some((row.key.parse().ok()?, row.sum)))
        .collect();
    let params = RunItemsParams {
        task_id: run,
        state: Some(ItemState::Done),
        ..RunItemsParams::default()
    };
    let mut pages = ItemPages::new(hub, params, Some(ITEMS));
    // The items of a batch have one task.
    let mut seen = HashSet::new();
    while let Some(page) = pages.next().await? {
        for item in page.into_iter().filter(|item| !item.cached) {
            let task = item.task_id.filter(|task| seen.insert(*task));
            if let Some(sum) = task.and_then(|task| by_task.get(&task)) {
                let step = samples.entry(id_of(&item.step).to_owned()).or_default();
                step.push(sum.clone());
            }
        }
    }
    Ok(())
}

/// The id of a step, which is unique in its plan, from its path: `write` of `polish[2].write`.
fn id_of(path: &str) -> &str {
    let last = path.rsplit('.').next().unwrap_or(path);
    last.split('[').next().unwrap_or(last)
}

fn usage(all: &[UsageSum]) -> StepUsage {
    let mut tokens: Vec<u64> = all
        .iter()
        .map(|sum| sum.input_tokens + sum.cache_write_tokens + sum.output_tokens)
        .collect();
    tokens.sort_unstable();
    let priced = all
        .iter()
        .filter(|sum| sum.unpriced == 0 && sum.attempts > 0);
    let mut usd: Vec<f64> = priced.map(|sum| sum.cost_usd).collect();
    usd.sort_by(f64::total_cmp);
    StepUsage {
        tasks: all.len(),
        tokens: at(&tokens, 0.5).unwrap_or(0),
        tokens_p90: at(&tokens, 0.9).unwrap_or(0),
        usd: at(&usd, 0.5),
        usd_p90: at(&usd, 0.9),
    }
}

/// The value below which this part of the sorted values is.
fn at<T: Copy>(sorted: &[T], part: f64) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * part).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_the_median_and_what_nine_of_ten_tasks_used() {
        let all: Vec<UsageSum> = (1..=11)
            .map(|n| UsageSum {
                attempts: 1,
                input_tokens: n * 10,
                output_tokens: n,
                cost_usd: n as f64,
                unpriced: u64::from(n == 11),
                ..UsageSum::default()
            })
            .collect();
        let usage = usage(&all);
        assert_eq!((usage.tasks, usage.tokens, usage.tokens_p90), (11, 66, 110));
        assert_eq!((usage.usd, usage.usd_p90), (Some(6.0), Some(9.0)));
        assert_eq!((id_of("polish[2].write"), id_of("read")), ("write", "read"));
    }
}
