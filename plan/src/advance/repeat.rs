//! The steps and items that a retry repeats.

use super::{StepFacts, StepRows, StepScope, find};
use crate::compiled::{Plan, Work};
use kirosu_protocol::StepState;
use std::collections::BTreeSet;

/// A step to repeat.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repeat {
    /// Its items that failed or were cancelled. The others stay.
    Lost(String),
    /// The item with a key.
    Item(String, String),
    /// All of it, because something that it depends on changes: its items are removed, and it begins anew.
    Anew(String),
    /// It goes on: something inside of it is repeated.
    Open(String),
}

/// All that a retry repeats, in the order in which it must be prepared: a cause that is prepared is found no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// Steps that depend on something that is repeated, and those inside of steps that begin anew.
    pub dependents: Vec<Repeat>,
    /// Ended loops and races in which something is repeated.
    pub around: Vec<Repeat>,
    /// The steps that failed, or the named one.
    pub causes: Vec<Repeat>,
}

impl Repeats {
    /// Whether nothing is left to prepare.
    pub fn is_empty(&self) -> bool {
        self.dependents.is_empty() && self.around.is_empty() && self.causes.is_empty()
    }
}

/// The steps that a retry repeats: those that failed, or the named one; and those that depend on them.
pub fn repeats(plan: &Plan, rows: &StepRows, step: Option<&str>, item: Option<&str>) -> Repeats {
    let mut causes = BTreeSet::new();
    // Those that depend on the causes, and those around them.
    let mut others = BTreeSet::new();
    match (step, item) {
        (Some(path), Some(key)) => {
            causes.insert(Repeat::Item(path.to_owned(), key.to_owned()));
            add_dependents(plan, rows, path, &mut others);
        }
        (Some(path), None) => {
            let row = rows.get(path);
            if row.is_some_and(|row| row.failed + row.cancelled > 0) {
                causes.insert(Repeat::Lost(path.to_owned()));
            } else if row.is_some_and(|row| row.state.is_final() || is_half_cleared(row)) {
                causes.insert(Repeat::Anew(path.to_owned()));
            }
            // Of a step that goes on nothing is repeated.
            if !causes.is_empty() {
                add_dependents(plan, rows, path, &mut others);
            }
        }
        (None, _) => {
            for (path, row) in rows {
                if let Some(repeat) = of_failed(plan, rows, path, row) {
                    causes.insert(repeat);
                    add_dependents(plan, rows, path, &mut others);
                }
            }
        }
    }
    let paths = |repeats: &BTreeSet<Repeat>| -> Vec<String> {
        let anew = repeats.iter().filter_map(|repeat| match repeat {
            Repeat::Anew(path) => Some(path.clone()),
            _ => None,
        });
        anew.collect()
    };
    let (dependents, anew) = (paths(&others), paths(&causes));
    // A step that depends on a cause is cleared with all that is inside of it, and needs no other treatment.
    let depends = |path: &str| {
        let covers = |outer: &String| outer == path || is_inside(path, outer);
        dependents.iter().any(covers)
    };
    let is_inside_any = |path: &str| {
        let mut outer = dependents.iter().chain(&anew);
        outer.any(|outer| is_inside(path, outer))
    };
    let has_rows = |path: &str| {
        let row = rows.get(path);
        row.is_some_and(|row| row.has_begun() || row.cursor > 0)
    };
    let inside = rows.keys().filter(|path| is_inside_any(path)).cloned();
    let cleared: BTreeSet<String> = dependents.iter().cloned().chain(inside).collect();
    Repeats {
        dependents: cleared
            .into_iter()
            .filter(|path| has_rows(path))
            .map(Repeat::Anew)
            .collect(),
        around: others
            .iter()
            .filter(|repeat| match repeat {
                Repeat::Open(path) => {
                    !depends(path) && rows.get(path).is_some_and(|row| row.state.is_final())
                }
                _ => false,
            })
            .cloned()
            .collect(),
        causes: causes
            .iter()
            .filter(|repeat| match repeat {
                Repeat::Anew(path) => !depends(path) && !is_inside_any(path) && has_rows(path),
                Repeat::Open(path) | Repeat::Lost(path) | Repeat::Item(path, _) => {
                    !depends(path) && !is_inside_any(path)
                }
            })
            .cloned()
            .collect(),
    }
}

/// Whether a step is to begin anew of which a command has removed some items, but not all.
fn is_half_cleared(row: &StepFacts) -> bool {
    !row.has_begun() && row.cursor > 0
}

/// The treatment of a step by a retry of all that failed; `None`: it did not fail, or what failed in it does not count.
fn of_failed(plan: &Plan, rows: &StepRows, path: &str, row: &StepFacts) -> Option<Repeat> {
    let found = find(plan, path)?;
    let work = &found.step.work;
    // Losers of a race that is over, answers of a vote that was decided, and a person's no are no failures.
    let is_settled = matches!(work, Work::Vote(_) | Work::Approve(_)) && row.state.satisfies();
    if is_settled || is_in_won_race(&found.scope, rows) {
        return None;
    }
    let path = path.to_owned();
    if row.failed + row.cancelled > 0 {
        return Some(Repeat::Lost(path));
    }
    if is_half_cleared(row) {
        return Some(Repeat::Anew(path));
    }
    if !matches!(row.state, StepState::Failed | StepState::Cancelled) {
        return None;
    }
    if work.steps().is_empty() {
        let has_more = row.total.is_some_and(|total| row.cursor < total);
        return Some(
            match matches!(work, Work::Map(_)) && row.cursor > 0 && has_more {
                // It could not go on: its items that are done stay.
                true => Repeat::Open(path),
                false => Repeat::Anew(path),
            },
        );
    }
    // A loop or race that failed with a step inside of it goes on with that one, which has a row of its own.
    let inside = rows.iter().filter(|(inner, _)| is_inside(inner, &path));
    let fails = |row: &StepFacts| row.failed + row.cancelled > 0 || row.state == StepState::Failed;
    match inside.map(|(_, row)| row).any(fails) {
        true => None,
        false => Some(Repeat::Anew(path)),
    }
}

/// Whether a path is that of a step inside of the loop or race with the other path.
fn is_inside(path: &str, outer: &str) -> bool {
    let rest = path.strip_prefix(outer);
    rest.is_some_and(|rest| rest.starts_with(['[', '.']))
}

/// Whether a scope is inside of a race that is done.
fn is_in_won_race(scope: &StepScope<'_>, rows: &StepRows) -> bool {
    let (Some(owner), Some(outer)) = (scope.owner, &scope.outer) else {
        return false;
    };
    let row = rows.get(&outer.path(&owner.id));
    let is_won =
        matches!(owner.work, Work::Race(_)) && row.is_some_and(|row| row.state.satisfies());
    is_won || is_in_won_race(outer, rows)
}

/// Adds the steps that depend on a step, directly or not, and the steps around it.
fn add_dependents(plan: &Plan, rows: &StepRows, path: &str, repeats: &mut BTreeSet<Repeat>) {
    let Some(found) = find(plan, path) else {
        return;
    };
    let mut changed = vec![found.step.id.as_str()];
    while let Some(id) = changed.pop() {
        for step in found.scope.steps {
            let path = found.scope.path(&step.id);
            let depends =
                step.depends_on.iter().any(|on| on == id) || (step.always && step.id != id);
            if depends && rows.contains_key(&path) && repeats.insert(Repeat::Anew(path)) {
                changed.push(step.id.as_str());
            }
        }
    }
    if let (Some(owner), Some(outer)) = (found.scope.owner, &found.scope.outer) {
        let scope: &StepScope<'_> = outer;
        let path = scope.path(&owner.id);
        if let Some(pass) = found.scope.pass {
            // The passes after this one rest on it.
            let mut later = pass + 1;
            while scope.inner(owner, Some(later)).has_begun(rows) {
                let inner = scope.inner(owner, Some(later));
                repeats.extend(
                    inner
                        .steps
                        .iter()
                        .map(|step| Repeat::Anew(inner.path(&step.id))),
                );
                later += 1;
            }
        }
        if repeats.insert(Repeat::Open(path.clone())) {
            add_dependents(plan, rows, &path, repeats);
        }
    }
}
