//! The end of a run.

use super::results::Results;
use super::turn::{RunTurn, TurnInput};
use kirosu_plan::advance::ResultRef;
use kirosu_protocol::{Ack, FailureClass, ItemState, RunState};
use kirosu_store::{Command, PlanChange};

/// Failed items that the error of a run names.
const NAMED: i64 = 3;

impl RunTurn<'_> {
    pub fn end(
        &mut self,
        around: &mut TurnInput<'_>,
        state: RunState,
        reason: Option<String>,
        result: Option<ResultRef>,
    ) {
        let mut results = Results {
            store: around.store,
        };
        let text = match &result {
            Some(ResultRef::Step(path)) => results.text(&self.snapshot, path),
            _ => Ok(None),
        };
        let (id, fence) = (self.live.id, Some(self.live.fence));
        let ack = match (state, text) {
            (RunState::Failed, _) => {
                let reason = reason.unwrap_or_else(|| "a step failed".to_owned());
                let error = self.with_failures(around, reason);
                Ack::failed(id, fence, FailureClass::ProviderError, error)
            }
            (_, Ok(text)) => Ack::done(id, fence, text.unwrap_or_default()),
            (_, Err(why)) => {
                let all = format!("`kirosu run items {id} --results --jsonl` prints the results");
                Ack::done(id, fence, format!("[{why}; {all}]"))
            }
        };
        if state == RunState::Partial {
            self.change(
                None,
                PlanChange::SetRun {
                    state,
                    reason: None,
                },
            );
        }
        self.commands.push((Command::Ack(Box::new(ack)), None));
    }

    /// The reason of a failed run, with the errors of some of its items.
    fn with_failures(&self, around: &mut TurnInput<'_>, reason: String) -> String {
        let mut lines = vec![reason];
        let failed = self.snapshot.steps.values().filter(|step| step.failed > 0);
        for step in failed {
            let state = Some(ItemState::Failed);
            let Ok(items) = around.store.plan_items(step.id, state, 0, NAMED) else {
                continue;
            };
            let mut results = Results {
                store: around.store,
            };
            for item in results.with_results(step, items).unwrap_or_default() {
                let error = item.error.unwrap_or_default();
                let error = kirosu_protocol::text::shorten(&error, 300);
                lines.push(format!("{} {}: {error}", step.path, item.key));
            }
        }
        lines.truncate(1 + NAMED as usize);
        lines.join("\n")
    }
}
