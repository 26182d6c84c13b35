//! A large `enqueue_batch`, in several commits, all or none.
//!
//! First each part of the batch is checked and stored as text ([`Command::StagePart`](super::Command::StagePart)); no task
//! is made. The commit with the last part decides: before it a refusal or a crash leaves nothing, after it the batch is
//! never taken back. Then the tasks are made part by part ([`Command::MakePart`](super::Command::MakePart)), each in the
//! commit that deletes the text of its part. A start finishes the batches of earlier ones before its first command.
//!
//! The dependencies of a task that has very many are stored before the task, some in each commit
//! ([`Command::InsertDependencies`](super::Command::InsertDependencies)): each may be in another page of the file. The commit
//! with the part gives out the id of the task.
//!
//! Between two parts other commands run. The caller sends no other command with a key of the batch meanwhile. A
//! dependency may be pruned between the check and the making of a task: the task then fails.

use super::enqueue::Requested;
use crate::backend::{Result, StoreFault};
use crate::command::{LongTask, TextId};
use crate::core::{CommandResult, Core};
use crate::outcome::{EnqueuedTask, Outcome};
use crate::sql::batch::{
    DeleteBatch, DeleteBatchPart, DeleteIncompleteBatches, InsertBatchPart, SelectPartBefore,
    StoredPart,
};
use kirosu_protocol::{Effect, EnqueueBatchParams, Error, Limits, NewTask, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// The id of a large batch. [`Store::new_batch`](crate::Store::new_batch) gives it out.
pub type BatchId = i64;

/// The most dependencies of a task that are stored with it. Each may write two pages of its own.
pub const MANY_DEPENDENCIES: usize = 500;

/// The ids of tasks that are not made yet, by batch and position in it. After a failed commit there may be ids of batches that
/// were refused; [`Command::DropBatch`](super::Command::DropBatch) removes them.
pub(crate) type ReservedIds = BTreeMap<(BatchId, usize), TaskId>;

/// Some dependencies of a task of a large batch.
#[derive(Clone, Debug, PartialEq)]
pub struct DependencyPart {
    /// The batch.
    pub batch: BatchId,
    /// All tasks of the batch.
    pub all: Arc<Vec<NewTask>>,
    /// The position of the task.
    pub task: usize,
    /// The positions of the dependencies in its list.
    pub range: Range<usize>,
}

impl DependencyPart {
    /// The dependencies of this part.
    pub fn ids(&self) -> &[TaskId] {
        let task = self.all.get(self.task);
        let ids = task.and_then(|new| new.depends_on.get(self.range.clone()));
        ids.unwrap_or_default()
    }
}

/// A part of a large batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPart {
    /// The batch.
    pub batch: BatchId,
    /// All tasks of the batch.
    pub all: Arc<Vec<NewTask>>,
    /// The long texts of some of them, by position. They are stored before the first part.
    pub long: Arc<BTreeMap<usize, LongTask>>,
    /// The positions of the tasks of this part. The parts of a batch follow one another without gaps.
    pub range: Range<usize>,
}

impl BatchPart {
    /// The tasks of this part.
    pub fn tasks(&self) -> &[NewTask] {
        self.all.get(self.range.clone()).unwrap_or_default()
    }

    fn requested(&self, range: Range<usize>) -> Vec<Requested<'_>> {
        let tasks = self.all.get(range.clone()).unwrap_or_default();
        let tasks = range.zip(tasks);
        let requested = |(at, new)| Requested {
            new,
            long: self.long.get(&at),
            position: (self.all.len() > 1).then_some(at),
            id: None,
            continued: None,
            is_of_step: false,
        };
        tasks.map(requested).collect()
    }
}

impl Core {
    /// Checks a part of a batch and stores it. Refuses a part whose predecessor is not stored.
    pub(crate) fn stage_part(&mut self, part: &BatchPart) -> CommandResult<Outcome> {
        let (batch, first) = (part.batch, position(part.range.start)?);
        if first > 0 {
            let before = SelectPartBefore { batch, next: first };
            if self.db.number(before.into())?.is_none() {
                let message = "the part of the batch before this one is not stored";
                return Err(Error::internal(Effect::None, message).into());
            }
        } else if self.must_check_as_a_whole(&part.all) {
            self.check(&part.requested(0..part.all.len()))?;
        }
        let mut tasks = part.requested(part.range.clone());
        self.check(&tasks)?;
        for (at, task) in part.range.clone().zip(&mut tasks) {
            if task.new.depends_on.len() > MANY_DEPENDENCIES {
                let id = self.tasks.new_id();
                self.reserved.insert((batch, at), id);
                task.id = Some(id);
                // Also after a crash the id is not given out again.
                self.counters.set_last_id(id);
            }
        }
        let tasks = to_text(&tasks)?;
        self.write(InsertBatchPart {
            batch,
            first,
            next: position(part.range.end)?,
            last: i64::from(part.range.end == part.all.len()),
            at: self.now(),
            tasks: &tasks,
        })?;
        Ok(Outcome::Ok)
    }

    /// Whether a check part by part can miss a conflict of two parts: two tasks have the same key, or the batch may have
    /// too many new lanes. Few batches are like that; checking them takes one long commit.
    fn must_check_as_a_whole(&self, batch: &[NewTask]) -> bool {
        let mut keys = HashSet::new();
        let mut named = batch.iter().filter_map(|new| new.idempotency_key.as_ref());
        let lanes = batch.iter().map(|new| (&new.queue, &new.task_type));
        let lanes: HashSet<_> = lanes.collect();
        named.any(|key| !keys.insert(key))
            || self.lanes.live() + lanes.len() > self.options.lane_limit
    }

    /// Stores some dependencies of a task that has an id, but is not made yet.
    pub(crate) fn stage_dependencies(&mut self, part: &DependencyPart) -> Result<Outcome> {
        if let Some(task_id) = self.reserved.get(&(part.batch, part.task)) {
            self.insert_dependencies(*task_id, part.ids())?;
        }
        Ok(Outcome::Ok)
    }

    /// Makes the tasks of a part. One that was made before, or whose batch is not stored as a whole, is left alone.
    pub(crate) fn make_part(&mut self, part: &BatchPart) -> Result<Outcome> {
        let (batch, next) = (part.batch, position(part.all.len())?);
        let last = SelectPartBefore { batch, next };
        if self.db.number(last.into())?.is_none() {
            return Ok(Outcome::Ok);
        }
        let first = position(part.range.start)?;
        let mut tasks = part.requested(part.range.clone());
        for (at, task) in part.range.clone().zip(&mut tasks) {
            task.id = self.reserved.get(&(batch, at)).copied();
        }
        let made = self.make_stored(batch, first, &tasks)?;
        Ok(made.map_or(Outcome::Ok, Outcome::Batch))
    }

    /// `None` means that the part is not stored.
    fn make_stored(
        &mut self,
        batch: BatchId,
        first: i64,
        tasks: &[Requested<'_>],
    ) -> Result<Option<Vec<EnqueuedTask>>> {
        if self.write(DeleteBatchPart { batch, first })? == 0 {
            return Ok(None);
        }
        let made = tasks.iter().map(|task| self.find_or_make(*task));
        made.collect::<Result<_>>().map(Some)
    }

    /// Deletes the stored parts of a batch whose tasks are not made.
    pub(crate) fn drop_batch(&mut self, batch: BatchId) -> Result<Outcome> {
        self.write(DeleteBatch { batch })?;
        self.reserved.retain(|(of, _), _| *of != batch);
        Ok(Outcome::Ok)
    }

    /// Makes the tasks of batches that an earlier start has stored, one commit per part, and deletes incomplete batches. Then
    /// no long text that is not used will be.
    pub(crate) fn finish_batches(&mut self) -> Result<()> {
        if self.db.batch_part()?.is_some() {
            self.write(DeleteIncompleteBatches {})?;
        }
        while let Some(part) = self.db.batch_part()? {
            let (tasks, long, ids) = of_text(&part).map_err(StoreFault::value)?;
            let tasks = tasks.iter().enumerate();
            let requested = |(at, new)| Requested {
                new,
                long: long.get(&at),
                position: None,
                id: ids.get(&at).copied(),
                continued: None,
                is_of_step: false,
            };
            let tasks: Vec<_> = tasks.map(requested).collect();
            self.make_stored(part.batch, part.first, &tasks)?;
            self.commit()?;
        }
        self.commit()?;
        self.drop_staged_texts()
    }
}

/// Beside the parameters of a stored part.
#[derive(Default, Serialize, Deserialize)]
struct StoredBeside {
    /// The long texts of its tasks: the place of the task in the part, the texts, and the hash of the request if it has a key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    long: Vec<(usize, TextId, Option<i64>)>,
    /// The ids that tasks have already, by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<(usize, TaskId)>,
}

fn position(at: usize) -> Result<i64> {
    i64::try_from(at).map_err(StoreFault::value)
}

/// The tasks as parameters of `enqueue_batch`. A time that the hub computed from a delay is left out, as a request has
/// one or the other.
fn to_text(tasks: &[Requested<'_>]) -> Result<String> {
    #[derive(Serialize)]
    struct Params<'a> {
        tasks: Vec<Cow<'a, NewTask>>,
        #[serde(flatten)]
        beside: StoredBeside,
    }
    fn stored(new: &NewTask) -> Cow<'_, NewTask> {
        match new {
            NewTask { delay_ms: 0, .. } => Cow::Borrowed(new),
            _ => Cow::Owned(NewTask {
                run_at_ms: None,
                ..new.clone()
            }),
        }
    }
    let long = |(at, task): (usize, &Requested<'_>)| {
        let keyed = task.new.idempotency_key.is_some();
        let long = task.long?;
        Some((at, long.text, keyed.then(|| long.body())))
    };
    let id = |(at, task): (usize, &Requested<'_>)| Some((at, task.id?));
    let beside = StoredBeside {
        long: tasks.iter().enumerate().filter_map(long).collect(),
        ids: tasks.iter().enumerate().filter_map(id).collect(),
    };
    let tasks = tasks.iter().map(|task| stored(task.new)).collect();
    serde_json::to_string(&Params { tasks, beside }).map_err(StoreFault::value)
}

/// The tasks of a stored part, and by place the long texts and the ids that some of them have.
type Unstored = (
    Vec<NewTask>,
    HashMap<usize, LongTask>,
    HashMap<usize, TaskId>,
);

/// Reads a stored part. Its tasks have passed the limits of the hub that stored them.
fn of_text(part: &StoredPart) -> Result<Unstored, Error> {
    let limits = Limits {
        batch: usize::MAX,
        prompt_bytes: usize::MAX,
        metadata_bytes: usize::MAX,
        name_bytes: usize::MAX,
        ..Limits::default()
    };
    let mut tasks = EnqueueBatchParams::read(&Params::parse(&part.tasks)?, &limits)?.tasks;
    for new in tasks.iter_mut().filter(|new| new.delay_ms > 0) {
        let delay_ms = i64::try_from(new.delay_ms).unwrap_or(i64::MAX);
        new.run_at_ms = Some(part.at.saturating_add(delay_ms));
    }
    let beside: StoredBeside = serde_json::from_str(&part.tasks)
        .map_err(|error| Error::internal(Effect::None, error.to_string()))?;
    let long = beside.long.into_iter();
    let long = long.map(|(at, text, body)| (at, LongTask::stored(text, body)));
    Ok((tasks, long.collect(), beside.ids.into_iter().collect()))
}
