//! The end of a run: its result, the items that failed, and the command that repeats them.

use super::pages::ItemPages;
use crate::cli::{Context, Failure, HubClient, NOT_ALL_DONE, Screen, TIMED_OUT, text};
use kirosu_protocol::{
    GetParams, ItemInfo, ItemState, RunAnswer, RunItemsParams, RunState, TaskId,
};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Failed items that are listed.
const LISTED: usize = 5;
/// Characters of an error in the list on a terminal.
const ERROR_COLUMNS: usize = 100;

/// The failed items of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FailedItems {
    /// The number of failed items.
    pub failed: u64,
    /// The number by class of failure.
    pub classes: BTreeMap<String, u64>,
    /// The first ones.
    pub first: Vec<ItemInfo>,
}

impl FailedItems {
    /// Reads them from the hub.
    ///
    /// # Errors
    /// As [`ItemPages::next`].
    pub async fn read(task_id: TaskId, hub: &HubClient) -> Result<FailedItems, Failure> {
        let params = RunItemsParams {
            task_id,
            state: Some(ItemState::Failed),
            ..RunItemsParams::default()
        };
        let (mut pages, mut all) = (ItemPages::new(hub, params, None), FailedItems::default());
        while let Some(page) = pages.next().await? {
            page.into_iter().for_each(|item| all.add(item));
        }
        Ok(all)
    }

    fn add(&mut self, item: ItemInfo) {
        self.failed += 1;
        let class = item.class.as_deref().unwrap_or("other");
        *self.classes.entry(class.to_owned()).or_default() += 1;
        if self.first.len() < LISTED {
            self.first.push(item);
        }
    }

    /// Lines for people: the counts by class, the first items with their errors, and the command that repeats them.
    pub fn lines(&self, run: &RunAnswer) -> Vec<String> {
        if self.failed == 0 {
            return Vec::new();
        }
        let classes = self.classes.iter();
        let classes: Vec<String> = classes
            .map(|(class, n)| format!("{} {}", text::grouped(*n), text::one_line(class)))
            .collect();
        let items = text::count(self.failed, "item");
        let mut lines = vec![format!("{items} failed: {}", classes.join(", "))];
        let is_one_step = self.first.iter().all(|it| it.step == self.first[0].step);
        lines.extend(self.first.iter().map(|item| {
            let step = match is_one_step {
                true => String::new(),
                false => format!("{} ", item.step),
            };
            let error = text::one_line(item.error.as_deref().unwrap_or("no error is known"));
            let key = text::fit(&text::one_line(&item.key), ERROR_COLUMNS);
            let error = text::fit(&error, ERROR_COLUMNS);
            format!("  {step}{key}: {error}")
        }));
        let more = self.failed.saturating_sub(self.first.len() as u64);
        if more > 0 {
            let more = text::grouped(more);
            let id = run.task_id;
            lines.push(format!("  and {more} more: kirosu run items {id} --failed"));
        }
        lines.push(again(run.task_id));
        lines
    }
}

/// The command that repeats what failed.
pub fn again(task_id: TaskId) -> String {
    format!("repeat what failed: kirosu run retry {task_id} --failed")
}

/// The exit code of a run by its state.
pub fn exit_code(state: RunState) -> u8 {
    match state {
        RunState::Done => 0,
        RunState::Partial | RunState::Failed | RunState::Cancelled => NOT_ALL_DONE,
        RunState::Pending | RunState::Open | RunState::Waiting | RunState::Paused => TIMED_OUT,
    }
}

/// The whole result and error of a run: those of [`RunAnswer`] may be cut.
///
/// # Errors
/// The hub refuses, or does not come back after a broken connection.
pub async fn whole(run: &mut RunAnswer, hub: &HubClient) -> Result<(), Failure> {
    if run.state.is_final() {
        let params = GetParams {
            task_id: run.task_id,
            ..GetParams::default()
        };
        let task = hub.request_idempotent(&params).await?.task;
        run.result = task.result;
        run.error = task.error;
    }
    Ok(())
}

/// Notes about a run that is not done: its end, the failed items, and the commands that help.
///
/// # Errors
/// As [`Screen::note`].
pub fn notes(run: &RunAnswer, failed: &FailedItems, screen: &Screen) -> Result<(), Failure> {
    let id = run.task_id;
    let why = run.error.as_deref().or(run.reason.as_deref());
    // The lines below the first one are about the first items, which follow here.
    let why = why.and_then(|why| why.lines().next()).map(text::one_line);
    let why = why.filter(|why| !why.is_empty() && why != run.state.as_str());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    match run.state {
        RunState::Done => {}
        state if state.is_final() => screen.note(&format!("kirosu: run {id} {state}{why}"))?,
        state => screen.note(&format!(
            "run {id} is still {state}{why}; keep waiting with `kirosu run wait {id}`"
        ))?,
    }
    let lines = failed.lines(run);
    if lines.is_empty() && matches!(run.state, RunState::Failed | RunState::Cancelled) {
        screen.note(&format!("the steps: kirosu run show {id}"))?;
    }
    lines.iter().try_for_each(|line| screen.note(line))
}

/// Prints the end of a run: the result on standard output, notes on standard error. Returns the exit code.
///
/// # Errors
/// The hub does not answer, or standard output fails.
pub async fn print(mut run: RunAnswer, hub: &HubClient, context: &Context) -> Result<u8, Failure> {
    whole(&mut run, hub).await?;
    let failed = match run.state {
        RunState::Partial | RunState::Failed => FailedItems::read(run.task_id, hub).await?,
        _ => FailedItems::default(),
    };
    let screen = &context.screen;
    if screen.json {
        let mut answer = json!(run);
        if failed.failed > 0 {
            answer["failures"] = json!(failed);
        }
        screen.json(&answer)?;
    } else {
        if let Some(result) = &run.result {
            screen.print_untrusted(result)?;
        }
        notes(&run, &failed, screen)?;
    }
    Ok(exit_code(run.state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::run::tests::run;

    fn item(step: &str, key: &str, class: Option<&str>) -> ItemInfo {
        ItemInfo {
            step: step.into(),
            index: 0,
            key: key.into(),
            state: ItemState::Failed,
            task_id: Some(7),
            cached: false,
            class: class.map(str::to_owned),
            error: Some("no\nanswer".into()),
            result: None,
        }
    }

    #[test]
    fn failed_items_are_counted_by_class_and_the_first_are_listed() {
        let mut failed = FailedItems::default();
        assert!(failed.lines(&run(Vec::new())).is_empty());
        for n in 0..7 {
            let class = ["timeout", "refused"][usize::from(n == 3)];
            failed.add(item("read", &format!("k{n}"), Some(class)));
        }
        let lines = failed.lines(&run(Vec::new()));
        assert_eq!(lines[0], "7 items failed: 1 refused, 6 timeout");
        assert_eq!(lines[1], "  k0: no answer");
        assert_eq!(lines[6], "  and 2 more: kirosu run items 42 --failed");
        assert_eq!(lines[7], "repeat what failed: kirosu run retry 42 --failed");
        let mut two = FailedItems::default();
        two.add(item("a", "x", None));
        two.add(item("b", "y", None));
        assert_eq!(two.lines(&run(Vec::new()))[2], "  b y: no answer");
        assert_eq!(two.classes["other"], 2);
    }

    #[test]
    fn exit_codes_are_those_of_wait() {
        assert_eq!(exit_code(RunState::Done), 0);
        assert_eq!(exit_code(RunState::Partial), 3);
        assert_eq!(exit_code(RunState::Cancelled), 3);
        assert_eq!(exit_code(RunState::Waiting), 4);
    }
}
