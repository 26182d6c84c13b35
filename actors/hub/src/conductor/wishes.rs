//! Wishes of clients: what `run_retry` repeats.

use super::turn::RunTurn;
use kirosu_plan::advance::{Repeat, repeats};
use kirosu_protocol::{RunRetryParams, StepState};
use kirosu_store::{PlanChange, PlanRun, ResetItems};

/// Items that one command resets.
const ITEMS: u32 = 200;

/// The wishes of clients that are not carried out yet, the oldest first.
pub(super) fn wishes(run: &PlanRun) -> Result<Vec<RunRetryParams>, String> {
    let Some(text) = &run.wishes else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|why| why.to_string())
}

impl RunTurn<'_> {
    /// The oldest wish of a client.
    pub fn wish(&self) -> Result<Option<RunRetryParams>, String> {
        Ok(wishes(&self.snapshot.run)?.into_iter().next())
    }

    /// Prepares what a client wants to be repeated: first what depends on it, then the steps around it, and itself last. Until
    /// then each turn, also one after a crash, finds the rest.
    pub fn repeat(&mut self, wish: &RunRetryParams) {
        self.live.faults.clear();
        let (step, item) = (wish.step.as_deref(), wish.item.as_deref());
        let all = repeats(&self.plan, &self.snapshot.rows, step, item);
        let next = [all.dependents, all.around, all.causes];
        let next = next.into_iter().find(|repeats| !repeats.is_empty());
        let mut is_item = false;
        for repeat in next.iter().flatten() {
            match repeat {
                Repeat::Anew(path) => self.clear(path),
                Repeat::Lost(path) => self.reset(path, ResetItems::Lost),
                Repeat::Item(path, key) => {
                    is_item = true;
                    self.reset(path, ResetItems::Key(key.clone()));
                }
                Repeat::Open(path) => {
                    self.set(path, StepState::Open, None, None, None);
                }
            }
        }
        if next.is_none() || is_item {
            self.change(None, PlanChange::Fulfil);
        }
    }

    fn clear(&mut self, path: &str) {
        match self.snapshot.rows.get(path).is_some_and(|row| row.open > 0) {
            true => self.cancel(path, "a step that it depends on is repeated"),
            false => self.reset(path, ResetItems::All),
        }
    }

    fn reset(&mut self, path: &str, items: ResetItems) {
        if let Some(step) = self.snapshot.steps.get(path) {
            let (step, version) = (step.id, step.version);
            let change = PlanChange::Reset {
                step,
                version,
                items,
                limit: ITEMS,
            };
            self.change(Some(path), change);
        }
    }
}
