//! The check of a plan: from a tree of nodes to a compiled plan, or all faults.

mod forms;
mod kinds;
mod names;
mod order;
mod path;
mod read;
mod scalar;

use crate::compiled::{EarlyBegin, Plan, Step, Work};
use crate::fault::{PlanFault, PlanFaults};
use crate::fields::PLAN;
use crate::limits::{FAULTS_MAX, STEPS};
use crate::node::Node;
use crate::place::Lines;
use crate::template::scan::scan;
pub(crate) use names::STEP_ATTRIBUTES;
use path::{Spot, TemplateUse};
use read::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// A step with its position in the plan and the steps around it.
pub(super) struct StepAt<'a> {
    pub step: &'a Step,
    /// Its path with the names of the table of fields, such as `pipeline[2].steps[0]`.
    pub path: String,
    /// The index of the step that contains it.
    pub parent: Option<usize>,
}

/// The plan and everything that is known about its text.
pub(super) struct PlanCheck<'a> {
    pub plan: &'a Plan,
    /// All steps; a parent is before its inner steps.
    pub steps: Vec<StepAt<'a>>,
    lines: &'a Lines<'a>,
    spots: &'a BTreeMap<String, Spot>,
    templates: &'a [TemplateUse],
    misspelt: &'a BTreeSet<String>,
    faults: Vec<PlanFault>,
}

/// Checks a plan.
///
/// # Errors
/// All faults.
pub(crate) fn check(root: &Node, lines: &Lines<'_>) -> Result<Plan, PlanFaults> {
    let mut reader = Reader::new(lines);
    let value = reader.plan(root, &PLAN);
    let Reader {
        mut faults,
        spots,
        templates,
        misspelt,
        ..
    } = reader;
    // Faulty values are replaced by empty ones, so that the other rules are checked in any case.
    let mut plan: Plan = match serde_json::from_value(value) {
        Ok(plan) => plan,
        Err(why) => {
            if faults.is_empty() {
                faults.push(PlanFault {
                    place: lines.place(root.start),
                    path: String::new(),
                    message: format!("this plan cannot be compiled: {why}"),
                    nearest: None,
                });
            }
            return Err(PlanFaults::sorted(faults));
        }
    };
    complete(&mut plan);
    let mut check = PlanCheck {
        plan: &plan,
        steps: Vec::new(),
        lines,
        spots: &spots,
        templates: &templates,
        misspelt: &misspelt,
        faults,
    };
    list(&plan.pipeline, "pipeline", None, &mut check.steps);
    check.kinds();
    // The work of the other rules grows with the square of the number of steps, or with the product of faults and names.
    if check.steps.len() as u64 > STEPS.hardest || check.is_full() {
        return Err(PlanFaults::sorted(check.faults));
    }
    check.forms();
    let visible = check.order();
    check.names(&visible);
    let faults = check.faults;
    match faults.is_empty() {
        true => Ok(plan),
        false => Err(PlanFaults::sorted(faults)),
    }
}

/// Fills in values that follow from other fields.
fn complete(plan: &mut Plan) {
    fn steps(list: &mut [Step], passes: Option<u64>) {
        for step in list {
            let early = EarlyBegin(may_begin_early(step));
            match &mut step.work {
                Work::Reduce(work) => {
                    work.early = early;
                    if !work.of.is_empty() && !step.depends_on.contains(&work.of) {
                        step.depends_on.push(work.of.clone());
                    }
                }
                Work::Loop(work) => {
                    if work.max == 0 {
                        work.max = passes.unwrap_or(crate::limits::PASSES.default);
                    }
                    steps(&mut work.steps, passes);
                }
                Work::Race(inner) => steps(inner, passes),
                _ => {}
            }
        }
    }
    steps(&mut plan.pipeline, plan.limits.passes);
}

/// Whether a step is a reduce of which no text reads what is known of its source only at the end.
fn may_begin_early(step: &Step) -> bool {
    let Work::Reduce(work) = &step.work else {
        return false;
    };
    let condition = step.r#if.iter().map(|text| (text.as_str(), true));
    let mut texts = condition.chain(step.templates());
    let rests_on_end = texts.any(|(text, is_expression)| {
        let mut names = scan(text, is_expression).references.into_iter();
        names.any(|name| match (name.root.as_str(), name.path.first()) {
            ("steps", first) => first.is_none_or(|first| *first == work.of),
            ("run", first) => first.is_none_or(|first| first == "counts"),
            _ => false,
        })
    });
    work.into.is_none() && !step.always && !rests_on_end
}

fn list<'a>(steps: &'a [Step], path: &str, parent: Option<usize>, all: &mut Vec<StepAt<'a>>) {
    for (index, step) in steps.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let own = all.len();
        let inner = match step.work {
            crate::compiled::Work::Race(_) => format!("{path}.race"),
            _ => format!("{path}.steps"),
        };
        all.push(StepAt { step, path, parent });
        list(step.work.steps(), &inner, Some(own), all);
    }
}

impl PlanCheck<'_> {
    /// Whether the plan's text has a value at this path.
    fn is_given(&self, path: &str) -> bool {
        self.spots.contains_key(path)
    }

    /// Whether further faults would not be kept.
    fn is_full(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    /// Whether a needed field is missing, and no fault says so already.
    fn lacks(&self, path: &str) -> bool {
        !self.is_given(path) && !self.misspelt.contains(path)
    }

    /// Whether the plan's text has a table with fields at this path.
    fn has_fields(&self, path: &str) -> bool {
        let start = format!("{path}.");
        let next = self.spots.range(start.clone()..).next();
        next.is_some_and(|(path, _)| path.starts_with(&start))
    }

    /// Adds a fault at a path, or at the nearest path above it that the text has.
    fn fault(&mut self, path: &str, message: impl Into<String>, nearest: Option<&str>) {
        let mut at = path;
        let spot = loop {
            match (self.spots.get(at), at.rfind(['.', '['])) {
                (Some(spot), _) => break Some(spot),
                (None, Some(end)) => at = &at[..end],
                (None, None) => break None,
            }
        };
        let (start, shown) = spot.map_or((0, ""), |spot| (spot.start, spot.shown.as_str()));
        self.faults.push(PlanFault {
            place: self.lines.place(start),
            path: shown.to_owned(),
            message: message.into(),
            nearest: nearest.map(str::to_owned),
        });
    }

    /// The innermost step that contains a path.
    fn step_of(&self, path: &str) -> Option<usize> {
        let contains = |at: &StepAt<'_>| {
            path.strip_prefix(at.path.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.steps.iter().rposition(contains)
    }
}
