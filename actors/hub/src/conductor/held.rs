//! Tasks of a run that wait for a person's approval, most of them because a budget is used up.

use super::turn::{RunTurn, TurnInput};
use kirosu_protocol::{APPROVAL_REASON, BUDGET_REASON, RunState};
use kirosu_store::{HeldItems, PlanChange, StepId};

/// Tasks that one command lets run.
const TASKS: u32 = 200;
/// The beginnings of the reasons that this file gives.
const REASONS: [&str; 2] = [BUDGET_REASON, APPROVAL_REASON];

impl RunTurn<'_> {
    /// A person has raised the budget: the tasks that wait for it run, each once: those that find it used up again wait for the next
    /// decision.
    pub fn let_run(&mut self, around: &mut TurnInput<'_>) -> Result<(), String> {
        // The runs below learn of it before it is forgotten here; learning of it twice changes nothing.
        self.live.was_raised = true;
        let held = self.held(around)?;
        let most = held.iter().map(|(_, _, held)| held.budget).max();
        let most = u64::try_from(most.unwrap_or(0)).unwrap_or(0);
        let needed = most.div_ceil(u64::from(TASKS));
        let left = self
            .live
            .raise_turns
            .map_or(needed, |left| left.min(needed));
        if left > 0 {
            self.live.raise_turns = Some(left - 1);
            for (path, step, _) in held.iter().filter(|(_, _, held)| held.budget > 0) {
                let (step, limit) = (*step, TASKS);
                self.change(Some(path), PlanChange::LetRun { step, limit });
            }
            return Ok(());
        }
        self.live.raise_turns = None;
        let (agreed, raised) = (0, self.snapshot.run.raised);
        self.change(None, PlanChange::Decided { agreed, raised });
        if self.snapshot.run.state == RunState::Waiting {
            let (state, reason) = (RunState::Open, None);
            self.change(None, PlanChange::SetRun { state, reason });
        }
        Ok(())
    }

    /// Nothing is to be decided: the run waits for a person if all its open tasks do.
    pub fn note_held(&mut self, around: &mut TurnInput<'_>) -> Result<(), String> {
        let run = &self.snapshot.run;
        if !matches!(run.state, RunState::Open | RunState::Waiting) {
            return Ok(());
        }
        let is_own = |reason: &str| REASONS.iter().any(|own| reason.starts_with(own));
        let was_held = run.reason.as_deref().is_some_and(is_own);
        let mut all = HeldItems::default();
        for (_, _, held) in self.held(around)? {
            all.all += held.all;
            all.budget += held.budget;
        }
        let open: i64 = self.snapshot.steps.values().map(|step| step.open).sum();
        let id = self.live.id;
        let reason = match all.all > 0 && all.all == open {
            false => None,
            true if all.budget > 0 => Some(format!(
                "{}{} tasks wait because it is used up: `kirosu run approve {id}` raises it",
                REASONS[0], all.budget
            )),
            true => Some(format!(
                "{}{} tasks wait for a person: `kirosu approvals` lists them",
                REASONS[1], all.all
            )),
        };
        if reason.is_none() && !was_held || reason == self.snapshot.run.reason {
            return Ok(());
        }
        let state = match reason {
            Some(_) => RunState::Waiting,
            None => RunState::Open,
        };
        self.change(None, PlanChange::SetRun { state, reason });
        Ok(())
    }

    /// The steps that have open items, with those that wait.
    fn held(&self, around: &mut TurnInput<'_>) -> Result<Vec<(String, StepId, HeldItems)>, String> {
        let open = self.snapshot.steps.values().filter(|step| step.open > 0);
        open.map(|step| {
            let held = around.store.held_items(step.id);
            let held = held.map_err(|why| why.to_string())?;
            Ok((step.path.clone(), step.id, held))
        })
        .collect()
    }
}
