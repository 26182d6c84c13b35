//! `enqueue` and `enqueue_batch`: add tasks.

use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::lanes::Lane;
use crate::outcome::EnqueuedTask;
use crate::row::{Flags, InputOptions, TaskInput, TaskRow};
use crate::rules::key;
use crate::rules::transition::{self, waiting_state};
use crate::sql::cold::{InsertChild, InsertDependency, InsertKey, InsertLabel, PutNote};
use kirosu_protocol::task::TYPE_HUMAN;
use kirosu_protocol::{Error, NewTask, OnLost, Status, TaskId};
use std::collections::{HashMap, HashSet};

/// Attempts of a task with a retry policy but without `max_attempts`.
const DEFAULT_MAX_ATTEMPTS: u32 = 3;

impl Core {
    /// Adds a task, or finds it by its idempotency key.
    pub(crate) fn enqueue(&mut self, new: &NewTask) -> CommandResult<EnqueuedTask> {
        match self.check(std::slice::from_ref(new))?.pop().flatten() {
            Some(found) => Ok(found),
            None => Ok(self.make(new)?),
        }
    }

    /// Adds all tasks or none. A task that exists already (by its key) counts as added.
    pub(crate) fn enqueue_batch(&mut self, batch: &[NewTask]) -> CommandResult<Vec<EnqueuedTask>> {
        let found = self.check(batch)?;
        let mut made = Vec::with_capacity(batch.len());
        for (new, found) in batch.iter().zip(found) {
            made.push(match found {
                Some(found) => found,
                // An earlier task of the same batch may have bound the key.
                None => match self.find_by_key(new)? {
                    Some(found) => found,
                    None => self.make(new)?,
                },
            });
        }
        Ok(made)
    }

    /// The task that is bound to a request's key. Refuses a key that is bound to a request with other parameters.
    fn find_by_key(&mut self, new: &NewTask) -> CommandResult<Option<EnqueuedTask>> {
        let Some(key) = &new.idempotency_key else {
            return Ok(None);
        };
        let found = match self.tasks.key(key) {
            Some(found) => found,
            None => self
                .db
                .keys(&[key])?
                .pop()
                .map(|(_, task, body)| (task, body)),
        };
        let Some((task_id, body)) = found else {
            return Ok(None);
        };
        let row = self.known(task_id)?;
        if body.is_some_and(|body| body != key::body(new)) {
            return Err(key::other_body(key, row).into());
        }
        Ok(Some(EnqueuedTask {
            task_id,
            existed: true,
            status: row.state,
        }))
    }

    /// Makes every check that can refuse the command, before anything changes. Returns the tasks that exist already.
    fn check(&mut self, batch: &[NewTask]) -> CommandResult<Vec<Option<EnqueuedTask>>> {
        let mut new_lanes = HashSet::new();
        let mut keys: HashMap<&str, (usize, i64)> = HashMap::new();
        let mut all = Vec::with_capacity(batch.len());
        for (index, new) in batch.iter().enumerate() {
            let found = self.find_by_key(new)?;
            let exists = found.is_some();
            all.push(found);
            if exists {
                continue;
            }
            if let Some(key) = new.idempotency_key.as_deref().filter(|_| batch.len() > 1) {
                let body = key::body(new);
                let (first, before) = *keys.entry(key).or_insert((index, body));
                if before != body {
                    return Err(key::two_bodies(key, first, index).into());
                }
            }
            let lane = self.find_lane(&new.queue, &new.task_type)?;
            let lane = lane.and_then(|lane| self.lanes.get(lane));
            if !lane.is_some_and(Lane::is_live) {
                new_lanes.insert((&new.queue, &new.task_type));
            }
            for dependency in &new.depends_on {
                if self.row(*dependency)?.is_none() {
                    return Err(key::unknown_dependency(*dependency).into());
                }
            }
        }
        let limit = self.options.lane_limit;
        if !new_lanes.is_empty() && self.lanes.live() + new_lanes.len() > limit {
            let message = format!(
                "too many different pairs of queue and type with unfinished tasks: the limit is {limit}; put what varies into `metadata`"
            );
            return Err(Error::invalid_params(message).into());
        }
        Ok(all)
    }

    fn make(&mut self, new: &NewTask) -> Result<EnqueuedTask> {
        #[cfg(test)]
        crate::store::tests::failpoint(&new.prompt);
        let task_id = self.tasks.new_id();
        if let Some(key) = &new.idempotency_key {
            let body = key::body(new);
            self.write(InsertKey { key, task_id, body })?;
            self.tasks.bind_key(key, (task_id, Some(body)));
        }
        if let Some(parent_id) = new.parent_id {
            self.write(InsertChild { parent_id, task_id })?;
        }
        for label in &new.labels {
            self.write(InsertLabel { label, task_id })?;
        }
        if let Some(budget) = &new.budget {
            self.open_budgets(task_id, budget)?;
        }
        let budget_trees = self.trees_of(task_id, new.parent_id, new.budget.as_ref())?;
        let (blocked_by, hopeless) = self.depend(task_id, &new.depends_on)?;
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
            })?;
        }
        let status = row.state;
        self.add(row, input_of(new, budget_trees));
        self.report(
            task_id,
            if hopeless.is_some() {
                "failed"
            } else {
                "enqueued"
            },
        );
        Ok(EnqueuedTask {
            task_id,
            existed: false,
            status,
        })
    }

    /// Records the dependencies of a new task. Returns how many are not done, and the reason why the task can never
    /// run, if there is one.
    fn depend(&mut self, task_id: TaskId, depends_on: &[TaskId]) -> Result<(u32, Option<String>)> {
        let (mut blocked_by, mut hopeless) = (0, None);
        let mut depends_on = depends_on.to_vec();
        depends_on.sort_unstable();
        depends_on.dedup();
        for depends_on in depends_on {
            let Some(state) = self.row(depends_on)?.map(|row| row.state) else {
                continue;
            };
            self.write(InsertDependency {
                depends_on,
                task_id,
            })?;
            if state == Status::Done {
                continue;
            }
            blocked_by += 1;
            self.change(depends_on, |row| row.flags.set(Flags::HAS_DEPENDENTS));
            if state.is_final() {
                hopeless = Some(super::finish::dependency_ended(depends_on, state));
            }
        }
        Ok((blocked_by, hopeless))
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
    match new.on_lost {
        OnLost::Retry => {}
        OnLost::Fail => flags.set(Flags::LOST_FAILS),
        OnLost::Ask => flags.set(Flags::LOST_ASKS),
    }
    flags
}

fn input_of(new: &NewTask, budget_trees: Vec<TaskId>) -> TaskInput {
    TaskInput {
        prompt: new.prompt.clone(),
        system_prompt: new.system_prompt.clone(),
        options: InputOptions {
            retry: new.retry,
            timeout_ms: new.timeout_ms,
            parent_id: new.parent_id,
            provider: new.provider.clone(),
            model: new.model.clone(),
            workdir: new.workdir.clone(),
            budget: new.budget,
            budget_trees,
            accept: new.accept.clone(),
            metadata: new.metadata.clone(),
            labels: new.labels.clone(),
        },
        key: new.idempotency_key.clone(),
    }
}
