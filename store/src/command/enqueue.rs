//! `enqueue` and `enqueue_batch`: add tasks.

use crate::backend::Result;
use crate::command::LongTask;
use crate::command::continues::Continuing;
use crate::core::{CommandResult, Core};
use crate::lanes::Lane;
use crate::outcome::EnqueuedTask;
use crate::row::{Flags, InputOptions, LongInput, TaskInput, TaskRow};
use crate::rules::key;
use crate::rules::transition::{self, waiting_state};
use crate::sql::cold::{InsertChild, InsertKey, InsertLabel, PutNote};
use crate::sql::sets::DeleteDependencies;
use crate::tasks::Keyed;
use kirosu_protocol::run::TYPE_PLAN;
use kirosu_protocol::task::TYPE_HUMAN;
use kirosu_protocol::{Continued, Error, NewTask, OnLost, Status, TaskId};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Attempts of a task with a retry policy but without `max_attempts`.
const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// A new task.
#[derive(Clone, Copy)]
pub(crate) struct Requested<'a> {
    pub new: &'a NewTask,
    /// Its long texts, of which it has only the beginnings.
    pub long: Option<&'a LongTask>,
    /// Its position in a request with several tasks.
    pub position: Option<usize>,
    /// Its id, if that is given out: all or some of its dependencies are stored then.
    pub id: Option<TaskId>,
    /// The conversation with which it begins, and the hash of the request, of which `new` has more.
    pub continued: Option<(&'a Continued, i64)>,
    /// Whether it is made for a step of the run that is its parent: then it may name the sources of that run and of those above.
    pub is_of_step: bool,
}

impl<'a> From<&'a NewTask> for Requested<'a> {
    fn from(new: &'a NewTask) -> Requested<'a> {
        Requested {
            new,
            long: None,
            position: None,
            id: None,
            continued: None,
            is_of_step: false,
        }
    }
}

impl Requested<'_> {
    fn body(&self) -> i64 {
        match (self.long, self.continued) {
            (_, Some((_, body))) => body,
            (Some(long), None) => long.body(),
            (None, None) => key::body(self.new),
        }
    }
}

impl Core {
    /// Adds a task, or finds it by its idempotency key.
    pub(crate) fn enqueue(&mut self, new: &NewTask) -> CommandResult<EnqueuedTask> {
        if let Some(earlier) = new.continues {
            return self.enqueue_continuing(new, earlier);
        }
        match self.check(&[new.into()])?.pop().flatten() {
            Some(found) => Ok(found),
            None => Ok(self.make(new.into())?),
        }
    }

    /// Adds a task that continues another.
    fn enqueue_continuing(
        &mut self,
        new: &NewTask,
        earlier: TaskId,
    ) -> CommandResult<EnqueuedTask> {
        if let Some(found) = self.find_by_key(new.into())? {
            return Ok(found);
        }
        let Continuing {
            new: whole,
            continued,
        } = self.continuing(new, earlier)?;
        let task = Requested {
            continued: Some((&continued, key::body(new))),
            ..Requested::from(&whole)
        };
        self.check(&[task])?;
        let made = self.make(task)?;
        self.set_continued_by(earlier, made.task_id)?;
        Ok(made)
    }

    /// Adds all tasks or none. A task that exists already (by its key) counts as added.
    pub(crate) fn enqueue_batch(&mut self, batch: &[NewTask]) -> CommandResult<Vec<EnqueuedTask>> {
        let position = |at| (batch.len() > 1).then_some(at);
        let requested = |(at, new)| Requested {
            position: position(at),
            ..Requested::from(new)
        };
        let batch: Vec<Requested<'_>> = batch.iter().enumerate().map(requested).collect();
        let found = self.check(&batch)?;
        let mut made = Vec::with_capacity(batch.len());
        for (new, found) in batch.into_iter().zip(found) {
            made.push(match found {
                Some(found) => found,
                None => self.find_or_make(new)?,
            });
        }
        Ok(made)
    }

    /// Makes a task that is checked, unless an earlier task of its batch has bound the key meanwhile.
    pub(crate) fn find_or_make(&mut self, task: Requested<'_>) -> Result<EnqueuedTask> {
        if let Some((task_id, _)) = self.bound_to_key(task.new)?
            && let Some(row) = self.row(task_id)?
        {
            let found = existing(row);
            if let Some(long) = task.long {
                self.drop_text(long.text)?;
            }
            if let Some(id) = task.id {
                self.write(DeleteDependencies { id })?;
            }
            return Ok(found);
        }
        self.make(task)
    }

    /// The task that is bound to a request's key. Refuses a key that is bound to a request with other parameters.
    fn find_by_key(&mut self, task: Requested<'_>) -> CommandResult<Option<EnqueuedTask>> {
        let Some((task_id, body)) = self.bound_to_key(task.new)? else {
            return Ok(None);
        };
        let row = self.known(task_id)?;
        if body.is_some_and(|body| body != task.body()) {
            let key = task.new.idempotency_key.as_deref().unwrap_or_default();
            return Err(key::other_body(key, row).into());
        }
        Ok(Some(existing(row)))
    }

    pub(super) fn bound_to_key(&mut self, new: &NewTask) -> Result<Option<Keyed>> {
        let Some(key) = &new.idempotency_key else {
            return Ok(None);
        };
        if let Some(found) = self.tasks.key(key) {
            return Ok(found);
        }
        let found = self.db.keys(&[key])?.pop();
        Ok(found.map(|(_, task, body)| (task, body)))
    }

    /// Makes every check that can refuse the command, before anything changes. Returns the tasks that exist already.
    pub(crate) fn check(
        &mut self,
        batch: &[Requested<'_>],
    ) -> CommandResult<Vec<Option<EnqueuedTask>>> {
        let mut new_lanes = HashSet::new();
        let mut keys: HashMap<&str, usize> = HashMap::new();
        let mut all = Vec::with_capacity(batch.len());
        for (index, task) in batch.iter().enumerate() {
            let new = task.new;
            let found = self.find_by_key(*task)?;
            let exists = found.is_some();
            all.push(found);
            if exists {
                continue;
            }
            if let Some(key) = new.idempotency_key.as_deref()
                && let Some(first) = keys.insert(key, index)
                && batch[first].body() != task.body()
            {
                return Err(key::two_bodies(key, first, index).into());
            }
            if new.continues.is_some() && task.continued.is_none() {
                return Err(key::continues_in_batch(task.position).into());
            }
            let lane = self.find_lane(&new.queue, &new.task_type)?;
            let lane = lane.and_then(|lane| self.lanes.get(lane));
            if !lane.is_some_and(Lane::is_live) {
                new_lanes.insert((&new.queue, &new.task_type));
            }
            self.check_dependencies(&new.depends_on, task.position)?;
            self.check_parent(new, task.position)?;
            self.check_handoff(new, task.position)?;
            if new.task_type == TYPE_PLAN {
                self.check_sources(*task)?;
            }
        }
        let limit = self.options.lane_limit;
        if !new_lanes.is_empty() && self.lanes.live() + new_lanes.len() > limit {
            let message = format!(
                "too many different pairs of queue and type with unfinished tasks: the limit is {limit}; put what varies into `metadata`"
            );
            return Err(Error::invalid_params(message).into());
        }
        self.check_children(batch, &all)?;
        Ok(all)
    }

    /// Refuses a task that would end with its parent if the parent does not exist or has ended.
    fn check_parent(&mut self, new: &NewTask, position: Option<usize>) -> CommandResult<()> {
        if !new.ends_with_parent {
            return Ok(());
        }
        let Some(parent) = new.parent_id else {
            return Err(key::no_parent(position).into());
        };
        match self.row(parent)?.map(|row| row.state) {
            Some(state) if !state.is_final() => Ok(()),
            state => Err(key::parent_ended(parent, state, position).into()),
        }
    }

    fn make(&mut self, task: Requested<'_>) -> Result<EnqueuedTask> {
        let Requested {
            new,
            long,
            id,
            continued,
            ..
        } = task;
        let long = long.map(LongTask::input);
        #[cfg(test)]
        crate::store::tests::failpoint(&new.prompt);
        let task_id = id.unwrap_or_else(|| self.tasks.new_id());
        if let Some(key) = &new.idempotency_key {
            let body = task.body();
            self.write(InsertKey { key, task_id, body })?;
            self.tasks.bind_key(key, (task_id, Some(body)));
        }
        if let Some(run) = new.run {
            self.open_tree_budget(run)?;
        }
        let parent_id = self.parent_of(new)?;
        if let Some(parent_id) = parent_id {
            self.write(InsertChild { parent_id, task_id })?;
        }
        if new.task_type == TYPE_PLAN {
            self.bind_sources(new, task_id)?;
        }
        for label in &new.labels {
            self.write(InsertLabel { label, task_id })?;
        }
        if let Some(budget) = &new.budget {
            self.open_budgets(task_id, budget)?;
        }
        // The budgets of the tree of the run that hands over count for its work, whoever does it.
        let in_trees_of = new.run.filter(|_| new.handoff).map(|run| run.task_id);
        let budget_trees =
            self.trees_of(task_id, in_trees_of.or(parent_id), new.budget.as_ref())?;
        let mut depends_on = Cow::Borrowed(&new.depends_on);
        if let Some(run) = new.run.filter(|_| new.handoff) {
            depends_on.to_mut().push(run.task_id);
        }
        let (blocked_by, hopeless) = self.depend(task_id, &depends_on, id.is_some())?;
        let lane = match self.find_lane(&new.queue, &new.task_type)? {
            Some(lane) => lane,
            None => self.lanes.make(&new.queue, &new.task_type),
        };
        let mut row = TaskRow {
            id: task_id,
            state: Status::Queued,
            lane,
            priority: new.priority,
            fence: 0,
            attempts: 0,
            max_attempts: new.max_attempts.or(new.retry.map(|_| DEFAULT_MAX_ATTEMPTS)),
            run_at: new.run_at_ms,
            lease_until: None,
            lease_ms: None,
            leased_at: None,
            session: None,
            worker: None,
            leased_by: None,
            created_at: self.now(),
            updated_at: self.now(),
            finished_at: None,
            flags: flags_of(new),
            blocked_by,
        };
        row.state = waiting_state(&row, self.now());
        if let Some(error) = &hopeless {
            transition::give_up(&mut row, self.now());
            self.write(PutNote {
                task_id,
                result: None,
                error: Some(error),
                text_id: None,
            })?;
        }
        if let Some(long) = &long {
            self.use_text(Some(long.text))?;
            row.flags.set(Flags::HAS_LONG_TEXTS);
        }
        let mut input = input_of(new, parent_id, budget_trees, long);
        input.options.continues = continued.map(|(continued, _)| Box::new(continued.clone()));
        self.add(row, input);
        self.report(
            task_id,
            if hopeless.is_some() {
                "failed"
            } else {
                "enqueued"
            },
        );
        if new.ends_with_parent
            && let Some(parent) = parent_id
        {
            self.end_with(task_id, parent)?;
        }
        if let Some(run) = new.run.filter(|_| new.handoff) {
            self.hand_over(run, task_id)?;
        }
        let status = self
            .tasks
            .get(task_id)
            .map_or(Status::Queued, |row| row.state);
        Ok(EnqueuedTask {
            task_id,
            existed: false,
            status,
        })
    }

    /// A new task ends with its parent. The parent of a task of a large batch may have ended since the check.
    pub(super) fn end_with(&mut self, id: TaskId, parent: TaskId) -> Result<()> {
        match self.row(parent)?.map(|row| row.state) {
            Some(state) if !state.is_final() => {
                self.change(parent, |row| row.flags.set(Flags::HAS_CHILDREN_TO_END));
            }
            // Only this one: the others have ended with the parent, or were retried since. Nothing depends on it yet.
            state => drop(self.end_with_parent(id, parent, state)?),
        }
        Ok(())
    }
}

/// The answer for a task that an earlier request with the same key has added.
fn existing(row: &TaskRow) -> EnqueuedTask {
    EnqueuedTask {
        task_id: row.id,
        existed: true,
        status: row.state,
    }
}

fn flags_of(new: &NewTask) -> Flags {
    let mut flags = Flags::default();
    // The approval of a `human` task is its result; it needs no other one.
    if new.requires_approval && new.task_type != TYPE_HUMAN {
        flags.set(Flags::NEEDS_APPROVAL);
    }
    if new.accept.is_some() {
        flags.set(Flags::HAS_ACCEPT);
    }
    if !new.labels.is_empty() {
        flags.set(Flags::HAS_LABELS);
    }
    if new.ends_with_parent {
        flags.set(Flags::ENDS_WITH_PARENT);
    }
    if new.run.is_some() && !new.handoff {
        flags.set(Flags::OF_RUN);
    }
    match new.on_lost {
        OnLost::Retry => {}
        OnLost::Fail => flags.set(Flags::LOST_FAILS),
        OnLost::Ask => flags.set(Flags::LOST_ASKS),
    }
    flags
}

fn input_of(
    new: &NewTask,
    parent_id: Option<TaskId>,
    budget_trees: Vec<TaskId>,
    long: Option<LongInput>,
) -> TaskInput {
    TaskInput {
        prompt: new.prompt.clone(),
        system_prompt: new.system_prompt.clone(),
        options: InputOptions {
            retry: new.retry,
            timeout_ms: new.timeout_ms,
            parent_id,
            provider: new.provider.clone(),
            model: new.model.clone(),
            workdir: new.workdir.clone(),
            budget: new.budget,
            budget_trees,
            accept: new.accept.clone(),
            continues: None,
            metadata: new.metadata.clone(),
            labels: new.labels.clone(),
        },
        key: new.idempotency_key.clone(),
        long,
    }
}
