//! Uses of plans in a run: the plan of the run, and those of the runs below it that its steps name. Finds out what is known of
//! them before the run begins, above all the items that a client has to read.

use crate::compiled::{ItemSource, Over, PipelineWork, Plan, Step, Work};
use crate::limits::DEPTH;
use crate::replan::PlanVersion;
use crate::source::{PlanFormat, compile};
use crate::template::{RenderLimits, names, render};
use kirosu_protocol::source_below;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of values that exist only after a step has ended.
const LATER: [&str; 6] = ["steps", "prev", "best", "results", "missing", "run"];
/// The most uses of plans that are looked at: plans that name each other twice have very many.
const USES: usize = 1000;

/// The plans that steps name, compiled once each.
#[derive(Debug)]
pub struct NamedPlans<'a> {
    texts: &'a BTreeMap<String, String>,
    known: RefCell<BTreeMap<String, Option<NamedPlan>>>,
}

#[derive(Clone, Debug)]
struct NamedPlan {
    plan: Arc<Plan>,
    /// The first step that reads items on the machine of the client.
    source: Option<String>,
}

impl<'a> NamedPlans<'a> {
    /// Plans by the names that steps have for them.
    pub fn new(texts: &'a BTreeMap<String, String>) -> NamedPlans<'a> {
        NamedPlans {
            texts,
            known: RefCell::default(),
        }
    }

    fn get(&self, name: &str) -> Option<NamedPlan> {
        if let Some(known) = self.known.borrow().get(name) {
            return known.clone();
        }
        let format = match name.ends_with(".toml") {
            true => PlanFormat::Toml,
            false => PlanFormat::Yaml,
        };
        let text = self.texts.get(name);
        let plan = text.and_then(|text| compile(text, format).ok());
        let named = plan.map(|plan| NamedPlan {
            source: first_source(&plan.pipeline),
            plan: Arc::new(plan),
        });
        self.known
            .borrow_mut()
            .insert(name.to_owned(), named.clone());
        named
    }

    /// A plan among those that steps name, and its first step that reads items on the machine of the client. Steps of a plan that
    /// is named lead to others.
    pub fn reads_items(&self, name: &str) -> Option<(String, String)> {
        let (mut open, mut seen) = (vec![name.to_owned()], Vec::new());
        while let Some(name) = open.pop() {
            let Some(named) = self.get(&name) else {
                continue;
            };
            if let Some(step) = named.source {
                return Some((name, step));
            }
            seen.push(name);
            let further = named_plans(&named.plan.pipeline);
            open.extend(further.into_iter().filter(|name| !seen.contains(name)));
        }
        None
    }
}

/// The first step whose items a client reads.
fn first_source(steps: &[Step]) -> Option<String> {
    steps.iter().find_map(|step| match &step.work {
        Work::Map(map) if matches!(map.over, Over::Source(_)) => Some(step.id.clone()),
        work => first_source(work.steps()),
    })
}

/// The plans that steps name, at any level.
fn named_plans(steps: &[Step]) -> Vec<String> {
    let mut all = Vec::new();
    for step in steps {
        if let Work::Pipeline(work) = &step.work {
            all.push(work.plan.clone());
        }
        all.extend(named_plans(step.work.steps()));
    }
    all
}

/// A plan at one place of a run.
#[derive(Clone, Debug)]
pub struct PlanUse {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The values of its inputs that are known before the run, with defaults.
    pub inputs: Map<String, Value>,
    /// The step that runs it; `None` for the plan of the run. As [`key`](Self::key).
    place: Option<String>,
    /// Of each input whose value exists only during the run, the origin of the value.
    later: BTreeMap<String, String>,
}

impl PlanUse {
    /// The plan of a run.
    pub fn top(plan: Arc<Plan>, inputs: Map<String, Value>) -> PlanUse {
        PlanUse {
            plan,
            inputs,
            place: None,
            later: BTreeMap::new(),
        }
    }

    /// Whether it is the plan of a run below another one.
    pub fn is_below(&self) -> bool {
        self.place.is_some()
    }

    /// The name of a step in the whole run: `sub/read` is the step `read` of the run of the step `sub`.
    pub fn key(&self, step: &str) -> String {
        match &self.place {
            Some(place) => source_below(place, step),
            None => step.to_owned(),
        }
    }

    /// The plan that a step runs; `None` if it is not known or has faults.
    pub fn below(
        &self,
        step: &Step,
        work: &PipelineWork,
        plans: &NamedPlans<'_>,
    ) -> Option<PlanUse> {
        let plan = plans.get(&work.plan)?.plan;
        // As in the run: an input without a value is null.
        let mut all: Map<String, Value> = self.plan.inputs.keys().cloned().map(no_value).collect();
        all.extend(self.inputs.clone());
        let context = json!({"inputs": all});
        let (mut given, mut later) = (Map::new(), BTreeMap::new());
        for (name, value) in &work.inputs {
            let value = match value {
                Value::String(template) => match self.is_later(template, false) {
                    true => Err(template),
                    false => render(template, &context, &RenderLimits::default())
                        .map(Value::String)
                        .map_err(|_| template),
                },
                value => Ok(value.clone()),
            };
            match value {
                Ok(value) => drop(given.insert(name.clone(), value)),
                Err(template) => {
                    let from = format!("which the step {} sets to {template}", self.key(&step.id));
                    later.insert(name.clone(), from);
                }
            }
        }
        let mut inputs = plan.filled(&given);
        inputs.retain(|name, _| !later.contains_key(name));
        Some(PlanUse {
            plan,
            inputs,
            place: Some(self.key(&step.id)),
            later,
        })
    }

    /// Whether a template or expression has a value only during the run.
    pub fn is_later(&self, text: &str, is_expression: bool) -> bool {
        names(text, is_expression)
            .iter()
            .any(|(root, path)| LATER.contains(&root.as_str()) || self.late_input(root, path))
    }

    fn late_input(&self, root: &str, path: &[String]) -> bool {
        // A template with all inputs as one value needs each of them.
        let is_late = |name: &String| self.later.contains_key(name);
        root == "inputs" && path.first().map_or(!self.later.is_empty(), is_late)
    }

    /// Refuses a source whose items cannot be read before the run.
    fn check(&self, step: &Step, source: &ItemSource) -> Result<(), String> {
        let Some(template) = source.template().filter(|text| self.is_later(text, false)) else {
            return Ok(());
        };
        let used = names(template, false);
        let input = used
            .iter()
            .find_map(|(root, path)| path.first().filter(|_| self.late_input(root, path)));
        let origin = input.and_then(|name| Some((name, self.later.get(name)?)));
        let on = match origin {
            Some((name, from)) => format!("the input {name}, {from}"),
            None => template.to_owned(),
        };
        Err(format!(
            "the items of the step {} are read before the run begins, but depend on a value that exists only during the run: {on}; \
             give it a value that is known before, or give the plan the items as an input (`over: inputs.NAME`)",
            self.key(&step.id)
        ))
    }

    /// A source with its template rendered.
    fn rendered(&self, step: &Step, source: &ItemSource) -> Result<ItemSource, String> {
        let Some(template) = source.template() else {
            return Ok(source.clone());
        };
        let context = json!({"inputs": self.inputs});
        let text = render(template, &context, &RenderLimits::default());
        let text = text.map_err(|why| {
            format!(
                "cannot read the items of the step {}: {why}",
                self.key(&step.id)
            )
        })?;
        Ok(source.with_template(text))
    }
}

fn no_value(name: String) -> (String, Value) {
    (name, Value::Null)
}

/// The items of a map that a client reads.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSource {
    /// The name of the step in the whole run, as [`PlanUse::key`].
    pub key: String,
    /// Where the items are; without templates.
    pub source: ItemSource,
    /// The most items.
    pub most: u64,
}

/// The sources of a plan and of those that its steps name, in the order of the steps.
///
/// # Errors
/// One depends on values that exist only during the run or cannot be rendered, or there are too many uses of plans; a sentence.
pub fn plan_sources(version: &PlanVersion<'_>) -> Result<Vec<PlanSource>, String> {
    let top = PlanUse::top(Arc::new(version.plan.clone()), version.inputs.clone());
    let mut all = Vec::new();
    each_source(&top, version.plans, &mut |place, step, source| {
        place.check(step, source)?;
        all.push(PlanSource {
            key: place.key(&step.id),
            source: place.rendered(step, source)?,
            most: place.plan.limits.items,
        });
        Ok(())
    })?;
    Ok(all)
}

/// Finds sources that no run of the plan could have, whatever its inputs are.
///
/// # Errors
/// As [`plan_sources`], without the faults of inputs.
pub fn check_sources(plan: &Plan, plans: &BTreeMap<String, String>) -> Result<(), String> {
    let top = PlanUse::top(Arc::new(plan.clone()), plan.filled(&Map::new()));
    each_source(&top, plans, &mut |place, step, source| {
        place.check(step, source)
    })
}

type VisitSource<'v> = dyn FnMut(&PlanUse, &Step, &ItemSource) -> Result<(), String> + 'v;

fn each_source(
    top: &PlanUse,
    plans: &BTreeMap<String, String>,
    visit: &mut VisitSource<'_>,
) -> Result<(), String> {
    let plans = NamedPlans::new(plans);
    let mut walk = SourceWalk {
        plans: &plans,
        visit,
        uses: 0,
    };
    walk.steps(top, &top.plan.pipeline, 1)
}

struct SourceWalk<'w, 'p> {
    plans: &'w NamedPlans<'p>,
    visit: &'w mut VisitSource<'w>,
    uses: usize,
}

impl SourceWalk<'_, '_> {
    fn steps(&mut self, place: &PlanUse, steps: &[Step], depth: u64) -> Result<(), String> {
        for step in steps {
            match &step.work {
                Work::Map(map) => {
                    if let Over::Source(source) = &map.over {
                        (self.visit)(place, step, source)?;
                    }
                }
                Work::Pipeline(work) => self.below(place, step, work, depth)?,
                work => self.steps(place, work.steps(), depth)?,
            }
        }
        Ok(())
    }

    fn below(
        &mut self,
        place: &PlanUse,
        step: &Step,
        work: &PipelineWork,
        depth: u64,
    ) -> Result<(), String> {
        // The hub refuses a run that is too deep.
        if depth >= DEPTH.hardest || self.plans.reads_items(&work.plan).is_none() {
            return Ok(());
        }
        self.uses += 1;
        if self.uses > USES {
            return Err(format!(
                "the plans that read items on this machine are named more than {USES} times in this run, the most"
            ));
        }
        match place.below(step, work, self.plans) {
            Some(below) => self.steps(&below, &below.plan.pipeline, depth + 1),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
