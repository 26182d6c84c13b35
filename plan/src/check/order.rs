//! The order of steps: ids, dependencies, cycles, and the steps whose results a step may name.

use super::PlanCheck;
use crate::compiled::Work;
use kirosu_protocol::text::nearest;
use std::collections::{BTreeMap, BTreeSet};

/// For each step the indexes of the steps that it depends on, directly or not.
pub(super) type Visible = Vec<BTreeSet<usize>>;

impl PlanCheck<'_> {
    /// Checks ids and dependencies. Returns the steps that each step may name.
    pub(super) fn order(&mut self) -> Visible {
        let ids = self.ids();
        let edges = self.edges(&ids);
        self.cycles(&edges);
        let mut visible: Visible = Vec::new();
        for (index, at) in self.steps.iter().enumerate() {
            let mut seen = reachable(&edges, index);
            seen.remove(&index);
            // A parent is before its inner steps.
            if let Some(parent) = at.parent {
                seen.extend(visible[parent].iter().copied());
            }
            if at.step.always && at.parent.is_none() {
                // It runs after all others.
                let others = self.steps.iter().enumerate();
                seen.extend(
                    others
                        .filter(|(_, other)| other.parent.is_none())
                        .map(|(other, _)| other),
                );
                seen.remove(&index);
            }
            visible.push(seen);
        }
        visible
    }

    fn ids(&mut self) -> BTreeMap<String, usize> {
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        for index in 0..self.steps.len() {
            let (id, path) = (&self.steps[index].step.id, &self.steps[index].path);
            if id.is_empty() {
                continue;
            }
            match ids.get(id.as_str()) {
                None => {
                    ids.insert(id.clone(), index);
                }
                Some(first) => {
                    let shown = self.spots.get(&self.steps[*first].path);
                    let shown = shown.map_or("another step", |spot| spot.shown.as_str());
                    let message = format!(
                        "the id {id} is that of {shown}, too; ids are unique in the whole plan"
                    );
                    self.fault(&format!("{path}.id"), message, None);
                }
            }
        }
        ids
    }

    /// For each step the steps on which it depends directly.
    fn edges(&mut self, ids: &BTreeMap<String, usize>) -> Vec<Vec<usize>> {
        let mut edges = Vec::new();
        for index in 0..self.steps.len() {
            let at = &self.steps[index];
            let (step, path, parent) = (at.step, at.path.clone(), at.parent);
            let mut own = Vec::new();
            let in_race =
                parent.is_some_and(|parent| matches!(self.steps[parent].step.work, Work::Race(_)));
            if in_race && self.is_given(&format!("{path}.depends_on")) {
                let message = "the steps of a race start together; make the race depend on it";
                self.fault(&format!("{path}.depends_on"), message, None);
            }
            for (place, id) in step.depends_on.iter().enumerate() {
                let is_reduced = matches!(&step.work, Work::Reduce(work) if work.of == *id);
                let written = format!("{path}.depends_on[{place}]");
                let at = match is_reduced && !self.is_given(&written) {
                    true => format!("{path}.reduce.of"),
                    false => written,
                };
                let siblings = || self.steps.iter().filter(|other| other.parent == parent);
                match ids.get(id.as_str()) {
                    _ if id.is_empty() => {}
                    Some(other) if *other == index => {
                        self.fault(&at, "a step cannot depend on itself", None)
                    }
                    Some(other) if self.steps[*other].parent == parent => {
                        if self.steps[*other].step.always && !step.always {
                            let message = format!(
                                "the step {id} has `always`, so it runs after this one; give this one `always`, too"
                            );
                            self.fault(&at, message, None);
                        }
                        own.push(*other);
                    }
                    Some(_) => {
                        let message = match parent {
                            Some(_) => format!(
                                "the step {id} is outside of this list; the step around it depends on it"
                            ),
                            None => format!(
                                "the step {id} is inside of another step; depend on that one"
                            ),
                        };
                        self.fault(&at, message, None);
                    }
                    None if self.is_full() => {}
                    None => {
                        let near = nearest(id, siblings().map(|other| other.step.id.as_str()));
                        let near = near.map(str::to_owned);
                        self.fault(&at, format!("there is no step {id}"), near.as_deref());
                    }
                }
            }
            edges.push(own);
        }
        edges
    }

    /// Reports each cycle once, at its first step.
    fn cycles(&mut self, edges: &[Vec<usize>]) {
        let mut known = BTreeSet::new();
        for start in 0..edges.len() {
            if known.contains(&start) {
                continue;
            }
            let Some(cycle) = path_back(edges, start) else {
                continue;
            };
            known.extend(cycle.iter().copied());
            let ids = cycle.iter().chain(cycle.first());
            let ids: Vec<&str> = ids
                .map(|index| self.steps[*index].step.id.as_str())
                .collect();
            let message = format!("these steps depend on each other: {}", ids.join(" -> "));
            let path = format!("{}.depends_on", self.steps[start].path);
            self.fault(&path, message, None);
        }
    }
}

/// All steps that can be reached from a step. Also the step itself, if it is in a cycle.
fn reachable(edges: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open = edges[from].clone();
    while let Some(next) = open.pop() {
        if seen.insert(next) {
            open.extend(&edges[next]);
        }
    }
    seen
}

/// A shortest way from a step back to itself.
fn path_back(edges: &[Vec<usize>], start: usize) -> Option<Vec<usize>> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    let mut open = std::collections::VecDeque::from([start]);
    while let Some(at) = open.pop_front() {
        for next in &edges[at] {
            if *next == start {
                let mut path = vec![at];
                while let Some(earlier) = path.last().and_then(|last| before.get(last)) {
                    path.push(*earlier);
                }
                path.reverse();
                return Some(path);
            }
            if *next != start && !before.contains_key(next) {
                before.insert(*next, at);
                open.push_back(*next);
            }
        }
    }
    None
}
