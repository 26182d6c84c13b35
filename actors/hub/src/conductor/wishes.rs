//! Wishes of clients: what `run_retry` repeats.

use super::turn::{RunTurn, budget_of};
use kirosu_plan::advance::{Repeat, repeats};
use kirosu_plan::{StepFate, to_clear};
use kirosu_protocol::{PlanText, RunRetryParams, RunState, StepState};
use kirosu_store::{PlanChange, PlanRun, ResetItems, RunWish};

/// Items that one command resets.
const ITEMS: u32 = 200;

/// The wishes of clients that are not carried out yet, the oldest first.
pub(super) fn wishes(run: &PlanRun) -> Result<Vec<RunWish>, String> {
    let Some(text) = &run.wishes else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|why| why.to_string())
}

impl RunTurn<'_> {
    /// The oldest wish of a client.
    pub fn wish(&self) -> Result<Option<RunWish>, String> {
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

    /// Goes over to another plan: clears what it changes, and takes it then. Each turn, also one after a crash, finds the rest.
    pub fn replan(&mut self, text: &PlanText) {
        self.live.faults.clear();
        let known = self.live.next_plan.take().filter(|(of, _)| of == text);
        let checked = match known {
            Some((_, checked)) => Ok(checked),
            None => self.live.with_plan(text),
        };
        let (new, fates) = match checked {
            Ok(checked) => checked,
            Err(why) => return self.refuse(&why),
        };
        let left: Vec<String> = to_clear(&fates, &self.snapshot.rows)
            .into_iter()
            .filter(|path| {
                let is_gone = fates.contains(&(path.clone(), StepFate::Gone));
                !(is_gone && self.is_left_out(path))
            })
            .collect();
        for path in &left {
            self.clear(path);
        }
        if !left.is_empty() {
            self.live.next_plan = Some((text.clone(), (new, fates)));
            return;
        }
        let gone = fates.iter().filter(|(_, fate)| *fate == StepFate::Gone);
        for (path, _) in gone {
            let why = Some("the plan has no such step any more".to_owned());
            self.set(path, StepState::Omitted, why, None, None);
        }
        let (run, hash) = (self.live.id, new.hash);
        tracing::info!(run, hash, "the run goes on with another plan");
        let budget = budget_of(&new.plan);
        self.change(None, PlanChange::Replan { hash, budget });
    }

    /// Whether a step without items was left out of the plan.
    fn is_left_out(&self, path: &str) -> bool {
        let row = self.snapshot.rows.get(path);
        row.is_some_and(|row| row.state == StepState::Omitted && row.cursor == 0)
    }

    /// A plan cannot be taken: the run waits with the reason, and goes on with its own one.
    fn refuse(&mut self, why: &str) {
        let reason = format!("the other plan cannot be taken: {why}");
        let (state, reason) = (RunState::Waiting, Some(reason));
        self.change(None, PlanChange::SetRun { state, reason });
        self.change(None, PlanChange::Fulfil);
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
