//! Wishes of clients: what `run_retry` repeats.

use super::turn::RunTurn;
use kirosu_plan::advance::{Repeat, repeats};
use kirosu_protocol::{RunRetryParams, StepState};
use kirosu_store::{PlanChange, ResetItems};

/// Items that one command resets.
const ITEMS: u32 = 200;

impl RunTurn<'_> {
    /// The oldest wish of a client.
    pub fn wish(&self) -> Result<Option<RunRetryParams>, String> {
        let Some(text) = &self.snapshot.run.wishes else {
            return Ok(None);
        };
        let wishes: Vec<RunRetryParams> =
            serde_json::from_str(text).map_err(|why| why.to_string())?;
        Ok(wishes.into_iter().next())
    }

    /// Prepares what a client wants to be repeated: first what depends on it, so that a turn that was interrupted finds the rest.
    pub fn repeat(&mut self, wish: &RunRetryParams) {
        self.live.faults.clear();
        let all = repeats(
            &self.plan,
            &self.snapshot.rows,
            wish.step.as_deref(),
            wish.item.as_deref(),
        );
        let anew = all
            .iter()
            .filter(|repeat| matches!(repeat, Repeat::Anew(_)));
        let anew: Vec<Repeat> = anew.cloned().collect();
        let rest = all
            .into_iter()
            .filter(|repeat| !matches!(repeat, Repeat::Anew(_)));
        let next: Vec<Repeat> = match anew.is_empty() {
            false => anew,
            true => rest.collect(),
        };
        let mut is_item = false;
        for repeat in &next {
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
        if next.is_empty() || is_item {
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
