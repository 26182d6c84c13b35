//! The result of a step in pieces, as `run_file` answers it: the text of one task, or lines of any number of items.

use super::QueryFailure;
use crate::answers;
use crate::conductor::results::{
    FirstItems, ItemOutcome, PAGE, ResultPlace, Results, TASKS, place_of_file, value_of,
};
use kirosu_protocol::run::StepTask;
use kirosu_protocol::text::head;
use kirosu_protocol::{
    Effect, Error, ErrorCode, ItemState, RunFileAnswer, RunFileParams, Task, TaskId,
};
use kirosu_store::{PlanItem, RunStep, StoreReader};
use serde_json::json;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Bytes of a piece, about.
const PIECE_BYTES: usize = 512 << 10;
/// Items after which a piece ends even if they have little text.
const ITEMS: i64 = 10_000;
/// Items whose results are read at once. A list of results of a batch is parsed once for them.
const PART: usize = 32;
/// Bytes of small results together: those of several tasks are read at once.
const SMALL_BYTES: usize = 64 << 10;

/// A piece of a result.
pub(super) fn piece(
    store: &mut StoreReader,
    params: &RunFileParams,
) -> Result<RunFileAnswer, QueryFailure> {
    let run = run_of(store, params)?;
    let Some((_, steps)) = store.plan_run(run)? else {
        return Err(answers::no_such_task(run).into());
    };
    let steps: BTreeMap<String, RunStep> = steps
        .into_iter()
        .map(|step| (step.path.clone(), step))
        .collect();
    let path = &params.step;
    let step = steps.get(path);
    if !step.is_some_and(|step| step.state.is_final()) {
        return Err(runs_again(path).into());
    }
    let place = place_of_file(&steps, path).map_err(unread)?;
    let place = place.ok_or_else(|| gone(path))?;
    let cursor = match &params.cursor {
        Some(cursor) => PieceCursor::read(cursor)?,
        None => PieceCursor::default(),
    };
    let version = place.version(step);
    let mut writer = PieceWriter {
        results: Results { store },
        path,
        text: String::new(),
        cursor,
    };
    let next = match place {
        ResultPlace::Item(step, index) => writer.item(step, index)?,
        ResultPlace::Items(step) => writer.lines(step, Form::Items)?,
        ResultPlace::Joined(step, into) => writer.lines(step, Form::of(&into))?,
    };
    Ok(RunFileAnswer {
        version,
        text: writer.text,
        next: next.map(|cursor| cursor.to_string()),
    })
}

/// The run of a task that its step has made with this file.
fn run_of(store: &mut StoreReader, params: &RunFileParams) -> Result<TaskId, QueryFailure> {
    let Some(task) = store.many(&[params.task_id])?.pop() else {
        return Err(answers::no_such_task(params.task_id).into());
    };
    let run = match StepTask::of(&task) {
        Some(of) if of.files.iter().any(|file| file.step == params.step) => {
            is_of_step(store, &task, &of)?.then_some(of.id)
        }
        _ => None,
    };
    run.ok_or_else(|| {
        let (task, step) = (params.task_id, &params.step);
        let message =
            format!("task {task} is not one whose step names the file of the step {step}");
        Error::new(ErrorCode::Forbidden, message)
            .with_data(json!({ "limit": "run" }))
            .into()
    })
}

/// Whether a step has made the task: its metadata alone may be that of any client. A task to which an agent has handed over has
/// that agent's task as its parent, not the run.
fn is_of_step(store: &mut StoreReader, task: &Task, of: &StepTask) -> Result<bool, QueryFailure> {
    if task.parent_id != Some(of.id) {
        return Ok(false);
    }
    let Some((_, steps)) = store.plan_run(of.id)? else {
        return Ok(false);
    };
    match steps.into_iter().find(|step| step.path == of.step) {
        Some(step) => Ok(!store.items_of_task(step.id, task.task_id)?.is_empty()),
        None => Ok(false),
    }
}

/// The position of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PieceCursor {
    /// The next item.
    index: i64,
    /// The bytes of its text that are read already.
    offset: usize,
    /// Whether an item before it has a text.
    has_some: bool,
}

impl PieceCursor {
    fn read(text: &str) -> Result<PieceCursor, Error> {
        let mut parts = text.split('.');
        let mut next = || parts.next()?.parse::<i64>().ok().filter(|it| *it >= 0);
        let read = (|| {
            Some(PieceCursor {
                index: next()?,
                offset: usize::try_from(next()?).ok()?,
                has_some: next()? > 0,
            })
        })();
        read.ok_or_else(|| Error::invalid_params("`cursor` must be `next` of an earlier answer"))
    }
}

impl std::fmt::Display for PieceCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let has_some = u8::from(self.has_some);
        write!(f, "{}.{}.{has_some}", self.index, self.offset)
    }
}

/// The form of the texts of items.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A line of JSON per item, also for one without a result.
    Items,
    /// A line of JSON per result.
    Lines,
    /// One list.
    List,
    /// The results as they are, a line end between two.
    Plain,
}

impl Form {
    fn of(into: &str) -> Form {
        match into {
            "concat" => Form::Plain,
            "json" => Form::List,
            _ => Form::Lines,
        }
    }

    /// The text of an item.
    fn text(self, item: ItemOutcome, same_as: Option<String>, is_first: bool) -> Option<String> {
        let mut text = match self {
            Form::Items => {
                let mut line = json!({"key": item.key, "state": item.state});
                let more = [
                    ("result", item.result),
                    ("same_as", same_as),
                    (
                        "error",
                        item.error.filter(|_| item.state != ItemState::Done),
                    ),
                    ("class", item.class),
                ];
                for (name, value) in more {
                    if let Some(value) = value {
                        line[name] = value.into();
                    }
                }
                line.to_string()
            }
            Form::Lines | Form::List => value_of(item.result?).to_string(),
            Form::Plain => item.result?,
        };
        match (self, is_first) {
            (Form::Items | Form::Lines, _) => text.push('\n'),
            (Form::List, false) => text.insert(0, ','),
            (Form::Plain, false) => text.insert(0, '\n'),
            (Form::List | Form::Plain, true) => {}
        }
        Some(text)
    }
}

struct PieceWriter<'a> {
    results: Results<'a>,
    path: &'a str,
    text: String,
    cursor: PieceCursor,
}

impl PieceWriter<'_> {
    fn is_full(&self) -> bool {
        self.text.len() >= PIECE_BYTES
    }

    /// The result of one item as it is.
    fn item(&mut self, step: &RunStep, index: i64) -> Result<Option<PieceCursor>, QueryFailure> {
        let task = self.results.item(step, index).map_err(unread)?;
        let task = match task.and_then(|item| item.task_id) {
            Some(task) => self.results.task(task).map_err(unread)?,
            None => None,
        };
        let result = task.and_then(|task| task.result);
        let result = result.ok_or_else(|| gone(self.path))?;
        Ok(match self.add(&result)? {
            true => None,
            false => Some(self.cursor),
        })
    }

    /// The texts of items.
    fn lines(&mut self, step: &RunStep, form: Form) -> Result<Option<PieceCursor>, QueryFailure> {
        if form == Form::List && self.cursor == PieceCursor::default() {
            self.text.push('[');
        }
        let end = step.cursor.min(self.cursor.index + ITEMS);
        let mut firsts = FirstItems::new();
        // A piece that begins within a result has a large one.
        let mut tasks = if self.cursor.offset == 0 { TASKS } else { 1 };
        while self.cursor.index < end {
            let from = self.cursor.index;
            let limit = PAGE.min(end - from);
            let page = self.results.store.plan_items(step.id, None, from, limit)?;
            let Some(last) = page.last().map(|item| item.index) else {
                self.cursor.index = step.cursor;
                break;
            };
            let (page, mut same) = self.once(step, form, page, &mut firsts)?;
            let mut page = page.into_iter().peekable();
            while page.peek().is_some() {
                let before = self.text.len();
                let part = part(&mut page, tasks);
                if !self.part(step, form, part, &mut same)? {
                    return Ok(Some(self.cursor));
                }
                let is_small = self.text.len() - before < SMALL_BYTES;
                tasks = if is_small { TASKS } else { 1 };
            }
            (self.cursor.index, self.cursor.offset) = (last + 1, 0);
        }
        if self.cursor.index < step.cursor {
            return Ok(Some(self.cursor));
        }
        if form == Form::List {
            self.text.push(']');
        }
        Ok(None)
    }

    /// Items of which those that share the result of an earlier one have no task, and the key of that one; or are left out in a form
    /// of results alone.
    fn once(
        &mut self,
        step: &RunStep,
        form: Form,
        page: Vec<PlanItem>,
        firsts: &mut FirstItems,
    ) -> Result<(Vec<PlanItem>, SameAs), QueryFailure> {
        let (mut kept, mut same) = (Vec::with_capacity(page.len()), SameAs::new());
        for mut item in page {
            let first = self.results.same_as(step, &item, firsts);
            match first.map_err(unread)? {
                None => {}
                Some(_) if form != Form::Items => continue,
                Some(first) => {
                    item.task_id = None;
                    same.insert(item.index, first);
                }
            }
            kept.push(item);
        }
        Ok((kept, same))
    }

    /// The texts of items whose results are read at once. Returns whether all of them are in the piece.
    fn part(
        &mut self,
        step: &RunStep,
        form: Form,
        part: Vec<PlanItem>,
        same: &mut SameAs,
    ) -> Result<bool, QueryFailure> {
        for item in self.results.with_results(step, part).map_err(unread)? {
            if item.state == ItemState::Done && item.task_id.is_some() && item.result.is_none() {
                return Err(gone(self.path).into());
            }
            if item.index != self.cursor.index {
                (self.cursor.index, self.cursor.offset) = (item.index, 0);
            }
            let same_as = same.remove(&item.index);
            if let Some(text) = form.text(item, same_as, !self.cursor.has_some) {
                if self.is_full() || !self.add(&text)? {
                    return Ok(false);
                }
                self.cursor.has_some = true;
            }
            self.cursor.index += 1;
            self.cursor.offset = 0;
        }
        Ok(true)
    }

    /// Adds the rest of a text up to the size of a piece. Returns whether that was all of it.
    fn add(&mut self, text: &str) -> Result<bool, QueryFailure> {
        let left = PIECE_BYTES.saturating_sub(self.text.len());
        let from = self.cursor.offset;
        let Some(rest) = text.get(from..) else {
            return Err(runs_again(self.path).into());
        };
        let part = head(rest, left);
        self.text.push_str(part);
        self.cursor.offset = from + part.len();
        Ok(self.cursor.offset == text.len())
    }
}

/// The key of the first item with the result of another one, by the position of that one.
type SameAs = BTreeMap<i64, String>;

/// The next items whose results are read at once: those of at most `tasks` tasks.
fn part(items: &mut Peekable<IntoIter<PlanItem>>, tasks: usize) -> Vec<PlanItem> {
    let (mut part, mut last, mut count) = (Vec::new(), None, 0);
    while part.len() < PART
        && let Some(next) = items.peek()
    {
        if next.task_id.is_some() && next.task_id != last {
            if count == tasks {
                break;
            }
            (last, count) = (next.task_id, count + 1);
        }
        part.extend(items.next());
    }
    part
}

fn runs_again(path: &str) -> Error {
    let message = format!("the step {path} has not ended: it is repeated");
    Error::new(ErrorCode::WrongState, message)
}

fn gone(path: &str) -> Error {
    let message = format!("the result of the step {path} is not stored any more");
    Error::new(ErrorCode::NotFound, message)
}

fn unread(why: String) -> Error {
    Error::internal(Effect::None, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for cursor in [
            PieceCursor::default(),
            PieceCursor {
                index: 12,
                offset: 700_000,
                has_some: true,
            },
        ] {
            assert_eq!(PieceCursor::read(&cursor.to_string()), Ok(cursor));
        }
        for text in ["", "1", "1.2", "1.x.0", "-1.0.0"] {
            assert!(PieceCursor::read(text).is_err(), "{text}");
        }
    }
}
