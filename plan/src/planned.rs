//! Plans of planners: the instructions that a planner gets, and the rules for its answer.

use crate::compiled::{Over, Plan, Step, Work};
use crate::plan_use::NamedPlans;
use std::collections::BTreeMap;

/// The instructions for a planner, in the form of a system prompt.
pub const PLANNER_GUIDE: &str = "\
You write plans for a swarm of AI agents. Answer with one plan in YAML and nothing else.

A plan is a list of steps under the key `pipeline`. Each step is done by an agent that sees its prompt only, so a prompt must
contain all that the agent needs. Fields of a step:
- id: a name of letters, digits and _
- depends_on: [ids of the steps that must be done first]
- prompt: the instructions. The result of a step in depends_on is inserted by {{ steps.ID.result }}; a large one, or all results of
  a map, are in the file whose path is {{ steps.ID.file }}.
- pool: the group of agents that does it; leave it out for the default one
For several tasks of one kind: a step with `result: { schema: { type: array } }` whose answer is a JSON list, then a step with
`map: { over: steps.ID.json }`, whose prompt has {{ item }}, then a step with `reduce: { of: ID }`, whose prompt merges
{% for r in results %}{{ r.result }}{% endfor %}.
Use few steps. Steps that do not depend on each other run at the same time.

pipeline:
  - id: risks
    prompt: 'List the risks of ...'
  - id: report
    depends_on: [risks]
    prompt: 'Write a report about these risks: {{ steps.risks.result }}'
";

/// The rules for the plan of a planner.
#[derive(Clone, Copy, Debug)]
pub struct PlannedRules<'a> {
    /// The only pools that it may name; `None`: any.
    pub pools: Option<&'a [String]>,
    /// The texts of the plans that its steps may name.
    pub plans: &'a BTreeMap<String, String>,
}

/// The faults of the plan of a planner that a plan in a file may have, one sentence each.
pub fn planned_faults(plan: &Plan, rules: &PlannedRules<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, input) in &plan.inputs {
        if input.required && input.default.is_none() {
            faults.push(format!(
                "the input {name} needs a default: the run of a planner gets no inputs"
            ));
        }
    }
    if let Some(pools) = rules.pools {
        faults.extend(pool_faults(plan, pools));
    }
    of_steps(&plan.pipeline, rules, &mut faults);
    faults
}

/// The faults of a plan that may name only some pools, one sentence each.
pub fn pool_faults(plan: &Plan, pools: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    each_step(&plan.pipeline, &mut |step| {
        let inner = match &step.work {
            Work::Vote(vote) => vote.judge.as_ref().and_then(|judge| judge.pool.as_ref()),
            Work::Plan(planner) => planner.pool.as_ref(),
            _ => None,
        };
        for pool in step.pool.iter().chain(inner) {
            if !pools.contains(pool) {
                faults.push(format!(
                    "step {}: the pool {pool} is not allowed; allowed are {}",
                    step.id,
                    pools.join(", ")
                ));
            }
        }
    });
    faults
}

/// Lets each planner of a plan ask a person, whatever the plan says.
pub fn ask_always(steps: &mut [Step]) {
    for step in steps {
        if let Work::Plan(planner) = &mut step.work {
            planner.ask = Some(true);
        }
        ask_always(step.work.steps_mut());
    }
}

/// Visits steps and those inside of them.
fn each_step(steps: &[Step], visit: &mut dyn FnMut(&Step)) {
    for step in steps {
        visit(step);
        each_step(step.work.steps(), visit);
    }
}

fn of_steps(steps: &[Step], rules: &PlannedRules<'_>, faults: &mut Vec<String>) {
    let plans = NamedPlans::new(rules.plans);
    each_step(steps, &mut |step| {
        if step.priority > 0 {
            faults.push(format!(
                "step {}: `priority` may not be greater than 0 in the plan of a planner",
                step.id
            ));
        }
        let accept = step.accept.as_ref();
        if accept.is_some_and(|accept| accept.get("command").is_some()) {
            faults.push(format!(
                "step {}: `accept.command` is not allowed in the plan of a planner",
                step.id
            ));
        }
        match &step.work {
            Work::Map(map) => {
                if let Over::Source(_) = &map.over {
                    faults.push(format!(
                        "step {}: `over` must be a list or an expression; there are no files here",
                        step.id
                    ));
                }
            }
            Work::Pipeline(sub) if !rules.plans.contains_key(&sub.plan) => {
                faults.push(format!("step {}: there is no plan {}", step.id, sub.plan));
            }
            Work::Pipeline(sub) => {
                if let Some((plan, inner)) = plans.reads_items(&sub.plan) {
                    faults.push(format!(
                        "step {}: the step {inner} of the plan {plan} reads files of a client, which the plan of a planner cannot have: \
                         name no plan that reads files",
                        step.id
                    ));
                }
            }
            _ => {}
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::{PlanFormat, compile};

    #[test]
    fn the_example_of_the_guide_is_a_plan() {
        let example = PLANNER_GUIDE.rsplit_once("\n\npipeline:").unwrap().1;
        let plan = compile(&format!("pipeline:{example}"), PlanFormat::Yaml).unwrap();
        let rules = PlannedRules {
            pools: None,
            plans: &BTreeMap::new(),
        };
        assert!(planned_faults(&plan, &rules).is_empty());
    }

    #[test]
    fn pools_files_plans_and_inputs_that_a_planner_may_not_use_are_named() {
        let text = "
inputs: { a: { required: true } }
pipeline:
  - { id: one, pool: root, prompt: x }
  - { id: two, map: { over: { files: '*' } }, prompt: x }
  - { id: three, pipeline: other }
  - { id: six, pipeline: outer }
  - id: four
    loop: { max: 2 }
    steps: [{ id: five, pool: root, prompt: x, priority: 1, accept: { command: [make] } }]
";
        let plan = compile(text, PlanFormat::Yaml).unwrap();
        let pools = vec!["fast".to_owned()];
        let plans = [
            ("outer", "pipeline: [{ id: x, pipeline: files }]"),
            (
                "files",
                "pipeline: [{ id: m, map: { over: { lines: a } }, prompt: x }]",
            ),
        ];
        let plans = plans.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let plans = BTreeMap::from(plans);
        let rules = PlannedRules {
            pools: Some(&pools),
            plans: &plans,
        };
        let faults = planned_faults(&plan, &rules);
        assert_eq!(faults.len(), 8, "{faults:#?}");
        for fault in [
            "step five: the pool root is not allowed; allowed are fast",
            "step six: the step m of the plan files reads files of a client, which the plan of a planner cannot have: name no plan that reads files",
        ] {
            assert!(faults.iter().any(|it| it == fault), "{faults:#?}");
        }
    }
}
