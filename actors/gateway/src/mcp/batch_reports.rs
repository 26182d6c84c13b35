//! Results of the tools for many tasks. All texts of one result together are bounded: a page ends, or texts are cut more.

use super::reports::fit;
use kirosu_protocol::run::{ItemInfo, ItemState, RunState};
use kirosu_protocol::text::{one_line, shorten};
use kirosu_protocol::{EnqueueBatchAnswer, RunAnswer, StepInfo, Task, TaskId};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use std::collections::BTreeMap;

/// Maximum characters of all results of one answer, unless a single one is longer.
const TOTAL_CHARS: usize = 200_000;

/// Characters of the reason in the sentence about a run that has failed.
const ERROR_CHARS: usize = 300;

/// The most texts of `chars` characters in one answer; 0 means whole ones, of any length.
pub(super) fn texts_per_page(chars: usize) -> usize {
    match chars {
        0 => 1,
        chars => (TOTAL_CHARS / chars).max(1),
    }
}

/// Answer of `enqueue_tasks`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EnqueueListReport {
    /// A sentence about the effect.
    message: String,
    /// One number per task, in the order of the list.
    task_ids: Vec<i64>,
    /// Those that an earlier call with the same idempotency keys enqueued.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    existed: Vec<i64>,
}

impl EnqueueListReport {
    pub(super) fn of(answer: EnqueueBatchAnswer) -> EnqueueListReport {
        let existed: Vec<i64> = answer.existed.iter().map(|it| it.task_id).collect();
        let number = answer.task_ids.len();
        let (first, last) = (answer.task_ids.iter().min(), answer.task_ids.iter().max());
        let range = match (first, last) {
            (Some(first), Some(last)) if first != last => format!(" ({first} to {last})"),
            (Some(first), _) => format!(" ({first})"),
            _ => String::new(),
        };
        let known = match existed.len() {
            0 => String::new(),
            known => format!("; {known} of them were there already"),
        };
        let tasks = if number == 1 { "task" } else { "tasks" };
        EnqueueListReport {
            message: format!("enqueued {number} {tasks}{range}{known}"),
            task_ids: answer.task_ids,
            existed,
        }
    }
}

/// The end of a task, or of an item of a run, as far as it is known.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OutcomeReport {
    /// Missing for an item that has no task yet.
    task_id: Option<i64>,
    /// The path of the step, of an item.
    step: Option<String>,
    /// The name of the item in its step.
    key: Option<String>,
    /// The status of the task, or the state of the item.
    status: String,
    /// Whether it has ended.
    finished: bool,
    result: Option<String>,
    error: Option<String>,
    /// The names of the cut texts; get_task_status with max_chars 0 returns whole ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cut: Vec<String>,
}

/// Result and error, each cut to `chars` characters, and the names of the cut ones.
fn texts(
    result: Option<String>,
    error: Option<String>,
    chars: usize,
) -> (Option<String>, Option<String>, Vec<String>) {
    let mut cut = Vec::new();
    let mut fit = |name: &str, text: String| {
        let (text, whole) = fit(text, chars);
        if !whole {
            cut.push(name.to_owned());
        }
        text
    };
    let result = result.map(|text| fit("result", text));
    let error = error.map(|text| fit("error", text));
    (result, error, cut)
}

impl OutcomeReport {
    pub(super) fn of_task(task: Task, chars: usize) -> OutcomeReport {
        let (result, error, cut) = texts(task.result, task.error, chars);
        OutcomeReport {
            task_id: Some(task.task_id),
            step: None,
            key: None,
            status: task.status.to_string(),
            finished: task.status.is_final(),
            result,
            error,
            cut,
        }
    }

    pub(super) fn of_item(item: ItemInfo, chars: usize) -> OutcomeReport {
        let (result, error, cut) = texts(item.result, item.error, chars);
        OutcomeReport {
            task_id: item.task_id,
            step: Some(item.step),
            key: Some(item.key),
            status: item.state.to_string(),
            finished: !matches!(item.state, ItemState::Waiting | ItemState::Open),
            result,
            error,
            cut,
        }
    }
}

/// Answer of `wait_for_tasks`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WaitListReport {
    /// A sentence about the end of the wait.
    message: String,
    /// True if the timeout was over before all tasks ended.
    timed_out: bool,
    /// The number of tasks in each status that a task is in.
    counts: BTreeMap<String, u64>,
    /// In the order of the request.
    tasks: Vec<OutcomeReport>,
}

impl WaitListReport {
    pub(super) fn of(tasks: Vec<Task>, waited_seconds: f64, chars: usize) -> WaitListReport {
        let mut counts = BTreeMap::new();
        for task in &tasks {
            *counts.entry(task.status.to_string()).or_default() += 1;
        }
        let number = tasks.len();
        let ended = tasks.iter().filter(|task| task.status.is_final()).count();
        let each: Vec<String> = counts
            .iter()
            .map(|(status, number)| format!("{number} {status}"))
            .collect();
        let each = each.join(", ");
        let timed_out = ended < number;
        let message = match timed_out {
            false => format!("all {number} tasks have ended: {each}"),
            true => format!(
                "not finished: {ended} of {number} tasks have ended after a wait of {waited_seconds} s ({each}); call wait_for_tasks again to continue"
            ),
        };
        let most = (TOTAL_CHARS / number.max(1)).max(1);
        let chars = if chars == 0 { most } else { chars.min(most) };
        let tasks = tasks.into_iter();
        WaitListReport {
            message,
            timed_out,
            counts,
            tasks: tasks.map(|it| OutcomeReport::of_task(it, chars)).collect(),
        }
    }
}

/// Answer of `get_results`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ResultListReport {
    /// A sentence about the number of results.
    message: String,
    /// In the order of `task_ids`, of the items of the run, or newest first.
    results: Vec<OutcomeReport>,
    /// Tasks that do not exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<i64>,
    /// `cursor` of the next page; missing on the last page.
    next: Option<String>,
}

impl ResultListReport {
    pub(super) fn of(
        results: Vec<OutcomeReport>,
        unknown: Vec<TaskId>,
        next: Option<String>,
    ) -> ResultListReport {
        let ended = results.iter().filter(|it| it.finished).count();
        let found = match (results.len(), ended) {
            (0, _) => "no such task".to_owned(),
            (all, ended) if all == ended => format!("{all} ended"),
            (all, ended) => format!("{ended} of {all} have ended"),
        };
        let unknown_text = match unknown.is_empty() {
            true => String::new(),
            false => format!("; {} of the numbers are unknown", unknown.len()),
        };
        let more = next.as_ref();
        let more = more.map(|next| format!("; call again with cursor: {next:?} for more"));
        ResultListReport {
            message: found + &unknown_text + &more.unwrap_or_default(),
            results,
            unknown,
            next,
        }
    }
}

/// Answer of `cancel_tasks`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CancelListReport {
    /// A sentence about the effect.
    pub(super) message: String,
    /// The number of tasks that were cancelled.
    pub(super) cancelled: u64,
}

/// Answer of `map_items`.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MapReport {
    /// A sentence about the state.
    message: String,
    /// The number of the run, which is that of its task.
    task_id: i64,
    /// pending, open, waiting (for a person), paused, done, partial, failed or cancelled.
    state: String,
    /// Whether it has ended.
    finished: bool,
    /// True if the timeout was over before the run ended.
    timed_out: bool,
    /// The items of the call.
    items: u64,
    /// Items that are done.
    done: u64,
    failed: u64,
    cancelled: u64,
    /// Items that have not ended.
    open: u64,
    /// The merged result, with `reduce`.
    result: Option<String>,
    error: Option<String>,
    /// The names of the cut texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cut: Vec<String>,
}

impl MapReport {
    /// `map`: the path of the step with the items. `merges`: whether another step merges the results.
    pub(super) fn of(
        run: RunAnswer,
        map: &str,
        merges: bool,
        items: usize,
        chars: usize,
    ) -> MapReport {
        let step = run.steps.iter().find(|step| step.path == map);
        let count = |of: fn(&StepInfo) -> u64| step.map_or(0, of);
        let (done, failed) = (count(|it| it.done), count(|it| it.failed));
        let cancelled = count(|it| it.cancelled);
        let items = items as u64;
        let open = match run.state.is_final() {
            true => 0,
            false => items.saturating_sub(done + failed + cancelled),
        };
        let (id, finished) = (run.task_id, run.state.is_final());
        let counts = format!("{done} of {items} items done, {failed} failed");
        let why = run
            .error
            .as_deref()
            .map(|why| shorten(&one_line(why), ERROR_CHARS));
        let message = match finished {
            true if run.state == RunState::Failed => {
                format!("run {id} has failed: {counts}: {}", why.unwrap_or_default())
            }
            true => format!(
                "run {id} is {}: {counts}; get_results with run_id has them",
                run.state
            ),
            false => format!(
                "run {id} is {}: {counts}, {open} open; wait_for_task waits on",
                run.state
            ),
        };
        let (result, error, cut) = texts(run.result.filter(|_| merges), run.error, chars);
        MapReport {
            message,
            task_id: id,
            state: run.state.to_string(),
            finished,
            timed_out: !finished,
            items,
            done,
            failed,
            cancelled,
            open,
            result,
            error,
            cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_fewer_texts_the_longer_they_may_be() {
        assert_eq!(texts_per_page(2000), 100);
        assert_eq!(texts_per_page(150_000), 1);
        assert_eq!(texts_per_page(1_000_000), 1);
        assert_eq!(texts_per_page(0), 1);
    }
}
