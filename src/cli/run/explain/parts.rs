//! The reasons that tasks and failed items give, and the commands that decide tasks.

use super::evidence::TASKS;
use crate::cli::text::{count, fit, one_line};
use crate::cli::time::span;
use kirosu_protocol::{
    BudgetInfo, BudgetState, CacheMiss, ItemInfo, Status, StepInfo, Task, TaskId,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Failed items that are named.
const NAMED: usize = 3;
/// Characters of an error, and of a question.
pub const TEXT_COLUMNS: usize = 160;

/// A reason for a state.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cause {
    /// A sentence.
    pub text: String,
    /// Unix seconds at which it ends by itself, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
}

impl Cause {
    /// A reason without an end.
    pub fn new(text: impl Into<String>) -> Cause {
        Cause {
            text: text.into(),
            until: None,
        }
    }
}

/// A command that moves a run, with its effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Remedy {
    /// The command.
    pub command: String,
    /// Its effect.
    pub effect: String,
}

/// A command with its effect.
pub fn remedy(command: String, effect: &str) -> Remedy {
    Remedy {
        command,
        effect: effect.to_owned(),
    }
}

/// The tasks of a step: those that run, and those that wait by their reasons.
pub fn of_tasks(tasks: &[Task], step: &StepInfo, now: f64) -> Vec<Cause> {
    let mut causes = Vec::new();
    let running = || tasks.iter().filter(|task| task.status == Status::Leased);
    let longest = running().min_by(|a, b| a.updated_at.total_cmp(&b.updated_at));
    if let Some(longest) = longest {
        let id = longest.task_id;
        let worker = longest.worker_id.as_deref().map(one_line);
        let worker = worker.map(|worker| format!(" on {worker}"));
        let since = span((now - longest.updated_at).max(0.0)) + &worker.unwrap_or_default();
        causes.push(Cause::new(match running().count() {
            1 => format!("task {id} runs for {since}"),
            many => format!("{many} tasks run, the longest, task {id}, for {since}"),
        }));
    }
    let mut groups: Vec<(Cause, u64, TaskId)> = Vec::new();
    for task in tasks.iter().filter(|task| task.status != Status::Leased) {
        let Some(cause) = waiting(task) else { continue };
        // Messages about one task name its number.
        match groups.iter_mut().find(|(known, ..)| *known == cause) {
            Some((_, n, _)) => *n += 1,
            None => groups.push((cause, 1, task.task_id)),
        }
    }
    causes.extend(groups.into_iter().map(|(cause, n, id)| Cause {
        text: match n {
            1 => format!("task {id} waits: {}", cause.text),
            n => format!("{n} tasks wait: {}", cause.text),
        },
        ..cause
    }));
    if step.open > TASKS {
        causes.push(Cause::new(format!(
            "only the first {TASKS} of {} were looked at",
            count(step.open, "open item")
        )));
    }
    causes
}

/// The reason for which a task waits. Questions to people have their text.
pub fn waiting(task: &Task) -> Option<Cause> {
    let waiting = task.waiting.as_deref()?;
    let question = match is_human(task) {
        true => format!("{:?} ", fit(&one_line(&task.prompt), TEXT_COLUMNS)),
        false => String::new(),
    };
    Some(Cause {
        text: format!("{question}{}", waiting.message),
        until: waiting.until,
    })
}

fn is_human(task: &Task) -> bool {
    task.task_type == "human"
}

/// The commands by which a person decides a task.
pub fn decisions(task: &Task) -> Vec<Remedy> {
    let id = task.task_id;
    match task.status {
        Status::Queued if is_human(task) => vec![
            remedy(format!("kirosu answer {id} TEXT"), "says yes, with a text"),
            remedy(format!("kirosu approve {id}"), "says yes"),
            remedy(format!("kirosu reject {id}"), "says no"),
        ],
        Status::AwaitingApproval => vec![
            remedy(format!("kirosu approve {id}"), "lets it run"),
            remedy(format!("kirosu reject {id}"), "lets it fail"),
        ],
        _ => Vec::new(),
    }
}

/// Why the result of a task of a step with `cache` was not taken from an earlier one.
pub fn not_cached(task: &Task, now: f64) -> Option<Cause> {
    let miss = task.metadata.as_ref()?.get("run")?.get("not_cached")?;
    let why = match serde_json::from_value(miss.clone()).ok()? {
        CacheMiss::Nothing => "nothing was stored for this item".to_owned(),
        CacheMiss::Differs { task_id, parts } => match parts.as_slice() {
            [] => format!("task {task_id} is not the same"),
            [one] => format!("the {one} differs from that of task {task_id}"),
            [first @ .., last] => format!(
                "the {} and the {last} differ from those of task {task_id}",
                first.join(", the ")
            ),
        },
        CacheMiss::Expired { task_id, at } => format!(
            "the result of task {task_id} expired {} ago",
            span((now - at).max(0.0))
        ),
        CacheMiss::NotDone { task_id } => {
            format!("task {task_id}, which is the same, had no result")
        }
    };
    Some(Cause::new(format!(
        "not taken from the cache: {}",
        one_line(&why)
    )))
}

/// A budget of a run, and the part of it that is used.
pub fn of_budget(budget: &BudgetInfo) -> Vec<Cause> {
    let state = |state: &Option<BudgetState>, unit: &str| {
        let state = state.as_ref()?;
        let reserved = match state.reserved > 0.0 {
            true => format!(", {} are reserved by tasks that run", state.reserved),
            false => String::new(),
        };
        Some(Cause::new(format!(
            "{} of the {} {unit} of its budget are used{reserved}",
            state.used, state.limit
        )))
    };
    let both = [state(&budget.tokens, "tokens"), state(&budget.usd, "USD")];
    both.into_iter().flatten().collect()
}

/// The failed items of a step: their number by class, and the first errors.
pub fn of_failures(failures: &[ItemInfo], step: &StepInfo) -> Vec<Cause> {
    if failures.is_empty() {
        return Vec::new();
    }
    let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
    for item in failures {
        *classes
            .entry(item.class.as_deref().unwrap_or("other"))
            .or_default() += 1;
    }
    let mut classes: Vec<(&str, u64)> = classes.into_iter().collect();
    classes.sort_by_key(|(_, n)| u64::MAX - n);
    let classes: Vec<String> = classes
        .into_iter()
        .map(|(class, n)| format!("{n} {}", one_line(class)))
        .collect();
    let first = match step.failed > failures.len() as u64 {
        true => format!(" (of the first {})", failures.len()),
        false => String::new(),
    };
    let mut causes = vec![Cause::new(format!(
        "{} failed: {}{first}",
        count(step.failed, "item"),
        classes.join(", ")
    ))];
    causes.extend(failures.iter().take(NAMED).map(|item| {
        let error = one_line(item.error.as_deref().unwrap_or("no error is known"));
        let key = fit(&one_line(&item.key), TEXT_COLUMNS / 2);
        Cause::new(format!("{key}: {}", fit(&error, TEXT_COLUMNS)))
    }));
    causes
}

/// A word for a shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@%+,:".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
