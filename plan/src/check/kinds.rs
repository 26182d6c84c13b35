//! Rules about the kind of a step, its limits and its effects.

use super::PlanCheck;
use crate::compiled::{Effects, Over, Plan, Step, Work};
use crate::limits::STEPS;
use kirosu_protocol::text::nearest;

/// Fields for an agent's task.
const AGENT: [&str; 5] = ["prompt", "system", "provider", "model", "fence"];
/// Fields for the task of an agent or a program.
const TASK: [&str; 12] = [
    "pool",
    "module",
    "result",
    "accept",
    "effects",
    "cache",
    "timeout",
    "max_attempts",
    "retry",
    "labels",
    "priority",
    "workdir",
];

/// Whether a field has an effect in a step of this kind.
fn applies(field: &str, work: &Work) -> bool {
    let has_agent = match work {
        Work::Reduce(reduce) => reduce.into.is_none(),
        work => matches!(
            work,
            Work::Task | Work::Map(_) | Work::Vote(_) | Work::Plan(_)
        ),
    };
    match field {
        "prompt" => has_agent && !matches!(work, Work::Plan(_)),
        "steps" => matches!(work, Work::Loop(_)),
        "shell" => matches!(work, Work::Run(_)),
        "inputs" => matches!(work, Work::Pipeline(_)),
        field if AGENT.contains(&field) => has_agent,
        _ => has_agent || matches!(work, Work::Run(_)),
    }
}

/// Whether the step, or a step in it, satisfies the condition.
fn any(step: &Step, is: &impl Fn(&Step) -> bool) -> bool {
    is(step) || step.work.steps().iter().any(|step| any(step, is))
}

impl PlanCheck<'_> {
    pub(super) fn kinds(&mut self) {
        let plan: &Plan = self.plan;
        self.inputs();
        if self.steps.len() as u64 > plan.limits.steps {
            let message = format!(
                "the plan has {} steps, and limits.steps is {}; it can be at most {}",
                self.steps.len(),
                plan.limits.steps,
                STEPS.hardest
            );
            self.fault("pipeline", message, None);
        }
        for index in 0..self.steps.len() {
            let (step, path) = (self.steps[index].step, self.steps[index].path.clone());
            let is_inner = self.steps[index].parent.is_some();
            if !self.has_fields(&path) {
                continue;
            }
            self.fields(step, &path);
            self.kind(step, &path);
            self.effects(step, &path);
            self.pools(step, &path);
            if step.always && is_inner {
                let message =
                    "only a step of the plan itself can run always, not one inside of another step";
                self.fault(&format!("{path}.always"), message, None);
            }
        }
    }

    fn inputs(&mut self) {
        let plan: &Plan = self.plan;
        for (name, input) in &plan.inputs {
            let path = format!("inputs.{name}");
            let default = format!("{path}.default");
            let Some(value) = &input.default else {
                continue;
            };
            if input.required {
                self.fault(
                    &default,
                    "a required input has no default: remove one of the two",
                    None,
                );
            }
            if let Some(kind) = input.r#type.filter(|kind| !kind.takes(value)) {
                let kind = serde_json::to_value(kind).unwrap_or_default();
                let kind = kind.as_str().unwrap_or_default();
                self.fault(
                    &default,
                    format!("the default {value} is not of the type {kind}"),
                    None,
                );
            }
            if input
                .r#enum
                .as_ref()
                .is_some_and(|values| !values.contains(value))
            {
                self.fault(
                    &default,
                    format!("the default {value} is not one of the allowed values"),
                    None,
                );
            }
        }
    }

    /// Fields that are missing for this kind, or have no effect in it.
    fn fields(&mut self, step: &Step, path: &str) {
        let work = &step.work;
        let kind = work.name();
        let others = ["steps", "shell", "inputs"];
        for field in AGENT.iter().chain(&TASK).chain(&others) {
            let own = format!("{path}.{field}");
            if self.is_given(&own) && !applies(field, work) {
                self.fault(
                    &own,
                    format!("{field} has no effect in a step of the kind {kind}"),
                    None,
                );
            }
        }
        if applies("prompt", work) && self.lacks(&format!("{path}.prompt")) {
            let hint = match work {
                Work::Task => ", or a field that makes it another kind, such as run or map",
                Work::Reduce(_) => ", or reduce.into",
                _ => "",
            };
            self.fault(
                path,
                format!("a step of the kind {kind} needs a prompt{hint}"),
                None,
            );
        }
        if step.pool.is_some() && step.module.is_some() {
            self.fault(
                &format!("{path}.module"),
                "pool and module mean the same: remove one of the two",
                None,
            );
        }
    }

    fn kind(&mut self, step: &Step, path: &str) {
        let limits = &self.plan.limits;
        let (items, passes) = (limits.items, limits.passes);
        let has_budget = limits.tokens.is_some() || limits.usd.is_some_and(|usd| usd > 0.0);
        match &step.work {
            Work::Map(map) => {
                let over = format!("{path}.map.over");
                if let Over::List(list) = &map.over
                    && list.len() as u64 > items
                {
                    let message = format!(
                        "the map has {} items, and limits.items is {items}",
                        list.len()
                    );
                    self.fault(&over, message, None);
                }
                let each = step.result.as_ref().is_some_and(|result| result.each);
                if each && !map.batch.is_list() {
                    self.fault(
                        &format!("{path}.result"),
                        "each is for a map with batch above 1",
                        None,
                    );
                }
                if map.ask && map.sample.is_none() {
                    self.fault(
                        &format!("{path}.map.ask"),
                        "ask is for a map with sample, which is missing",
                        None,
                    );
                }
            }
            Work::Loop(work) => {
                let max = format!("{path}.loop.max");
                if let Some(passes) = passes.filter(|passes| work.max > *passes) {
                    self.fault(
                        &max,
                        format!("{} is above limits.passes, which is {passes}", work.max),
                        None,
                    );
                }
                if self.lacks(&format!("{path}.steps")) {
                    self.fault(path, "a step of the kind loop needs the field steps", None);
                }
            }
            Work::Race(steps) if steps.len() == 1 => {
                self.fault(
                    &format!("{path}.race"),
                    "a race needs at least two steps",
                    None,
                );
            }
            Work::Vote(vote) if vote.by == "judge" && vote.judge.is_none() => {
                self.fault(
                    &format!("{path}.vote"),
                    "by: judge needs the field judge",
                    None,
                );
            }
            Work::Approve(work) if work.on_timeout != "wait" && work.timeout_ms.is_none() => {
                self.fault(
                    &format!("{path}.approve.on_timeout"),
                    "on_timeout needs a timeout",
                    None,
                );
            }
            Work::Run(run) if run.shell && run.words.len() > 1 => {
                self.fault(
                    &format!("{path}.run"),
                    "with shell: true this is a list of one text",
                    None,
                );
            }
            Work::Plan(_) if !has_budget => {
                let message =
                    "a plan with a planner needs a budget: add limits.tokens or limits.usd";
                self.fault(&format!("{path}.plan"), message, None);
            }
            _ => {}
        }
    }

    fn effects(&mut self, step: &Step, path: &str) {
        let effects = format!("{path}.effects");
        if step.cache.is_some() && step.effects != Effects::None {
            let message = match step.effects {
                Effects::Once => "a step with effects: once cannot use the cache",
                _ => "cache needs effects: none",
            };
            self.fault(&format!("{path}.cache"), message, None);
        }
        if step.cache.is_some() && matches!(step.work, Work::Plan(_)) {
            let message = "the plan of a planner is made and agreed anew each time";
            self.fault(&format!("{path}.cache"), message, None);
        }
        let is_once = |step: &Step| step.effects == Effects::Once;
        match &step.work {
            Work::Race(steps) => {
                for (index, inner) in steps.iter().enumerate() {
                    if any(inner, &is_once) {
                        let message = "a step with effects: once cannot take part in a race";
                        self.fault(&format!("{path}.race[{index}].effects"), message, None);
                    }
                }
            }
            Work::Vote(_) if is_once(step) => {
                self.fault(
                    &effects,
                    "a vote runs its prompt several times, so its effects cannot be once",
                    None,
                );
            }
            _ => {}
        }
    }

    /// Pools that `limits.pools` does not have.
    fn pools(&mut self, step: &Step, path: &str) {
        let plan: &Plan = self.plan;
        let Some(pools) = &plan.limits.pools else {
            return;
        };
        let inner = match &step.work {
            Work::Vote(vote) => vote
                .judge
                .as_ref()
                .and_then(|judge| Some((judge.pool.as_ref()?, "vote.judge.pool"))),
            Work::Plan(planner) => planner.pool.as_ref().map(|pool| (pool, "plan.pool")),
            _ => None,
        };
        for (pool, field) in step.pool.iter().map(|pool| (pool, "pool")).chain(inner) {
            if !pool.is_empty() && !pools.contains(pool) {
                let near = nearest(pool, pools.iter().map(String::as_str));
                self.fault(
                    &format!("{path}.{field}"),
                    format!("the pool {pool} is not in limits.pools"),
                    near,
                );
            }
        }
    }
}
