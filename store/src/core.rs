//! The state of the queue in memory, and the one way to change a task.
//!
//! [`Core::change`] is the only function that changes the row of a task. It keeps the counters of the lane, the ready
//! heads and the deadlines in step with it. Each part of the state is a type of its own with private fields; commands
//! (`command/`) combine them. Nothing in memory is ahead of the database when an answer leaves: after a failure the
//! whole value is dropped and loaded again.

use crate::audit::Principal;
use crate::backend::{Backend, Changes, Result, StoreFault};
use crate::batch::BatchState;
use crate::command::TextId;
use crate::command::children::TreeSizes;
use crate::command::large_batch::ReservedIds;
use crate::counters::Counters;
use crate::credentials::Credentials;
use crate::deadlines::{Deadline, Deadlines};
use crate::heads::HeadPlace;
use crate::lanes::Lanes;
use crate::ledger::Ledger;
use crate::notify::Outbox;
use crate::options::StoreOptions;
use crate::outputs::Outputs;
use crate::parked::Parked;
use crate::plans::Plans;
use crate::retention::Retention;
use crate::row::{Flags, InputOptions, LaneId, TaskInput, TaskRow};
use crate::rules::ack::{foreign_lease, is_foreign_lease, lost_task, stale_lease};
use crate::sql::attempt::InsertAttempt;
use crate::sql::generation::SelectSkipped;
use crate::sql::plan::{SelectLastSource, SelectLastStep};
use crate::sql::records::{TextQuery, Write};
use crate::sql::task::SelectOptions;
use crate::task_stats::{TaskStats, TaskStep};
use crate::tasks::TaskCache;
use crate::web_sessions::WebSessions;
use crate::work::Works;
use kirosu_protocol::{Budget, Error, ErrorCode, EventKind, Fence, Status, TaskId};
use std::sync::Arc;

/// A command without an answer of its own.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The command is refused and has changed nothing.
    Refused(Error),
    /// The database failed: the whole batch is undone.
    StoreFault(StoreFault),
}

impl From<Error> for CommandError {
    fn from(error: Error) -> CommandError {
        CommandError::Refused(error)
    }
}

impl From<StoreFault> for CommandError {
    fn from(fault: StoreFault) -> CommandError {
        CommandError::StoreFault(fault)
    }
}

/// The answer of a command.
pub(crate) type CommandResult<T> = std::result::Result<T, CommandError>;

/// See the module.
pub(crate) struct Core {
    /// The party of the present command.
    pub by: Option<Arc<Principal>>,
    pub db: Box<dyn Backend>,
    pub options: Arc<StoreOptions>,
    pub tasks: TaskCache,
    pub lanes: Lanes,
    pub deadlines: Deadlines,
    pub ledger: Ledger,
    pub counters: Counters,
    pub parked: Parked,
    pub outputs: Outputs,
    pub plans: Plans,
    pub retention: Retention,
    pub works: Works,
    /// Long texts to which no row refers. The next commits delete them.
    pub unused_texts: Vec<TextId>,
    /// The ids of tasks of large batches whose dependencies are being stored.
    pub reserved: ReservedIds,
    pub task_stats: TaskStats,
    /// The numbers of tasks in the trees to which runs have added some.
    pub tree_sizes: TreeSizes,
    pub credentials: Credentials,
    pub web_sessions: WebSessions,
    pub batch: BatchState,
    pub notices: Outbox,
    /// Fences of new leases are above this number.
    pub fence_base: Fence,
}

impl Core {
    /// Reads what is kept in memory: the small tables and the next deadlines, never the tasks. `now_ms`: Unix
    /// milliseconds.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn load(db: Box<dyn Backend>, options: Arc<StoreOptions>, now_ms: i64) -> Result<Core> {
        let mut core = Core {
            by: None,
            db,
            options,
            tasks: TaskCache::new(0),
            lanes: Lanes::default(),
            deadlines: Deadlines::default(),
            ledger: Ledger::default(),
            counters: Counters::default(),
            parked: Parked::default(),
            outputs: Outputs::default(),
            plans: Plans::default(),
            retention: Retention::default(),
            works: Works::default(),
            unused_texts: Vec::new(),
            reserved: ReservedIds::default(),
            task_stats: TaskStats::default(),
            tree_sizes: TreeSizes::default(),
            credentials: Credentials::default(),
            web_sessions: WebSessions::default(),
            batch: BatchState::new(now_ms),
            notices: Outbox::default(),
            fence_base: 0,
        };
        core.reload()?;
        Ok(core)
    }

    /// Loads everything again after the database was reopened. State that is in memory only is kept.
    ///
    /// # Errors
    /// The database cannot be read; nothing has changed then.
    pub fn reload(&mut self) -> Result<()> {
        let mut loaded = self.db.load(Counters::first_minute(self.now()))?;
        let mut deadlines = Deadlines::load(&mut *self.db)?;
        deadlines.take_shifts(&mut self.deadlines);
        self.deadlines = deadlines;
        self.counters = Counters::load(&loaded);
        let last_id = loaded.last_id.max(self.counters.last_id());
        self.tasks = TaskCache::new(last_id);
        self.retention = Retention::new(last_id);
        self.ledger = Ledger::load(&mut loaded);
        self.works = Works::load(std::mem::take(&mut loaded.works));
        self.unused_texts = std::mem::take(&mut loaded.unused_texts);
        self.credentials = Credentials::new(std::mem::take(&mut loaded.credentials));
        self.web_sessions = WebSessions::new(std::mem::take(&mut loaded.web_sessions));
        self.lanes = Lanes::load(loaded);
        self.outputs = Outputs::default();
        let last_step = self.db.number(SelectLastStep {}.into())?;
        let last_source = self.db.number(SelectLastSource {}.into())?;
        self.plans = Plans::new(last_step.unwrap_or(0), last_source.unwrap_or(0));
        self.tree_sizes = TreeSizes::default();
        self.notices = Outbox::load(&mut *self.db, self.options.notify.clone())?;
        self.fence_base = self.db.fence_base();
        self.parked.reload(&self.lanes);
        Ok(())
    }

    /// Unix milliseconds of the present batch.
    pub fn now(&self) -> i64 {
        self.batch.now()
    }

    /// Writes a record within the batch's transaction. Returns the number of rows that changed.
    pub fn write<'a>(&mut self, record: impl Into<Write<'a>>) -> Result<usize> {
        self.db.write(record.into())
    }

    /// Writes the changed rows, so that queries over many rows see them.
    pub fn flush_rows(&mut self) -> Result<()> {
        if !self.tasks.is_dirty() {
            return Ok(());
        }
        self.db.apply(&Changes {
            tasks: self.tasks.changes(),
            ..Changes::default()
        })?;
        self.tasks.saved();
        Ok(())
    }

    /// Writes all changes that are in memory only, and commits the batch.
    pub fn commit(&mut self) -> Result<()> {
        self.flush_works()?;
        self.note_events()?;
        self.flush_plans()?;
        self.flush_notices()?;
        self.forget_empty_lanes()?;
        self.db.commit(&Changes {
            tasks: self.tasks.changes(),
            lanes: self.lanes.changes(),
            counters: self.counters.changes(),
            last_id: self.tasks.last_id(),
        })?;
        self.tasks.saved();
        self.reserved.retain(|_, id| self.tasks.get(*id).is_none());
        self.tasks.committed();
        self.plans.committed();
        self.lanes.saved();
        self.counters.saved();
        Ok(())
    }

    /// A task's row, from memory or the database.
    pub fn row(&mut self, id: TaskId) -> Result<Option<&TaskRow>> {
        if self.tasks.get(id).is_none() {
            self.read_rows(&[id])?;
        }
        Ok(self.tasks.get(id))
    }

    /// Reads rows, with the lanes of their tasks, into memory.
    pub fn read_rows(&mut self, ids: &[TaskId]) -> Result<()> {
        for row in self.db.rows(ids)? {
            self.read_lane(row.lane)?;
            self.tasks.cache(row);
        }
        Ok(())
    }

    /// A task's row, or the refusal `unknown_task`.
    pub fn known(&mut self, id: TaskId) -> CommandResult<&TaskRow> {
        match self.row(id)? {
            Some(row) => Ok(row),
            None => Err(unknown_task(id).into()),
        }
    }

    /// A task's row for a client that claims its lease. Refuses a task that was lost when older files were put back with
    /// `stale_lease`, as such a task may still have a holder.
    pub fn leasable(&mut self, verb: &str, id: TaskId) -> CommandResult<&TaskRow> {
        if self.row(id)?.is_none() {
            let skipped = self.db.number(SelectSkipped { id, same: id }.into())?;
            if skipped == Some(1) {
                return Err(lost_task(verb, id).into());
            }
        }
        self.known(id)
    }

    /// The key of the party of the present command, if it has the role `work`.
    pub fn work_key(&self) -> Option<Arc<str>> {
        let by = self.by.as_ref()?;
        by.is_agent_host().then(|| Arc::from(by.who.as_str()))
    }

    /// The row of a task whose live lease has this fence, or the refusal.
    pub fn held(&mut self, verb: &str, id: TaskId, fence: Fence) -> CommandResult<&TaskRow> {
        let key = self.work_key();
        let row = self.leasable(verb, id)?;
        match row.state == Status::Leased && row.fence == fence {
            false => Err(stale_lease(verb, row, Some(fence)).into()),
            true if is_foreign_lease(row, key.as_deref()) => Err(foreign_lease(verb, row).into()),
            true => Ok(row),
        }
    }

    /// A refusal because of what a task, which is in memory, is or does, with its state.
    pub fn wrong_state_of(&self, id: TaskId, message: impl Into<String>) -> CommandError {
        let status = self.tasks.get(id).map(|row| row.state);
        let data = serde_json::json!({ "task_id": id, "status": status });
        Error::new(ErrorCode::WrongState, message)
            .with_data(data)
            .into()
    }

    /// Adds a new task.
    pub fn add(&mut self, row: TaskRow, input: TaskInput) {
        self.lanes.count(row.lane, row.state, 1);
        self.task_stats.note(TaskStep::Enqueued { lane: row.lane });
        if row.state == Status::Queued {
            self.insert_head(row.lane, HeadPlace::of(row.priority, row.id));
        } else if row.state.is_final() {
            self.retention.ended(row.id, self.batch.now());
        }
        self.deadlines.add(
            Deadline::Run,
            row.run_at.filter(|_| row.state == Status::Scheduled),
        );
        let (id, created_at) = (row.id, row.created_at);
        self.tasks.add(row, input);
        let lane = self.tasks.get(id).and_then(|row| self.lanes.get(row.lane));
        if lane.is_some_and(|lane| lane.is_plan()) {
            self.plans.note_turn(id);
        }
        self.note_change(id, Status::Queued, created_at);
    }

    /// A task is ready to be leased; those for people and for the hub itself never are.
    fn insert_head(&mut self, lane: LaneId, place: HeadPlace) {
        if let Some(lane) = self.lanes.get_mut(lane).filter(|lane| lane.is_leasable()) {
            lane.heads.insert(place);
            self.parked.note_ready(lane.id);
        }
    }

    /// Changes a row that is in memory, and everything that depends on its state. Without the row it does nothing.
    pub fn change(&mut self, id: TaskId, step: impl FnOnce(&mut TaskRow)) {
        let Some(row) = self.tasks.change(id) else {
            return;
        };
        let (before, since, until) = (row.state, row.updated_at, row.lease_until);
        step(row);
        if row.lease_until != until {
            // The step has set the deadline by the new clock, so a pending shift must not move it again.
            self.deadlines.shifts().forget(id);
        }
        let (after, lane, fence, flags) = (row.state, row.lane, row.fence, row.flags);
        let place = HeadPlace::of(row.priority, row.id);
        self.deadlines.add(
            Deadline::Run,
            row.run_at.filter(|_| after == Status::Scheduled),
        );
        self.deadlines.add(
            Deadline::Lease,
            row.lease_until.filter(|_| after == Status::Leased),
        );
        if before == after {
            return;
        }
        self.lanes.count(lane, before, -1);
        self.lanes.count(lane, after, 1);
        if flags.has(Flags::IN_PLAN) {
            if before.is_final() != after.is_final() {
                self.plans.note_end(id);
            }
            if [before, after].contains(&Status::AwaitingApproval) {
                self.plans.note_held(id);
            }
        }
        if self.lanes.get(lane).is_some_and(|lane| lane.is_plan()) {
            self.plans.note_turn(id);
        }
        if after.is_final() {
            self.retention.ended(id, self.batch.now());
        }
        self.note_change(id, before, since);
        if before == Status::Leased {
            self.outputs.forget(id, fence);
        }
        if before == Status::Queued
            && let Some(lane) = self.lanes.get_mut(lane)
        {
            lane.heads.remove(place);
        }
        if after == Status::Queued {
            self.insert_head(lane, place);
        }
    }

    /// Reports the present state of a task to the event subscribers.
    pub fn report(&mut self, id: TaskId, reason: &str) {
        self.report_by(id, reason, None);
    }

    /// As [`report`](Core::report), of a change that was made by a person or a client other than the holder.
    pub fn report_by(&mut self, id: TaskId, reason: &str, by: Option<&str>) {
        let question = self.human_prompt(id);
        if let Some(row) = self.tasks.get(id) {
            self.batch.report(EventKind::Task {
                task_id: id,
                status: row.state,
                fence: row.fence,
                worker_id: row.worker.as_deref().map(str::to_owned),
                by: by.map(str::to_owned),
                reason: reason.to_owned(),
                question,
            });
        }
    }

    /// A task's options, from memory or the database; the defaults if there is no such task.
    pub fn task_options(&mut self, id: TaskId) -> Result<InputOptions> {
        if let Some(input) = self.tasks.input(id) {
            return Ok(input.options.clone());
        }
        let options = TextQuery::Options(SelectOptions { id });
        let options = self.db.text(options)?;
        InputOptions::parse(options.as_deref()).map_err(StoreFault::value)
    }

    /// Writes the end of the newest attempt of a task that is in memory. Without an ack it settles the budgets too.
    pub fn end_attempt(&mut self, id: TaskId, end: &AttemptOutcome<'_>) -> Result<()> {
        let Some(row) = self.tasks.get(id) else {
            return Ok(());
        };
        let (fence, worker, started_at, ended_at) =
            (row.fence, row.worker.clone(), row.leased_at, self.now());
        let partial = match end.is_complete {
            true => None,
            false => self.record_partial_usage(id, fence)?,
        };
        self.write(InsertAttempt {
            task_id: id,
            fence,
            outcome: end.outcome,
            worker: worker.as_deref(),
            started_at: started_at.unwrap_or(ended_at),
            ended_at,
            result: end.result,
            error: end.error,
            usage: end.usage.or(partial.as_deref()),
            provider: end.provider,
            text_id: end.text,
        })?;
        match end.usage {
            // The ack settles with the usage that it reports.
            Some(_) => Ok(()),
            None => self.settle(id, fence, None, Budget::default()),
        }
    }

    /// Unix milliseconds of the next command that the reaper must send: exact or too early, never late. `None` means
    /// that nothing waits.
    pub fn next_deadline(&self) -> Option<i64> {
        let has_work = !self.works.is_empty() || !self.unused_texts.is_empty();
        if self.parked.must_wake() || has_work || self.deadlines.has_shifts() {
            return Some(self.now());
        }
        self.deadlines.next(self.options.lease_grace_ms as i64)
    }
}

/// The end of an attempt.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AttemptOutcome<'a> {
    pub outcome: &'a str,
    pub result: Option<&'a str>,
    pub error: Option<&'a str>,
    /// The rest of result and error, if they are long.
    pub text: Option<TextId>,
    /// Usage as JSON.
    pub usage: Option<&'a str>,
    /// The provider that ran it.
    pub provider: Option<&'a str>,
    /// Whether `usage` is all that the attempt used. Otherwise the usage in its last report of progress counts.
    pub is_complete: bool,
}

/// No task has that id.
pub(crate) fn unknown_task(id: TaskId) -> Error {
    Error::new(ErrorCode::UnknownTask, format!("unknown task {id}"))
}

/// The task's state does not allow the verb.
pub(crate) fn wrong_state(verb: &str, row: &TaskRow, needed: &str) -> Error {
    Error::new(
        ErrorCode::WrongState,
        format!(
            "cannot {verb} task {}: it is {}, {needed}",
            row.id, row.state
        ),
    )
    .with_data(serde_json::json!({ "task_id": row.id, "status": row.state }))
}
