//! The next items of a step, with their tasks.

use super::results::{ItemOutcome, TASKS};
use super::tasks::TaskPurpose;
use super::world::RunWorld;
use kirosu_plan::advance::{Found, ReduceShape, items_per_task};
use kirosu_plan::{
    Batch, ItemSource, MapWork, Over, ReduceWork, RenderLimits, Step, VoteWork, Work, render,
};
use kirosu_protocol::{ItemState, NewTask, SourceId};
use kirosu_store::{CacheEntry, Expansion, NewItem, RunStep};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Items of one command: a commit stays short.
const ITEMS: u64 = 100;
/// Failed items, and cancelled ones, that the last task of a reduce learns of.
const MISSING: i64 = 500;
/// Bytes of the key of an item.
const KEY_BYTES: usize = 1024;
/// Bytes of prompts after which a command gets no further task.
const BYTES: usize = 256 << 10;

/// Items and tasks for one command.
#[derive(Default)]
pub(super) struct Gathered {
    pub items: Vec<NewItem>,
    pub tasks: Vec<NewTask>,
    /// Of a step with a cache, the entry of each task.
    pub cache: Vec<CacheEntry>,
    bytes: usize,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.bytes >= BYTES
    }

    fn add(&mut self, items: Vec<(i64, String)>, task: Option<NewTask>) {
        let at = task.as_ref().map(|_| self.tasks.len());
        self.bytes += task.as_ref().map_or(0, |task| {
            task.prompt.len() + task.system_prompt.as_ref().map_or(0, String::len)
        });
        self.tasks.extend(task);
        let items = (0..).zip(items);
        self.items
            .extend(items.map(|(position, (index, key))| NewItem {
                index,
                key,
                position,
                task: at,
                cached: None,
            }));
    }
}

/// The items of maps from sources: the piece that was read last.
pub(super) type Piece = Option<(SourceId, i64, Arc<Vec<Value>>)>;

impl RunWorld<'_> {
    /// The command that makes the next items of a step, at most `count`.
    ///
    /// # Errors
    /// A template cannot be rendered, or items cannot be read; the reason why the step fails.
    pub fn expansion(
        &mut self,
        found: &Found<'_>,
        row: &RunStep,
        (again, count): (bool, u64),
        (pools, now_ms): (&[String], i64),
        piece: &mut Piece,
    ) -> Result<Expansion, String> {
        // A command has whole batches.
        let per_task = items_per_task(found.step);
        let most = (ITEMS / per_task).max(1) * per_task;
        let count = count.min(most);
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let indexes: Vec<i64> = match again {
            true => {
                let waiting = Some(ItemState::Waiting);
                let items = self
                    .values
                    .results
                    .store
                    .plan_items(row.id, waiting, 0, limit);
                let items = items.map_err(|why| why.to_string())?;
                items.into_iter().map(|item| item.index).collect()
            }
            false => {
                let last = row.total.unwrap_or(0).min(row.cursor + limit);
                (row.cursor..last).collect()
            }
        };
        let purpose = TaskPurpose {
            scope: &found.scope,
            step: found.step,
            key: String::new(),
            each: None,
            extra: Map::new(),
            judge: None,
            pools,
        };
        let mut gathered = Gathered::default();
        match &found.step.work {
            Work::Map(map) => self.map(purpose, map, indexes, piece, &mut gathered)?,
            Work::Reduce(reduce) => self.reduce(&purpose, reduce, row, indexes, &mut gathered)?,
            Work::Plan(work) => {
                if let Some(index) = indexes.into_iter().next() {
                    let (key, task) = self.planner(&purpose, work, row, index)?;
                    gathered.add(vec![(index, key)], Some(task));
                }
            }
            Work::Vote(vote) => self.vote(&purpose, vote, row, indexes, &mut gathered)?,
            _ => {
                if let Some(index) = indexes.into_iter().next() {
                    let key = format!("#{}", index + 1);
                    let purpose = TaskPurpose {
                        key: key.clone(),
                        ..purpose
                    };
                    let task = self.values.task(&purpose)?;
                    gathered.add(vec![(index, key)], Some(task));
                }
            }
        }
        self.values.use_cache(found.step, &mut gathered, now_ms)?;
        Ok(expansion(row, gathered))
    }

    fn map(
        &mut self,
        mut purpose: TaskPurpose<'_>,
        map: &MapWork,
        indexes: Vec<i64>,
        piece: &mut Piece,
        gathered: &mut Gathered,
    ) -> Result<(), String> {
        let mut batch: Vec<(i64, String, Value)> = Vec::new();
        let mut bytes = 0;
        let mut indexes = indexes.into_iter().peekable();
        while let Some(index) = indexes.next() {
            let value = self.item(&purpose, map, index, piece)?;
            let key = self.key(&purpose, map, index, &value)?;
            bytes += value.to_string().len();
            batch.push((index, key, value));
            let next_fits = match map.batch {
                Batch::Items(items) => (batch.len() as u64) < items,
                // The next item is about as large as the mean of those before.
                Batch::Size { bytes: most } => ((bytes + bytes / batch.len()) as u64) <= most,
            };
            if next_fits && indexes.peek().is_some() {
                continue;
            }
            let items = std::mem::take(&mut batch);
            bytes = 0;
            let first = items.first().map(|(_, key, _)| key.clone());
            purpose.key = first.unwrap_or_default();
            purpose.each = gives_one_each(purpose.step).then_some(items.len());
            let mut keys = Vec::with_capacity(items.len());
            let mut values = Vec::with_capacity(items.len());
            for (index, key, value) in items {
                keys.push((index, key));
                values.push(value);
            }
            purpose.extra = match map.batch.is_list() {
                true => one("items", Value::Array(values)),
                false => one("item", values.pop().unwrap_or(Value::Null)),
            };
            let task = self.values.task(&purpose);
            let task = task.map_err(|why| format!("the item {}: {why}", purpose.key))?;
            gathered.add(keys, Some(task));
            if gathered.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// The value of an item of a map.
    fn item(
        &mut self,
        purpose: &TaskPurpose<'_>,
        map: &MapWork,
        index: i64,
        piece: &mut Piece,
    ) -> Result<Value, String> {
        let gone = || format!("the item {} is not stored any more", index + 1);
        if !matches!(map.over, Over::Source(_)) {
            let list = self.list(purpose.scope, purpose.step, map)?;
            let value = usize::try_from(index).ok().and_then(|at| list.get(at));
            return value.cloned().ok_or_else(gone);
        }
        let source = self.source(purpose.step)?;
        let is_here = |piece: &Piece| {
            piece.as_ref().is_some_and(|(of, first, items)| {
                *of == source && index >= *first && index < *first + items.len() as i64
            })
        };
        if !is_here(piece) {
            let read = self.values.results.store.source_piece(source, index);
            let read = read.map_err(|why| why.to_string())?.ok_or_else(gone)?;
            let items: Vec<Value> =
                serde_json::from_str(&read.items).map_err(|why| why.to_string())?;
            *piece = Some((source, read.first, Arc::new(items)));
        }
        let (_, first, items) = piece.as_ref().ok_or_else(gone)?;
        let value = usize::try_from(index - first)
            .ok()
            .and_then(|at| items.get(at));
        value.cloned().ok_or_else(gone)
    }

    /// The key of an item of a map.
    fn key(
        &mut self,
        purpose: &TaskPurpose<'_>,
        map: &MapWork,
        index: i64,
        value: &Value,
    ) -> Result<String, String> {
        let Some(template) = &map.key else {
            let path = match &map.over {
                Over::Source(ItemSource::Files(_)) => value.get("path").and_then(Value::as_str),
                _ => None,
            };
            return Ok(path.map_or_else(|| format!("#{}", index + 1), str::to_owned));
        };
        let context = self.values.context(
            purpose.scope,
            &[(template, false)],
            one("item", value.clone()),
        )?;
        let key = render(template, &context, &RenderLimits::default());
        let key = key.map_err(|why| format!("`key` of the item {}: {why}", index + 1))?;
        match (key.trim().is_empty(), key.len() > KEY_BYTES) {
            (true, _) => Err(format!("`key` of the item {} is empty", index + 1)),
            (_, true) => Err(format!(
                "`key` of the item {} has {} bytes, and a key at most {KEY_BYTES}",
                index + 1,
                key.len()
            )),
            _ => Ok(key),
        }
    }

    fn reduce(
        &mut self,
        purpose: &TaskPurpose<'_>,
        reduce: &ReduceWork,
        row: &RunStep,
        indexes: Vec<i64>,
        gathered: &mut Gathered,
    ) -> Result<(), String> {
        let snapshot = self.values.snapshot;
        let path = purpose.scope.path(&reduce.of);
        let gone = || format!("the step {} has not begun", reduce.of);
        let of = snapshot.steps.get(&path).ok_or_else(gone)?;
        let facts = (snapshot.rows.get(&path), snapshot.rows.get(&row.path));
        let (Some(of_facts), Some(facts)) = facts else {
            return Err(gone());
        };
        let shape = ReduceShape::of(reduce.arity, of_facts, facts);
        for index in indexes {
            let Some((level, from, to)) = shape.inputs(u64::try_from(index).unwrap_or(0)) else {
                break;
            };
            let range = (
                i64::try_from(from).unwrap_or(0),
                i64::try_from(to).unwrap_or(0),
            );
            let mut inputs = match level {
                1 => self.values.results.items(of, range)?,
                _ => self.values.results.items(row, range)?,
            };
            if level == 1 {
                inputs = self.values.results.once_per_task(of, inputs)?;
            }
            if reduce.order == "done" {
                inputs.sort_by(|one, other| {
                    one.ended_at
                        .unwrap_or(0.0)
                        .total_cmp(&other.ended_at.unwrap_or(0.0))
                });
            }
            let key = format!("{level}.{}", index + 1);
            let is_last = u64::try_from(index + 1) == Ok(shape.total());
            let results: Vec<Value> = inputs
                .iter()
                .filter(|item| item.result.is_some())
                .map(|item| item.value())
                .collect();
            let missing: Vec<Value> = match is_last {
                true => self.missing(of)?,
                false => {
                    let missing = inputs.iter().filter(|item| item.state != ItemState::Done);
                    missing.map(ItemOutcome::missing).collect()
                }
            };
            if results.is_empty() && shape.total() > 1 {
                // Nothing to merge here: the level above leaves it out.
                gathered.add(vec![(index, key)], None);
                continue;
            }
            let mut extra = one("results", Value::Array(results));
            extra.insert("missing".into(), Value::Array(missing));
            let purpose = TaskPurpose {
                key: key.clone(),
                extra,
                ..*purpose
            };
            let task = self.values.task(&purpose)?;
            gathered.add(vec![(index, key)], Some(task));
            if gathered.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// The items of a step that have no result, the first ones of very many.
    fn missing(&mut self, of: &RunStep) -> Result<Vec<Value>, String> {
        let mut missing = Vec::new();
        for state in [ItemState::Failed, ItemState::Cancelled] {
            let items = self
                .values
                .results
                .store
                .plan_items(of.id, Some(state), 0, MISSING);
            let items = items.map_err(|why| why.to_string())?;
            for part in items.chunks(TASKS) {
                let items = self.values.results.with_results(of, part.to_vec())?;
                missing.extend(items.iter().map(ItemOutcome::missing));
            }
        }
        Ok(missing)
    }

    fn vote(
        &mut self,
        purpose: &TaskPurpose<'_>,
        vote: &VoteWork,
        row: &RunStep,
        indexes: Vec<i64>,
        gathered: &mut Gathered,
    ) -> Result<(), String> {
        for index in indexes {
            let is_judge = u64::try_from(index).unwrap_or(0) >= vote.n;
            let (key, mut extra) = match is_judge {
                true => ("judge".to_owned(), Map::new()),
                false => (format!("#{}", index + 1), Map::new()),
            };
            if is_judge {
                let answers = self.values.results.items(row, (0, index))?;
                let answers = answers.iter().filter(|item| item.result.is_some());
                extra = one(
                    "results",
                    Value::Array(answers.map(|item| item.value()).collect()),
                );
            }
            let purpose = TaskPurpose {
                key: key.clone(),
                extra,
                judge: vote.judge.as_ref().filter(|_| is_judge),
                ..*purpose
            };
            let task = self.values.task(&purpose)?;
            gathered.add(vec![(index, key)], Some(task));
        }
        Ok(())
    }
}

/// Whether the tasks of a step have several items.
pub(super) fn has_batches(step: &Step) -> bool {
    matches!(&step.work, Work::Map(map) if map.batch.is_list())
}

/// Whether the tasks of a step give one result per item of their batch.
pub(super) fn gives_one_each(step: &Step) -> bool {
    match &step.work {
        Work::Map(map) => map.batch.is_list() && step.result.as_ref().is_some_and(|form| form.each),
        _ => false,
    }
}

fn one(name: &str, value: Value) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert(name.to_owned(), value);
    map
}

fn expansion(row: &RunStep, gathered: Gathered) -> Expansion {
    Expansion {
        step: row.id,
        version: row.version,
        cursor: row.cursor,
        items: gathered.items,
        tasks: gathered.tasks,
        cache: gathered.cache,
    }
}
