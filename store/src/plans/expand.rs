//! Makes the tasks of items.

use super::change::APPLIED;
use super::{Expansion, PlanOutcome, item_number};
use crate::command::enqueue::Requested;
use crate::core::{CommandResult, Core};
use crate::row::Flags;
use crate::sql::plan::{
    InsertPlanItem, MakeItemAgain, PutCached, SelectItemByKey, SelectItemState,
};
use kirosu_protocol::{Error, ErrorCode, ItemState, TaskId};
use std::collections::HashMap;

impl Core {
    /// Makes tasks for items of a step, all or none.
    pub(super) fn expand(&mut self, run: TaskId, new: &Expansion) -> CommandResult<PlanOutcome> {
        let step_id = new.step;
        let stale = PlanOutcome::default();
        let Some(step) = self.step_at(run, step_id, new.version)? else {
            return Ok(stale);
        };
        let cursor = step.cursor;
        if cursor != new.cursor || step.state.is_final() {
            return Ok(stale);
        }
        for item in new.items.iter().filter(|item| item.index < cursor) {
            let (step_id, idx) = (step_id, item.index);
            let state = self.db.number(SelectItemState { step_id, idx }.into())?;
            if state != Some(item_number(ItemState::Waiting)) {
                return Ok(stale);
            }
        }
        self.check_keys(new)?;
        let of_step = |task| Requested {
            is_of_step: true,
            ..Requested::from(task)
        };
        let requested: Vec<Requested<'_>> = new.tasks.iter().map(of_step).collect();
        let found = self.check(&requested)?;
        if found.iter().any(Option::is_some) {
            return Err(Error::invalid_params("a task of a step has an idempotency key").into());
        }
        let mut made = Vec::with_capacity(new.tasks.len());
        for task in requested {
            let id = self.find_or_make(task)?.task_id;
            self.change(id, |row| row.flags.set(Flags::IN_PLAN));
            made.push(id);
        }
        let created_at = self.now();
        for (entry, task_id) in new.cache.iter().zip(&made) {
            self.write(PutCached {
                fingerprint: &entry.fingerprint,
                task_id: *task_id,
                created_at,
                place: &entry.place,
                parts: &entry.parts,
            })?;
        }
        for item in &new.items {
            let own = item.task.and_then(|at| made.get(at).copied());
            let (task_id, cached) = (own.or(item.cached), i64::from(item.cached.is_some()));
            let state = match own {
                Some(_) => ItemState::Open,
                None => ItemState::Done,
            };
            let before = if item.index >= cursor {
                self.write(InsertPlanItem {
                    step_id,
                    idx: item.index,
                    key: &item.key,
                    state: item_number(state),
                    task_id,
                    position: item.position,
                    cached,
                })?;
                None
            } else {
                self.write(MakeItemAgain {
                    state: item_number(state),
                    task_id,
                    position: item.position,
                    cached,
                    step_id,
                    idx: item.index,
                })?;
                Some(ItemState::Waiting)
            };
            if let Some(step) = self.plan_step(step_id)? {
                step.shift(before, state, 1);
                step.cursor = step.cursor.max(item.index + 1);
            }
        }
        self.touch_step(step_id);
        if let Some(row) = self.plan_run(run)? {
            row.made += made.len() as i64;
            self.touch_run(run);
        }
        Ok(APPLIED)
    }

    /// Refuses two items with one key, before anything is made.
    fn check_keys(&mut self, new: &Expansion) -> CommandResult<()> {
        let mut keys: HashMap<&str, i64> = HashMap::new();
        for item in new.items.iter().filter(|item| item.index >= new.cursor) {
            let stored = SelectItemByKey {
                step_id: new.step,
                key: &item.key,
            };
            let other = match keys.insert(&item.key, item.index) {
                Some(other) => Some(other),
                None => self.db.number(stored.into())?,
            };
            if let Some(other) = other {
                let message = format!(
                    "the items {} and {} have the same key {:?}; keys must differ",
                    other + 1,
                    item.index + 1,
                    item.key
                );
                return Err(Error::new(ErrorCode::InvalidParams, message).into());
            }
        }
        Ok(())
    }
}
