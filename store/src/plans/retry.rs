//! Retries in runs: of what failed, of one step, of one item; and of a single task that a step has made.

use super::{RunWish, item_state};
use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::sql::plan::{SelectItemByKey, SelectItemState, SelectMerge, SelectStepAt};
use kirosu_protocol::{ItemState, RunRetryParams, StepState, TaskId};

impl Core {
    pub(super) fn retry_run(
        &mut self,
        id: TaskId,
        what: &RunRetryParams,
    ) -> CommandResult<Outcome> {
        self.begun_run("retry", id)?;
        if let Some(path) = &what.step {
            let at = SelectStepAt { run_id: id, path };
            let Some(step_id) = self.db.number(at.into())? else {
                let message = format!(
                    "the run {id} has no step {path:?} that has begun; `kirosu run show {id}` lists them"
                );
                return Err(self.wrong_state_of(id, message));
            };
            if what.item.is_some() {
                self.check_item_alone(id, path, step_id)?;
            }
            if let Some(key) = &what.item {
                let Some(idx) = self.db.number(SelectItemByKey { step_id, key }.into())? else {
                    let message = format!(
                        "the step {path} of the run {id} has no item {key:?}; `kirosu run items {id} --step {path}` lists them"
                    );
                    return Err(self.wrong_state_of(id, message));
                };
                if self.goes_on_anyway(id, step_id, idx)? {
                    return self.go_on(id);
                }
            }
        }
        self.wish(id, retry(what))?;
        self.go_on(id)
    }

    /// Whether an item has not ended of a step that goes on: nothing is to be repeated, and what rests on it stays.
    fn goes_on_anyway(&mut self, id: TaskId, step_id: i64, idx: i64) -> CommandResult<bool> {
        self.settle_plans()?;
        let step = self.plan_step(step_id)?.map(|step| step.state);
        let item = self
            .db
            .number(SelectItemState { step_id, idx }.into())?
            .map(item_state);
        let has_ended = !matches!(item, Some(ItemState::Waiting | ItemState::Open));
        Ok(self.is_live_run(id)? && step == Some(StepState::Open) && !has_ended)
    }

    /// Refuses the retry of one item of a step whose items rest on each other.
    fn check_item_alone(&mut self, id: TaskId, path: &str, step_id: i64) -> CommandResult<()> {
        let kind = self.plan_step(step_id)?.map(|step| step.kind.clone());
        let Some(kind @ ("reduce" | "vote" | "plan")) = kind.as_deref() else {
            return Ok(());
        };
        let message = format!(
            "the items of the step {path}, a {kind}, rest on each other; `kirosu run retry {id} --step {path}` repeats what is needed"
        );
        Err(self.wrong_state_of(id, message))
    }

    /// Refuses the retry of a task of a step that has ended: nothing would take over its result. A run that is retried repeats
    /// what failed in it.
    pub(crate) fn check_retry_in_plan(&mut self, id: TaskId) -> CommandResult<()> {
        let row = self.known(id)?;
        let (flags, lane) = (row.flags, row.lane);
        if self.lanes.get(lane).is_some_and(|lane| lane.is_plan()) {
            let is_new = self.plan_run(id)?.is_some_and(|run| run.wishes.is_none());
            return match is_new {
                true => self.wish(id, retry(&RunRetryParams::default())),
                false => Ok(()),
            };
        }
        match flags.has(Flags::IN_PLAN) {
            true => self.check_step_goes_on(id),
            false => Ok(()),
        }
    }

    /// Refuses to bring a task of a step back that has ended, or whose results are merged already: nothing would take over its
    /// result.
    pub(super) fn check_step_goes_on(&mut self, id: TaskId) -> CommandResult<()> {
        let items = self.db.items_of_task(id)?;
        let step = match items {
            Some(items) => self.plan_step(items.step_id)?,
            None => None,
        };
        let step = step.filter(|step| !step.state.is_final());
        let live = step.map(|step| (step.run_id, step.path.clone()));
        if let Some((run, path)) = live {
            if !self.may_be_merged(run, &path)? {
                return Ok(());
            }
            let message = format!(
                "task {id} belongs to the step {path} of the run {run}, whose results a reduce merges already; `kirosu run retry {run} --step {path}` repeats what failed there, and the reduce"
            );
            return Err(self.wrong_state_of(id, message));
        }
        let run = self.task_options(id)?.parent_id.unwrap_or_default();
        let message = format!(
            "task {id} belongs to a step of the run {run} that has ended; `kirosu run retry {run}` repeats what failed there"
        );
        Err(self.wrong_state_of(id, message))
    }

    /// Whether a reduce may have merged some items of a step that goes on.
    fn may_be_merged(&mut self, run_id: TaskId, path: &str) -> Result<bool> {
        self.flush_plans()?;
        let merges = path;
        let merge = SelectMerge { run_id, merges };
        Ok(self.db.number(merge.into())?.is_some())
    }
}

/// A wish for a retry.
pub(super) fn retry(what: &RunRetryParams) -> RunWish {
    RunWish {
        retry: what.clone(),
        plan: None,
        repeats_failed: false,
    }
}
