//! Steps whose items follow from one another: the judge of a vote after its answers, the run of a planner after its plan.

use super::items::{failure, set};
use super::{Act, ResultRef, StepFacts, World, waits};
use crate::compiled::{PlannerWork, VoteWork};
use kirosu_protocol::StepState;

/// The stage of a planner, by its newest item.
#[derive(Clone, Debug, PartialEq)]
pub enum PlannerStage {
    /// Its plan has these faults.
    Faulty(String),
    /// Its plan has no fault.
    Planned,
    /// A person agrees with the plan.
    Agreed,
    /// It ends without a result, for this reason.
    Refused(String),
    /// The plan has run.
    Ran,
}

/// The next change of a vote whose answers have ended; `None`: they have not, or the judge's have not.
pub(super) fn advance_vote(
    path: &str,
    vote: &VoteWork,
    row: &StepFacts,
    world: &mut dyn World,
) -> Option<Act> {
    if !row.is_complete() {
        return None;
    }
    let done = |position| Act::Set {
        path: path.to_owned(),
        state: StepState::Done,
        reason: None,
        total: None,
        result: Some(ResultRef::Item(position)),
    };
    let failed = |why: String| Some(set(path, StepState::Failed, Some(why)));
    if row.done == 0 {
        return failed(failure(row));
    }
    let is_judged = row.total > Some(vote.n);
    if is_judged {
        return match world.chosen(path, vote.n) {
            Ok(Some(position)) => Some(done(position)),
            Ok(None) => Some(done(vote.n)),
            Err(why) => failed(why),
        };
    }
    if vote.by == "majority" {
        match world.majority(path, vote.n, vote.key.as_deref()) {
            Ok(Some(position)) => return Some(done(position)),
            Ok(None) => {}
            Err(why) => return failed(why),
        }
    }
    match &vote.judge {
        // The judge is one more item.
        Some(_) => Some(Act::Set {
            path: path.to_owned(),
            state: StepState::Open,
            reason: None,
            total: Some(vote.n + 1),
            result: None,
        }),
        None => failed(format!("no answer has a majority of {}", vote.n)),
    }
}

/// The next change of a planner whose items have ended: one more item, or its end.
pub(super) fn advance_planner(
    path: &str,
    planner: &PlannerWork,
    row: &StepFacts,
    world: &mut dyn World,
) -> Act {
    let one_more = |reason: Option<&str>| Act::Set {
        path: path.to_owned(),
        state: StepState::Open,
        reason: reason.map(str::to_owned),
        total: Some(row.cursor + 1),
        result: None,
    };
    match world.planner(path) {
        Ok(PlannerStage::Faulty(why)) if row.cursor >= planner.tries => {
            let tries = planner.tries;
            let why = format!("no plan without a fault after {tries} tries:\n{why}");
            set(path, StepState::Failed, Some(why))
        }
        Ok(PlannerStage::Planned) if planner.ask.unwrap_or(true) => one_more(Some(waits::PERSON)),
        Ok(PlannerStage::Faulty(_) | PlannerStage::Planned | PlannerStage::Agreed) => {
            one_more(None)
        }
        Ok(PlannerStage::Ran) => Act::Set {
            path: path.to_owned(),
            state: StepState::Done,
            reason: None,
            total: None,
            result: Some(ResultRef::Item(row.cursor.saturating_sub(1))),
        },
        Ok(PlannerStage::Refused(why)) | Err(why) => set(path, StepState::Failed, Some(why)),
    }
}
