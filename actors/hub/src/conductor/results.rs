//! Results of steps: they stay in the rows of their tasks, and are read when something needs them.

use super::live_run::RunSnapshot;
use kirosu_plan::advance::ResultRef;
use kirosu_protocol::{ItemState, Status, Task, TaskId};
use kirosu_store::{PlanItem, RunStep, StoreReader};
use serde_json::{Value, json};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// Bytes of results that are read into memory at once.
const BYTES: usize = 8 << 20;
/// Items that one query reads.
pub(crate) const PAGE: i64 = 200;
/// Tasks that one query reads: a result may have several MiB.
pub(crate) const TASKS: usize = 8;
/// References that are followed from one step to another.
const HOPS: usize = 32;

/// An item that has ended, with what came of it.
pub(crate) struct ItemOutcome {
    pub index: i64,
    pub key: String,
    pub state: ItemState,
    pub task_id: Option<TaskId>,
    /// Its position among the items of its task.
    pub position: i64,
    pub class: Option<String>,
    /// The error of one that failed.
    pub error: Option<String>,
    /// The result of one that is done; `None`: it needed no task.
    pub result: Option<String>,
    /// Unix seconds of its end.
    pub ended_at: Option<f64>,
}

impl ItemOutcome {
    /// The item as `results` has it in templates.
    pub fn value(&self) -> Value {
        let result = self.result.clone().unwrap_or_default();
        json!({"key": self.key, "result": result, "json": as_json(&result)})
    }

    /// The item as `missing` has it in templates.
    pub fn missing(&self) -> Value {
        json!({"key": self.key, "class": self.class, "error": self.error})
    }
}

/// The value of a text that is JSON; null of any other.
pub(crate) fn as_json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or(Value::Null)
}

/// Where the result of a step is.
pub(crate) enum ResultPlace<'a> {
    /// In the task of the item of a step at this position.
    Item(&'a RunStep, i64),
    /// In the tasks of all items of a step.
    Items(&'a RunStep),
    /// In those of a step, to be joined in this form.
    Joined(&'a RunStep, String),
}

impl<'a> ResultPlace<'a> {
    /// A text that changes when the result does. `named`: the step whose result it is.
    pub fn version(&self, named: Option<&RunStep>) -> String {
        let (ResultPlace::Item(of, _) | ResultPlace::Items(of) | ResultPlace::Joined(of, _)) = self;
        let of_step = |step: &RunStep| format!("{}.{}.{}", step.id, step.generation, step.version);
        match named.filter(|named| named.id != of.id) {
            Some(named) => format!("{}-{}", of_step(named), of_step(of)),
            None => of_step(of),
        }
    }
}

/// Where the result of a step is; `None` if it has none.
fn place<'a>(
    steps: &'a BTreeMap<String, RunStep>,
    path: &str,
) -> Result<Option<ResultPlace<'a>>, String> {
    let mut path = path.to_owned();
    for _ in 0..HOPS {
        let Some(step) = steps.get(&path) else {
            return Ok(None);
        };
        let result = step.result.as_deref().and_then(super::live_run::result_ref);
        return Ok(match result {
            None => None,
            Some(ResultRef::Step(next)) => {
                path = next;
                continue;
            }
            Some(ResultRef::Item(index)) => {
                let index = i64::try_from(index).unwrap_or(i64::MAX);
                Some(ResultPlace::Item(step, index))
            }
            Some(ResultRef::Items) => Some(ResultPlace::Items(step)),
            Some(ResultRef::Joined { of, into }) => {
                let step = steps.get(&of);
                step.map(|step| ResultPlace::Joined(step, into))
            }
        });
    }
    Err(format!("the result of the step {path} cannot be found"))
}

/// As [`place`], for a file: that of a map has all its items, also if too many have failed for the map to have a result.
pub(crate) fn place_of_file<'a>(
    steps: &'a BTreeMap<String, RunStep>,
    path: &str,
) -> Result<Option<ResultPlace<'a>>, String> {
    let place = place(steps, path)?;
    let has_items =
        |step: &&RunStep| step.kind == "map" && step.state.is_final() && step.cursor > 0;
    Ok(place.or_else(|| {
        let map = steps.get(path).filter(has_items)?;
        Some(ResultPlace::Items(map))
    }))
}

/// The position and the key of the first item of tasks.
pub(crate) type FirstItems = HashMap<TaskId, (i64, String)>;

/// Reads results from the store.
pub(crate) struct Results<'a> {
    pub store: &'a mut StoreReader,
}

fn unread(error: impl std::fmt::Display) -> String {
    format!("the store cannot be read: {error}")
}

impl Results<'_> {
    /// A task; `None` if retention has removed it.
    pub fn task(&mut self, id: TaskId) -> Result<Option<Task>, String> {
        Ok(self.store.many(&[id]).map_err(unread)?.pop())
    }

    /// The decision about the task of an item: whether it is done, and who decided.
    pub fn decided(
        &mut self,
        step: &RunStep,
    ) -> Result<(bool, Option<String>, Option<String>), String> {
        let item = self.item(step, 0)?;
        let task = item.and_then(|item| item.task_id);
        let Some(task) = task else {
            return Ok((false, None, None));
        };
        let detail = self.store.get(task, 0).map_err(unread)?;
        Ok(detail.map_or((false, None, None), |detail| {
            let by = detail.decisions.last().and_then(|last| last.by.clone());
            (detail.task.status == Status::Done, by, detail.task.result)
        }))
    }

    pub fn item(&mut self, step: &RunStep, index: i64) -> Result<Option<PlanItem>, String> {
        let items = self
            .store
            .plan_items(step.id, None, index, 1)
            .map_err(unread)?;
        Ok(items.into_iter().find(|item| item.index == index))
    }

    /// The items of a step in a range of positions, those that have ended.
    pub fn items(
        &mut self,
        step: &RunStep,
        (from, to): (i64, i64),
    ) -> Result<Vec<ItemOutcome>, String> {
        let (mut ended, mut at, mut bytes) = (Vec::new(), from, 0);
        while at < to {
            let limit = (to - at).min(PAGE);
            let page = self
                .store
                .plan_items(step.id, None, at, limit)
                .map_err(unread)?;
            let Some(last) = page.last() else {
                break;
            };
            at = last.index + 1;
            let page: Vec<PlanItem> = page.into_iter().filter(|item| item.index < to).collect();
            for part in page.chunks(TASKS) {
                for item in self.with_results(step, part.to_vec())? {
                    bytes += item.result.as_ref().map_or(0, String::len);
                    if bytes > BYTES {
                        return Err(format!(
                            "the results of the step {} are larger than {} MiB together: merge them with a reduce of a smaller arity",
                            step.path,
                            BYTES >> 20
                        ));
                    }
                    ended.push(item);
                }
            }
        }
        Ok(ended)
    }

    /// Those of some items of a step that have ended, with their results and errors.
    pub fn with_results(
        &mut self,
        step: &RunStep,
        items: Vec<PlanItem>,
    ) -> Result<Vec<ItemOutcome>, String> {
        let mut ids: Vec<TaskId> = items.iter().filter_map(|item| item.task_id).collect();
        ids.dedup();
        let tasks = self.store.many(&ids).map_err(unread)?;
        let mut ended = Vec::with_capacity(items.len());
        // The list of a batch is parsed once for neighbours.
        let mut parsed: Option<(TaskId, Value)> = None;
        for item in items {
            let is_open = matches!(item.state, ItemState::Open | ItemState::Waiting);
            if is_open {
                continue;
            }
            let task = item
                .task_id
                .and_then(|id| tasks.iter().find(|task| task.task_id == id));
            let mut result = task.and_then(|task| task.result.clone());
            if step.each
                && let Some(whole) = &result
            {
                if parsed
                    .as_ref()
                    .is_none_or(|(of, _)| Some(*of) != item.task_id)
                {
                    parsed = item.task_id.map(|of| (of, as_json(whole)));
                }
                let list = parsed.as_ref().map(|(_, list)| list);
                result = list.and_then(|list| element(&item, list)).or(result);
            }
            ended.push(ItemOutcome {
                index: item.index,
                key: item.key,
                state: item.state,
                task_id: item.task_id,
                position: item.position,
                class: item.class,
                error: task.and_then(|task| task.error.clone()),
                result: result.filter(|_| item.state == ItemState::Done),
                ended_at: task.and_then(|task| task.finished_at),
            });
        }
        Ok(ended)
    }

    /// Items of a step without those that share the result of an earlier item.
    pub fn once_per_task(
        &mut self,
        step: &RunStep,
        items: Vec<ItemOutcome>,
    ) -> Result<Vec<ItemOutcome>, String> {
        let mut firsts = FirstItems::new();
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            let task = shared_task(step, (item.state, item.task_id, item.position));
            let is_first = match task {
                Some(task) => self.first_of(step, task, &mut firsts)?.0 == item.index,
                None => true,
            };
            if is_first {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    /// The key of the earlier item whose result an item shares.
    pub fn same_as(
        &mut self,
        step: &RunStep,
        item: &PlanItem,
        firsts: &mut FirstItems,
    ) -> Result<Option<String>, String> {
        let Some(task) = shared_task(step, (item.state, item.task_id, item.position)) else {
            return Ok(None);
        };
        let (index, key) = self.first_of(step, task, firsts)?;
        Ok((*index != item.index).then(|| key.clone()))
    }

    /// The first item of a task of a step. That of the batch may have another task since it was repeated alone.
    fn first_of<'f>(
        &mut self,
        step: &RunStep,
        task: TaskId,
        firsts: &'f mut FirstItems,
    ) -> Result<&'f (i64, String), String> {
        Ok(match firsts.entry(task) {
            Entry::Occupied(first) => first.into_mut(),
            Entry::Vacant(entry) => {
                let all = self.store.items_of_task(step.id, task).map_err(unread)?;
                let first = all.into_iter().next().map(|first| (first.index, first.key));
                entry.insert(first.ok_or_else(|| format!("no item has the task {task}"))?)
            }
        })
    }

    /// The result of a step as text; `None` if it has none.
    pub(super) fn text(
        &mut self,
        snapshot: &RunSnapshot,
        path: &str,
    ) -> Result<Option<String>, String> {
        match place(&snapshot.steps, path)? {
            None => Ok(None),
            Some(ResultPlace::Item(step, index)) => {
                let task = self.item(step, index)?.and_then(|item| item.task_id);
                let task = match task {
                    Some(task) => self.task(task)?,
                    None => None,
                };
                Ok(task.and_then(|task| task.result))
            }
            Some(ResultPlace::Items(step)) => self.joined(step, "jsonl").map(Some),
            Some(ResultPlace::Joined(step, into)) => self.joined(step, &into).map(Some),
        }
    }

    /// The results of all items of a step that are done, in one text.
    fn joined(&mut self, step: &RunStep, into: &str) -> Result<String, String> {
        let items = self.items(step, (0, step.cursor))?;
        let items = self.once_per_task(step, items)?;
        let results = items.into_iter().filter_map(|item| item.result);
        Ok(match into {
            "concat" => results.collect::<Vec<_>>().join("\n"),
            "json" => {
                let values: Vec<Value> = results.map(value_of).collect();
                Value::Array(values).to_string()
            }
            _ => {
                let lines: Vec<String> = results.map(|text| value_of(text).to_string()).collect();
                lines.join("\n")
            }
        })
    }
}

/// The task of an item that may share the result of an earlier one.
fn shared_task(
    step: &RunStep,
    (state, task, position): (ItemState, Option<TaskId>, i64),
) -> Option<TaskId> {
    task.filter(|_| step.shared && state == ItemState::Done && position > 0)
}

/// The element for an item in the result of its batch.
fn element(item: &PlanItem, list: &Value) -> Option<String> {
    let position = usize::try_from(item.position).ok()?;
    Some(match list.get(position)? {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    })
}

/// JSON as it is, any other text as a JSON text.
pub(crate) fn value_of(text: String) -> Value {
    match as_json(&text) {
        Value::Null => Value::String(text),
        value => value,
    }
}
