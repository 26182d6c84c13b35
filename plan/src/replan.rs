//! A run that goes on with another plan: the steps that it keeps, and those that begin anew.

use crate::advance::StepRows;
use crate::compiled::{Plan, Step, Work};
use crate::plan_use::{PlanSource, plan_sources};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A plan with everything outside of it that its steps are made of.
#[derive(Clone, Copy, Debug)]
pub struct PlanVersion<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The values of its inputs, with defaults.
    pub inputs: &'a Map<String, Value>,
    /// The texts of the plans that its steps name.
    pub plans: &'a BTreeMap<String, String>,
}

/// The treatment of a step by a run that goes on with another plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepFate {
    /// Nothing of it changes: its state and results stay.
    Kept,
    /// Its prompt, pool, inputs or other fields change: it begins anew.
    Changed,
    /// It depends on a step that begins anew, and does so itself.
    Follows,
    /// The earlier plan does not have it.
    New,
    /// The new plan does not have it.
    Gone,
}

/// The steps of the new plan in its order, then those that only the old one has. Steps inside of loops and races belong to the step
/// around them.
pub fn replanned(old: &PlanVersion<'_>, new: &PlanVersion<'_>) -> Vec<(String, StepFate)> {
    let known: BTreeMap<&str, &Step> = old
        .plan
        .pipeline
        .iter()
        .map(|step| (step.id.as_str(), step))
        .collect();
    let mut fates: BTreeMap<&str, StepFate> = BTreeMap::new();
    for step in &new.plan.pipeline {
        let fate = match known.get(step.id.as_str()) {
            None => StepFate::New,
            Some(before) if is_same((before, old), (step, new)) => StepFate::Kept,
            Some(_) => StepFate::Changed,
        };
        fates.insert(&step.id, fate);
    }
    // Each round finds the steps one dependency further on.
    loop {
        let any = fates.values().any(|fate| *fate != StepFate::Kept);
        let is_kept = |id: &str| fates.get(id) == Some(&StepFate::Kept);
        let follows = |step: &&Step| {
            is_kept(&step.id)
                && (step.depends_on.iter().any(|on| !is_kept(on)) || (step.always && any))
        };
        let next = new.plan.pipeline.iter().find(follows);
        match next {
            Some(step) => fates.insert(&step.id, StepFate::Follows),
            None => break,
        };
    }
    let mut all: Vec<(String, StepFate)> = new
        .plan
        .pipeline
        .iter()
        .map(|step| (step.id.clone(), fates[step.id.as_str()]))
        .collect();
    let is_gone = |step: &&Step| !fates.contains_key(step.id.as_str());
    let gone = old.plan.pipeline.iter().filter(is_gone);
    all.extend(gone.map(|step| (step.id.clone(), StepFate::Gone)));
    all
}

/// Whether a step would make the same tasks.
fn is_same(
    (before, old): (&Step, &PlanVersion<'_>),
    (after, new): (&Step, &PlanVersion<'_>),
) -> bool {
    if before != after {
        return false;
    }
    // Cannot fail: it is a table with texts as keys.
    let text = serde_json::to_string(after).unwrap_or_default();
    let changed = changed_inputs(old, new);
    // A shell gets all inputs as variables.
    let is_fed = !changed.is_empty() && (uses_shell(after) || names_input(&text, &changed));
    !is_fed && (!runs_plans(after) || old.plans == new.plans)
}

fn changed_inputs<'v>(old: &'v PlanVersion<'_>, new: &'v PlanVersion<'_>) -> Vec<&'v str> {
    let names = old.inputs.keys().chain(new.inputs.keys());
    let differs = |name: &&String| old.inputs.get(*name) != new.inputs.get(*name);
    names.filter(differs).map(String::as_str).collect()
}

/// Whether a text may use one of these inputs: it names it, or inputs as a whole or by an expression.
fn names_input(text: &str, changed: &[&str]) -> bool {
    text.match_indices("inputs").any(|(at, word)| {
        // The field of a step that runs another plan.
        if text[at + word.len()..].starts_with("\":") {
            return false;
        }
        let Some(rest) = text[at + word.len()..].strip_prefix('.') else {
            // A name that only looks like it costs a repetition; one that is overlooked would leave an old result.
            return true;
        };
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let name = rest.split(|letter| !is_part(letter)).next();
        name.is_some_and(|name| changed.contains(&name))
    })
}

fn uses_shell(step: &Step) -> bool {
    matches!(&step.work, Work::Run(run) if run.shell) || step.work.steps().iter().any(uses_shell)
}

/// Whether a step, or one inside of it, runs another plan.
fn runs_plans(step: &Step) -> bool {
    matches!(step.work, Work::Pipeline(_)) || step.work.steps().iter().any(runs_plans)
}

/// Why a run cannot go on with the new plan without its client: the items of a step, which may be in a plan below, would have to be
/// read there.
pub fn needs_source(old: &PlanVersion<'_>, new: &PlanVersion<'_>) -> Option<String> {
    let before = plan_sources(old).unwrap_or_default();
    let after = match plan_sources(new) {
        Ok(after) => after,
        Err(why) => return Some(why),
    };
    let is_known = |it: &PlanSource| {
        let mut known = before.iter();
        known.any(|other| (&other.key, &other.source) == (&it.key, &it.source))
    };
    let unknown = after.into_iter().find(|it| !is_known(it))?;
    Some(format!(
        "the step {} reads other items than before, which needs a new run: `kirosu run-pipeline`",
        unknown.key
    ))
}

/// The paths of rows that must be cleared before the run goes on with the new plan, those inside of other steps included.
pub fn to_clear(fates: &[(String, StepFate)], rows: &StepRows) -> Vec<String> {
    let of_step = |path: &str| {
        let id = path.split(['[', '.']).next().unwrap_or(path);
        let fate = fates.iter().find(|(other, _)| other == id);
        fate.map_or(StepFate::Gone, |(_, fate)| *fate)
    };
    rows.iter()
        .filter(|(path, row)| {
            let is_used = row.has_begun() || row.cursor > 0;
            is_used && of_step(path) != StepFate::Kept
        })
        .map(|(path, _)| path.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::advance::StepFacts;
    use crate::{PlanFormat, compile};

    const OLD: &str = "
inputs: { dir: { default: docs }, tone: { default: dry } }
pipeline:
  - { id: a, prompt: 'read {{ inputs.dir }}' }
  - { id: b, depends_on: [a], prompt: 'sum {{ steps.a.result }}' }
  - { id: c, prompt: 'write {{ inputs.tone }}' }
  - { id: l, depends_on: [c], loop: { max: 2 }, steps: [{ id: in, prompt: x }] }
  - { id: s, pipeline: sub }
  - { id: tell, prompt: done, always: true }
";

    fn fates(new: &str, sub: &str) -> String {
        let (old, new) = (
            compile(OLD, PlanFormat::Yaml).unwrap(),
            compile(new, PlanFormat::Yaml).unwrap(),
        );
        let values = |plan: &Plan| -> Map<String, Value> {
            let inputs = plan.inputs.iter();
            inputs
                .map(|(name, input)| (name.clone(), input.default.clone().unwrap()))
                .collect()
        };
        let plans = |text: &str| BTreeMap::from([("sub".to_owned(), text.to_owned())]);
        let (old_values, new_values) = (values(&old), values(&new));
        let (old_plans, new_plans) = (plans("one"), plans(sub));
        let all = replanned(
            &PlanVersion {
                plan: &old,
                inputs: &old_values,
                plans: &old_plans,
            },
            &PlanVersion {
                plan: &new,
                inputs: &new_values,
                plans: &new_plans,
            },
        );
        let all = all.iter().map(|(id, fate)| format!("{id} {fate:?}"));
        all.collect::<Vec<_>>().join(", ").to_lowercase()
    }

    #[test]
    fn a_changed_step_and_what_hangs_on_it_begin_anew_and_nothing_else() {
        assert_eq!(
            fates(OLD, "one"),
            "a kept, b kept, c kept, l kept, s kept, tell kept"
        );
        assert_eq!(
            fates(&OLD.replace("'read ", "'look into "), "one"),
            "a changed, b follows, c kept, l kept, s kept, tell follows"
        );
        assert_eq!(
            fates(&OLD.replace("prompt: x", "prompt: y"), "one"),
            "a kept, b kept, c kept, l changed, s kept, tell follows"
        );
        assert_eq!(
            fates(&OLD.replace("default: dry", "default: wet"), "one"),
            "a kept, b kept, c changed, l follows, s kept, tell follows"
        );
        assert_eq!(
            fates(OLD, "two"),
            "a kept, b kept, c kept, l kept, s changed, tell follows"
        );
        let other = OLD.replace("id: s, pipeline: sub", "id: t, depends_on: [b], prompt: t");
        assert_eq!(
            fates(&other, "one"),
            "a kept, b kept, c kept, l kept, t new, tell follows, s gone"
        );
        // Comments and the order of fields are no change.
        assert_eq!(
            fates(
                &OLD.replace(
                    "{ id: c, prompt: 'write {{ inputs.tone }}' }",
                    "{ prompt: 'write {{ inputs.tone }}', id: c } # c"
                ),
                "one"
            ),
            "a kept, b kept, c kept, l kept, s kept, tell kept"
        );
    }

    #[test]
    fn rows_of_steps_that_change_are_cleared_with_those_inside() {
        let mut rows = StepRows::new();
        for path in ["a", "l", "l[1].in", "l[2].in", "s"] {
            rows.insert(path.into(), StepFacts::open(Some(1)));
        }
        let pending = StepFacts {
            state: kirosu_protocol::StepState::Pending,
            ..StepFacts::open(None)
        };
        rows.insert("l[2].in".into(), pending);
        let fates = [
            ("a".to_owned(), StepFate::Kept),
            ("l".to_owned(), StepFate::Changed),
        ];
        assert_eq!(to_clear(&fates, &rows), ["l", "l[1].in", "s"]);
    }

    #[test]
    fn a_map_over_other_files_needs_its_items_again() {
        let plan = |glob: &str| {
            let text = format!(
                "inputs: {{ dir: {{}}, x: {{}} }}\npipeline: [{{ id: l, loop: {{ max: 2 }}, steps: [{{ id: m, map: {{ over: {{ files: '{glob}' }} }}, prompt: x }}] }}]"
            );
            compile(&text, PlanFormat::Yaml).unwrap()
        };
        let needs = |old: &str, new: &str, dirs: [&str; 2]| {
            let plans = BTreeMap::new();
            let (old, new) = (plan(old), plan(new));
            let values = dirs.map(|dir| Map::from_iter([("dir".to_owned(), Value::from(dir))]));
            let version = |plan, inputs| PlanVersion {
                plan,
                inputs,
                plans: &plans,
            };
            needs_source(&version(&old, &values[0]), &version(&new, &values[1])).is_some()
        };
        let by_input = "{{ inputs.dir }}/*.md";
        assert!(!needs("*.md", "*.md", ["a", "b"]));
        assert!(needs("*.md", "*.rs", ["a", "a"]));
        assert!(!needs(by_input, by_input, ["a", "a"]));
        assert!(needs(by_input, by_input, ["a", "b"]));
    }

    #[test]
    fn inputs_that_a_step_gets_without_their_names_count() {
        for step in [
            "{ id: s, run: [make], shell: true }",
            "{ id: s, prompt: '{{ inputs | tojson }}' }",
            "{ id: s, prompt: '{{ inputs[\"x\"] }}' }",
        ] {
            let text = |x: &str| {
                format!(
                    "inputs: {{ x: {{ default: {x} }}, dir: {{ default: a }} }}\npipeline: [{step}]"
                )
            };
            let (old, new) = (
                compile(&text("one"), PlanFormat::Yaml).unwrap(),
                compile(&text("two"), PlanFormat::Yaml).unwrap(),
            );
            let plans = BTreeMap::new();
            let values = ["one", "two"].map(|x| Map::from_iter([("x".to_owned(), Value::from(x))]));
            let version = |plan, inputs| PlanVersion {
                plan,
                inputs,
                plans: &plans,
            };
            let fates = replanned(&version(&old, &values[0]), &version(&new, &values[1]));
            assert_eq!(fates[0].1, StepFate::Changed, "{step}");
        }
    }
}
