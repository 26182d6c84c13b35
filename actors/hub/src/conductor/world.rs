//! Answers to the questions of [`advance`](kirosu_plan::advance) about results.

use super::context::{StepValues, kind_of};
use super::results::{ItemOutcome, as_json};
use kirosu_plan::advance::{PlannerStage, StepScope, World};
use kirosu_plan::{MapWork, Over, RenderLimits, Step, Work, holds};
use kirosu_protocol::{ItemState, SourceId};
use kirosu_store::RunStep;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A world for one decision about a run. The lists that it evaluates are kept by the run.
pub(super) struct RunWorld<'a> {
    pub values: StepValues<'a>,
    pub lists: BTreeMap<(String, i64), Arc<Vec<Value>>>,
    pub known: &'a HashMap<(String, i64), Arc<Vec<Value>>>,
}

impl RunWorld<'_> {
    fn step(&self, path: &str) -> Result<RunStep, String> {
        let step = self.values.snapshot.steps.get(path);
        step.cloned()
            .ok_or_else(|| format!("the step {path} has not begun"))
    }

    /// The items of a step that have ended, and are done.
    fn done(&mut self, step: &RunStep, to: i64) -> Result<Vec<ItemOutcome>, String> {
        let items = self.values.results.items(step, (0, to))?;
        Ok(items
            .into_iter()
            .filter(|item| item.state == ItemState::Done)
            .collect())
    }

    /// The list of a map whose items are no source.
    pub fn list(
        &mut self,
        scope: &StepScope<'_>,
        step: &Step,
        map: &MapWork,
    ) -> Result<Arc<Vec<Value>>, String> {
        let path = scope.path(&step.id);
        let generation = self
            .values
            .snapshot
            .steps
            .get(&path)
            .map_or(0, |step| step.generation);
        let at = (path, generation);
        if let Some(list) = self.known.get(&at).or_else(|| self.lists.get(&at)) {
            return Ok(list.clone());
        }
        let list = match &map.over {
            Over::List(list) => list.clone(),
            Over::Expression(expression) => match self.values.evaluated(scope, expression) {
                Ok(Value::Array(list)) => list,
                Ok(other) => {
                    return Err(format!("`over` is not a list but {}", kind_of(&other)));
                }
                Err(why) => return Err(format!("`over`: {why}")),
            },
            Over::Source(_) => return Err("a source is no list".into()),
        };
        let list = Arc::new(list);
        self.lists.insert(at, list.clone());
        Ok(list)
    }

    /// The source that a client has stored for a map.
    pub fn source(&self, step: &Step) -> Result<SourceId, String> {
        let sources = &self.values.live.metadata.sources;
        sources.get(&step.id).copied().ok_or_else(|| {
            format!(
                "the step {} reads its items from files, which only `kirosu run-pipeline` sends to the hub: start the run with it",
                step.id
            )
        })
    }
}

/// The value at a path such as `verdict.winner` in a JSON text; without a path the trimmed text. `None`: the text has no such
/// value.
fn compared(text: &str, key: Option<&str>) -> Option<Value> {
    let Some(key) = key else {
        return Some(Value::String(text.trim().to_owned()));
    };
    let mut value = as_json(text);
    for part in key.split('.') {
        value = value.get_mut(part).map(Value::take)?;
    }
    Some(value)
}

/// The number of a step's items before one. Those that were made since the rows were read do not count.
fn before(step: &RunStep, first: Option<i64>) -> u64 {
    let before = first.map_or(step.cursor, |first| first.min(step.cursor));
    u64::try_from(before).unwrap_or(0)
}

impl World for RunWorld<'_> {
    fn holds(&mut self, scope: &StepScope<'_>, _: &Step, expression: &str) -> Result<bool, String> {
        let context = self
            .values
            .context(scope, &[(expression, true)], Map::new())?;
        holds(expression, &context, &RenderLimits::default()).map_err(|why| why.to_string())
    }

    fn number(&mut self, scope: &StepScope<'_>, _: &Step, expression: &str) -> Result<f64, String> {
        self.values.number(scope, expression)
    }

    fn items(&mut self, scope: &StepScope<'_>, step: &Step) -> Result<u64, String> {
        let Work::Map(map) = &step.work else {
            return Ok(1);
        };
        if !matches!(map.over, Over::Source(_)) {
            return Ok(self.list(scope, step, map)?.len() as u64);
        }
        let source = self.source(step)?;
        let items = self.values.results.store.source_items(source);
        let items = items.map_err(|why| why.to_string())?;
        Ok(u64::try_from(items.unwrap_or(0)).unwrap_or(0))
    }

    fn are_equal(&mut self, paths: &[String]) -> Result<bool, String> {
        let mut first = None;
        for path in paths {
            let text = self.values.results.text(self.values.snapshot, path)?;
            let text = text.unwrap_or_default();
            match &first {
                None => first = Some(text),
                Some(first) if first.trim() == text.trim() => {}
                Some(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    fn majority(&mut self, path: &str, n: u64, key: Option<&str>) -> Result<Option<u64>, String> {
        let step = self.step(path)?;
        let answers = self.done(&step, i64::try_from(n).unwrap_or(i64::MAX))?;
        let values: Vec<Option<Value>> = answers
            .iter()
            .map(|answer| compared(answer.result.as_deref().unwrap_or(""), key))
            .collect();
        let named = values
            .iter()
            .enumerate()
            .filter(|(_, value)| value.is_some());
        let best = named.map(|(at, value)| {
            let equal = values.iter().filter(|other| *other == value).count() as u64;
            (equal, std::cmp::Reverse(at))
        });
        let best = best.max().filter(|(equal, _)| *equal > n / 2);
        let winner = best.and_then(|(_, std::cmp::Reverse(at))| answers.get(at));
        Ok(winner.and_then(|answer| u64::try_from(answer.index).ok()))
    }

    fn chosen(&mut self, path: &str, n: u64) -> Result<Option<u64>, String> {
        let step = self.step(path)?;
        let last = i64::try_from(n).unwrap_or(i64::MAX);
        let items = self
            .values
            .results
            .items(&step, (last, last.saturating_add(1)))?;
        let Some(judge) = items.into_iter().find(|item| item.state == ItemState::Done) else {
            return Err("the judge has failed".into());
        };
        // A judge that answers with the number of an answer chooses it. It has seen those that are done.
        let number = judge
            .result
            .as_deref()
            .unwrap_or("")
            .trim()
            .parse::<usize>();
        let answers = self.done(&step, last)?;
        let chosen = number
            .ok()
            .and_then(|number| answers.get(number.checked_sub(1)?));
        Ok(chosen.and_then(|answer| u64::try_from(answer.index).ok()))
    }

    fn ended_first(&mut self, path: &str) -> Result<u64, String> {
        let step = self.step(path)?;
        let open = self.values.results.store.first_open_item(step.id);
        Ok(before(&step, open.map_err(|why| why.to_string())?))
    }

    fn done_first(&mut self, path: &str) -> Result<u64, String> {
        let step = self.step(path)?;
        let other = self.values.results.store.first_item_not_done(step.id);
        Ok(before(&step, other.map_err(|why| why.to_string())?))
    }

    fn planner(&mut self, path: &str) -> Result<PlannerStage, String> {
        let step = self.step(path)?;
        self.stage(&step)
    }

    fn decision(&mut self, path: &str) -> Result<(), String> {
        let step = self.step(path)?;
        match step.cancelled {
            0 => Ok(()),
            _ => Err("the question was cancelled".into()),
        }
    }
}
