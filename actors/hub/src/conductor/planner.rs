//! Planners: a task whose answer is a plan, a person who agrees, and the run of that plan. They are items of one step: `plan 1`,
//! after an answer with faults `plan 2` and so on, then `ask`, then `run`.

use super::context::StepValues;
use super::results::ItemOutcome;
use super::tasks::TaskPurpose;
use super::world::RunWorld;
use kirosu_plan::advance::PlannerStage;
use kirosu_plan::{
    PLANNER_GUIDE, Plan, PlanFormat, PlannedRules, PlannerWork, compile, planned_faults, render,
    tree,
};
use kirosu_protocol::task::{TYPE_CHAT, TYPE_HUMAN};
use kirosu_protocol::{ItemState, NewTask, PlanMetadata};
use kirosu_store::RunStep;

/// The key of the question to a person.
const ASK: &str = "ask";
/// The key of the run.
const RUN: &str = "run";

impl StepValues<'_> {
    /// The plan in an answer, or its faults.
    fn planned(&self, answer: &str) -> Result<Plan, String> {
        let plan = compile(answer, PlanFormat::Yaml).map_err(|faults| faults.to_string())?;
        let limits = self.live.plan.as_ref().ok().map(|plan| &plan.limits);
        let rules = PlannedRules {
            pools: limits.and_then(|limits| limits.pools.as_deref()),
            plans: &self.live.metadata.plans,
        };
        match planned_faults(&plan, &rules) {
            faults if faults.is_empty() => Ok(plan),
            faults => Err(faults.join("\n")),
        }
    }

    /// The stage of a planner whose newest item is this one.
    fn stage_after(&self, last: &ItemOutcome) -> PlannerStage {
        let why = || {
            let error = last.error.as_deref().unwrap_or_default();
            kirosu_protocol::text::shorten(error, 500).to_owned()
        };
        match (last.key.as_str(), last.state) {
            (ASK, ItemState::Done) => PlannerStage::Agreed,
            (ASK, _) => PlannerStage::Refused(format!("a person refused the plan: {}", why())),
            (RUN, ItemState::Done) => PlannerStage::Ran,
            (RUN, _) => PlannerStage::Refused(format!("the run of the plan failed: {}", why())),
            (_, ItemState::Done) => match self.planned(last.result.as_deref().unwrap_or("")) {
                Ok(_) => PlannerStage::Planned,
                Err(faults) => PlannerStage::Faulty(faults),
            },
            _ => PlannerStage::Refused(format!("the planner failed: {}", why())),
        }
    }
}

impl RunWorld<'_> {
    /// The stage of a planner, whose items have all ended.
    pub fn stage(&mut self, row: &RunStep) -> Result<PlannerStage, String> {
        let last = row.cursor - 1;
        let items = self.values.results.items(row, (last, row.cursor))?;
        Ok(match items.first() {
            Some(last) => self.values.stage_after(last),
            None => PlannerStage::Refused("it has no item".into()),
        })
    }

    /// The key and the task of the next item of a planner.
    pub fn planner(
        &mut self,
        purpose: &TaskPurpose<'_>,
        work: &PlannerWork,
        row: &RunStep,
        index: i64,
    ) -> Result<(String, NewTask), String> {
        let earlier = self.values.results.items(row, (0, index))?;
        let answer = earlier
            .iter()
            .rev()
            .find(|item| item.key.starts_with("plan"));
        let answer = answer
            .and_then(|item| item.result.clone())
            .unwrap_or_default();
        let stage = earlier.last().map(|last| self.values.stage_after(last));
        match stage {
            None => self.values.plan_task(purpose, work, index, None),
            Some(PlannerStage::Faulty(faults)) => {
                self.values
                    .plan_task(purpose, work, index, Some((&answer, &faults)))
            }
            Some(PlannerStage::Planned) if work.ask.unwrap_or(true) => {
                let drawn = self.values.planned(&answer).map(|plan| tree(&plan))?;
                let mut task = self.values.common(purpose, TYPE_HUMAN);
                task.prompt = format!("Run this plan?\n\n{drawn}\n\n{}", answer.trim());
                Ok((ASK.to_owned(), task))
            }
            Some(PlannerStage::Planned | PlannerStage::Agreed) => {
                let metadata = PlanMetadata {
                    name: Some(purpose.step.id.clone()),
                    plans: self.values.live.metadata.plans.clone(),
                    ..PlanMetadata::default()
                };
                let mut task = self.values.run_below(purpose, metadata)?;
                task.prompt = answer;
                Ok((RUN.to_owned(), task))
            }
            Some(PlannerStage::Refused(why)) => Err(why),
            Some(PlannerStage::Ran) => Err("the plan has run already".into()),
        }
    }
}

impl StepValues<'_> {
    /// The task that answers with a plan. `faulty`: an earlier answer with its faults.
    fn plan_task(
        &mut self,
        purpose: &TaskPurpose<'_>,
        work: &PlannerWork,
        index: i64,
        faulty: Option<(&str, &str)>,
    ) -> Result<(String, NewTask), String> {
        self.files.clear();
        let context = self.context(purpose.scope, &[(&work.goal, false)], purpose.extra.clone())?;
        let goal = render(&work.goal, &context, &self.limits(purpose.step.fence));
        let goal = goal.map_err(|why| format!("`goal`: {why}"))?;
        let mut prompt = format!("Make a plan for this goal:\n\n{goal}\n");
        let limits = self.live.plan.as_ref().ok().map(|plan| &plan.limits);
        if let Some(pools) = limits.and_then(|limits| limits.pools.as_ref()) {
            prompt += &format!("\nThe pools are: {}.\n", pools.join(", "));
        }
        if let Some((answer, faults)) = faulty {
            let answer = kirosu_protocol::text::counted(answer, 20_000);
            prompt += &format!(
                "\nAn earlier plan was:\n\n{answer}\n\nIt has these faults; answer with the whole plan again, without them:\n{faults}\n"
            );
        }
        let mut task = self.common(purpose, TYPE_CHAT);
        task.prompt = prompt;
        task.system_prompt = Some(PLANNER_GUIDE.to_owned());
        task.queue = work.pool.clone().unwrap_or(task.queue);
        Ok((format!("plan {}", index + 1), task))
    }
}
