//! The names in templates and expressions: known ones, and results only of steps on which the step depends.

use super::order::Visible;
use super::{PlanCheck, TemplateUse};
use crate::compiled::{Plan, Work};
use crate::fault::PlanFault;
use crate::limits::FAULTS_MAX;
use crate::template::NameUse;
use crate::template::scan::{FILE, scan};
use kirosu_protocol::text::nearest;
use std::collections::BTreeSet;

/// The names that templates know.
pub(crate) const ROOTS: [&str; 9] = [
    "inputs", "item", "items", "results", "missing", "steps", "prev", "best", "run",
];
/// The attributes of a step, in `steps.ID`, `prev.ID` and `best.ID`.
pub(crate) const STEP_ATTRIBUTES: [&str; 10] = [
    "state", "reason", "result", "json", FILE, "error", "approved", "by", "empty", "counts",
];
/// The attributes of `run`.
pub(crate) const RUN_ATTRIBUTES: [&str; 6] = ["id", "plan", "name", "state", "reason", "counts"];

type NameFault = (String, Option<String>);

impl PlanCheck<'_> {
    pub(super) fn names(&mut self, visible: &Visible) {
        for used in self.templates {
            if used.path.starts_with('?') || used.text.is_empty() || self.is_for_shell(used) {
                continue;
            }
            if self.is_full() {
                return;
            }
            let scanned = scan(&used.text, used.is_expression);
            for fault in scanned.faults.iter().take(FAULTS_MAX) {
                let nearest = fault.nearest.as_deref();
                self.template_fault(used, fault.at.clone(), fault.message.clone(), nearest);
            }
            for reference in &scanned.references {
                if self.is_full() {
                    return;
                }
                if let Err((message, near)) = self.reference(used, reference, visible) {
                    self.template_fault(used, reference.at.clone(), message, near.as_deref());
                }
            }
        }
    }

    /// Whether this is a text for a shell, which is not rendered.
    fn is_for_shell(&self, used: &TemplateUse) -> bool {
        let step = self.step_of(&used.path).map(|own| &self.steps[own]);
        step.is_some_and(|at| match &at.step.work {
            Work::Run(run) => run.shell && used.path.starts_with(&format!("{}.run", at.path)),
            _ => false,
        })
    }

    /// Adds a fault at a part of a template: at the same occurrence of its text in the plan's text, where that can be found.
    fn template_fault(
        &mut self,
        used: &TemplateUse,
        at: std::ops::Range<usize>,
        message: String,
        near: Option<&str>,
    ) {
        let part = used.text.get(at.clone()).unwrap_or("");
        let before = used.text.get(..at.start).unwrap_or("");
        let raw = self.lines.slice(used.start, used.end);
        let occurrence = before.matches(part).count();
        let found = match part {
            "" => None,
            part => raw.match_indices(part).nth(occurrence).map(|(at, _)| at),
        };
        let shown = self
            .spots
            .get(&used.path)
            .map_or("", |spot| spot.shown.as_str());
        let fault = PlanFault {
            place: self.lines.place(used.start + found.unwrap_or(0)),
            path: shown.to_owned(),
            message,
            nearest: near.map(str::to_owned),
        };
        self.faults.push(fault);
    }

    fn reference(
        &self,
        used: &TemplateUse,
        reference: &NameUse,
        visible: &Visible,
    ) -> Result<(), NameFault> {
        let plan: &Plan = self.plan;
        let root = reference.root.as_str();
        let own = self.step_of(&used.path);
        let work = own.map(|own| &self.steps[own].step.work);
        // The field inside of the step, such as `loop.until`.
        let field = own
            .and_then(|own| used.path.get(self.steps[own].path.len() + 1..))
            .unwrap_or("");
        let first = reference.path.first().map(String::as_str);
        let is_source = field.starts_with("map.over");
        let batch = match work {
            Some(Work::Map(map)) => Some(map.batch.is_list()),
            _ => None,
        };
        match root {
            "inputs" => match first {
                None => Ok(()),
                Some(name) if plan.inputs.contains_key(name) => Ok(()),
                Some(name) => {
                    let near = nearest(name, plan.inputs.keys().map(String::as_str));
                    Err((
                        format!("the plan has no input {name}"),
                        near.map(str::to_owned),
                    ))
                }
            },
            "item"
                if batch.is_some()
                    && !is_source
                    && (batch == Some(false) || field == "map.key") =>
            {
                Ok(())
            }
            "item" if batch == Some(true) => {
                Err(("a map with batch above 1 has items, not item".into(), None))
            }
            "item" => Err(("item is for the templates of a map".into(), None)),
            "items" if batch == Some(true) && !is_source && field != "map.key" => Ok(()),
            "items" => Err((
                "items is for the templates of a map with batch above 1".into(),
                None,
            )),
            "results" | "missing" => match work {
                Some(Work::Reduce(_)) => Ok(()),
                Some(Work::Vote(_)) if root == "results" && field.starts_with("vote.judge") => {
                    Ok(())
                }
                _ => Err((
                    format!("{root} is for the prompt of a reduce or a judge"),
                    None,
                )),
            },
            "prev" | "best" => self.earlier_pass(own, root, field, reference),
            "steps" => self.other_step(own, field, reference, visible),
            "run" => match first {
                None => Ok(()),
                Some(name) if RUN_ATTRIBUTES.contains(&name) => Ok(()),
                Some(name) => Err(unknown("run", name, &RUN_ATTRIBUTES)),
            },
            _ => {
                let near = nearest(root, ROOTS).map(str::to_owned);
                Err((
                    format!("{root} is unknown; known are {}", ROOTS.join(", ")),
                    near,
                ))
            }
        }
    }

    /// The innermost loop around a template: the step itself, in a field that is computed after a pass, or a step around it.
    fn loop_of(&self, own: Option<usize>, field: &str) -> Option<usize> {
        let is_loop = |index: usize| matches!(self.steps[index].step.work, Work::Loop(_));
        if let Some(own) = own.filter(|own| is_loop(*own) && field.starts_with("loop.")) {
            return Some(own);
        }
        let mut at = own.and_then(|own| self.steps[own].parent);
        while let Some(index) = at {
            if is_loop(index) {
                return Some(index);
            }
            at = self.steps[index].parent;
        }
        None
    }

    fn earlier_pass(
        &self,
        own: Option<usize>,
        root: &str,
        field: &str,
        reference: &NameUse,
    ) -> Result<(), NameFault> {
        let Some(repeated) = self.loop_of(own, field) else {
            return Err((format!("{root} is for the steps of a loop"), None));
        };
        let Work::Loop(work) = &self.steps[repeated].step.work else {
            return Ok(());
        };
        if root == "best" && work.score.is_none() {
            return Err(("best needs the field score of the loop".into(), None));
        }
        let Some(id) = reference.path.first() else {
            return Ok(());
        };
        let ids = || work.steps.iter().map(|step| step.id.as_str());
        if !ids().any(|known| known == id) {
            let near = nearest(id, ids()).map(str::to_owned);
            return Err((format!("the loop has no step {id}"), near));
        }
        self.attribute(own, field, &format!("{root}.{id}"), reference)
    }

    fn other_step(
        &self,
        own: Option<usize>,
        field: &str,
        reference: &NameUse,
        visible: &Visible,
    ) -> Result<(), NameFault> {
        let Some(id) = reference.path.first() else {
            return Err(("name the step: steps.ID, or steps[\"ID\"]".into(), None));
        };
        let Some(own) = own else {
            return Err(("results of steps are not known here".into(), None));
        };
        let mut seen: BTreeSet<usize> = visible[own].clone();
        // A field that is computed after a pass sees the steps of the pass.
        if matches!(self.steps[own].step.work, Work::Loop(_)) && field.starts_with("loop.") {
            let inner = self.steps.iter().enumerate();
            seen.extend(
                inner
                    .filter(|(_, at)| at.parent == Some(own))
                    .map(|(index, _)| index),
            );
        }
        if seen.iter().any(|index| self.steps[*index].step.id == *id) {
            return self.attribute(Some(own), field, &format!("steps.{id}"), reference);
        }
        let Some(other) = self.steps.iter().find(|at| at.step.id == *id) else {
            let ids = self.steps.iter().map(|at| at.step.id.as_str());
            return Err((
                format!("there is no step {id}"),
                nearest(id, ids).map(str::to_owned),
            ));
        };
        let step = &self.steps[own];
        let message = match other.parent {
            _ if std::ptr::eq(other.step, step.step) => {
                format!("the step {id} names its own result")
            }
            Some(parent) if other.parent != step.parent => {
                let around = &self.steps[parent].step.id;
                format!("the step {id} is inside of {around}; use the result of {around}")
            }
            _ => format!(
                "the step {} does not depend on {id}; add {id} to its depends_on",
                step.step.id
            ),
        };
        Err((message, None))
    }

    /// The attribute of a step. A file is written for a task alone, into the folder in which it runs.
    fn attribute(
        &self,
        own: Option<usize>,
        field: &str,
        of: &str,
        reference: &NameUse,
    ) -> Result<(), NameFault> {
        match reference.path.get(1).map(String::as_str) {
            Some(FILE) => {
                let step = own.map(|own| self.steps[own].step);
                let message = match step {
                    Some(step) if is_for_task(&step.work, field) => match step.cache {
                        None => return Ok(()),
                        Some(_) => format!(
                            "the step has cache, which does not know what is in {of}.file; remove one of the two"
                        ),
                    },
                    _ => format!(
                        "{of}.file is for texts of a task: prompt, system, goal and the words of run; use {of}.result or {of}.json here"
                    ),
                };
                Err((message, None))
            }
            Some(name) if !STEP_ATTRIBUTES.contains(&name) => {
                Err(unknown(of, name, &STEP_ATTRIBUTES))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a field of a step is a text for a task that runs in a folder.
fn is_for_task(work: &Work, field: &str) -> bool {
    match work {
        Work::Run(_) => field.starts_with("run"),
        Work::Plan(_) => field == "plan.goal",
        _ => matches!(
            field,
            "prompt" | "system" | "vote.judge.prompt" | "vote.judge.system"
        ),
    }
}

fn unknown(of: &str, name: &str, known: &[&str]) -> NameFault {
    let near = nearest(name, known.iter().copied()).map(str::to_owned);
    (
        format!("{of} has no {name}; it has {}", known.join(", ")),
        near,
    )
}
