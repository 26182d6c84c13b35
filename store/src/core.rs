//! Everything the writer has: the connection, the caches over it, and the ways to change a task.
//!
//! [`Core::change`] is the one door for a change of a task's row: it keeps the lane's counters, the ready heads and the
//! deadlines in step. Nothing here is ahead of the file when an answer leaves: after a failure the whole value is thrown
//! away and loaded anew.

use crate::command::ParkId;
use crate::command::holder::KeptOutput;
use crate::command::ledger::Ledger;
use crate::command::shift::Shifts;
use crate::counters::Counters;
use crate::ends::Ends;
use crate::generation::Generation;
use crate::heads::Place;
use crate::idle;
use crate::lanes::Lanes;
use crate::options::StoreOptions;
use crate::parked::{Parked, Waiter};
use crate::row::{Input, InputOptions, LaneId, TaskRow};
use crate::rows::{Inputs, Rows};
use crate::rules::ack::{lost_task, stale_lease};
use crate::sql;
use crate::sql::attempt::InsertAttempt;
use crate::sql::counter::SelectNewestMinutes;
use crate::task_stats::{Step, TaskStats};
use crate::work::Works;
use diesel::{QueryResult, SqliteConnection};
use kirosu_protocol::{Budget, Error, ErrorCode, EventKind, Fence, Status, Task, TaskId};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Why a command has no answer of its own.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is refused and has changed nothing.
    Refused(Error),
    /// The file failed: the whole batch is undone.
    Fault(diesel::result::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Refused(error)
    }
}

impl From<diesel::result::Error> for Stop {
    fn from(error: diesel::result::Error) -> Stop {
        Stop::Fault(error)
    }
}

/// A command's own answer, or why there is none.
pub(crate) type Reply<T> = Result<T, Stop>;

/// The next times at which leases expire, scheduled tasks are due, tool questions are denied: never late, maybe early.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Due {
    pub lease: Option<i64>,
    pub run: Option<i64>,
    pub question: Option<i64>,
}

fn earliest(known: &mut Option<i64>, at: Option<i64>) {
    if let Some(at) = at {
        *known = Some(known.map_or(at, |known| known.min(at)));
    }
}

/// See the module.
pub(crate) struct Core {
    pub conn: SqliteConnection,
    pub options: Arc<StoreOptions>,
    pub rows: Rows,
    pub inputs: Inputs,
    pub lanes: Lanes,
    pub counters: Counters,
    /// Budgets and what is reserved of them.
    pub ledger: Ledger,
    pub parked: Parked,
    /// Since when fences are higher, and which ids are noted as given out.
    pub generation: Generation,
    /// What is measured; the present batch's part is undone with it.
    pub task_stats: TaskStats,
    pub due: Due,
    /// Bytes of output per live attempt.
    pub outputs: HashMap<(TaskId, Fence), KeptOutput>,
    /// The id the next task gets.
    pub next_id: TaskId,
    /// Lanes that may have no task any more.
    pub emptied: Vec<LaneId>,
    /// Where retention looks.
    pub ends: Ends,
    /// The time of the present batch, Unix milliseconds.
    pub now: i64,
    /// Whether a write transaction is open.
    pub in_tx: bool,
    /// Whether a COMMIT was begun and has not come back well: its frames may stand in the log.
    pub committing: bool,
    /// What the present batch changed.
    pub changes: Vec<EventKind>,
    /// Parked requests that the present batch answers.
    pub woken: Vec<(Waiter, Vec<Task>)>,
    /// Requests that the present batch parked.
    pub parked_now: Vec<ParkId>,
    /// Whether a task became ready since parked requests were last looked at.
    pub has_ready_news: bool,
    /// The lanes in which tasks became ready since then; of use only while requests are parked.
    pub ready_lanes: BTreeSet<LaneId>,
    /// Tasks that the present batch may still hand to requests that wait.
    pub wake_left: usize,
    /// Deadlines of leases that are to be moved, as the clock was set.
    pub shifts: Shifts,
    /// What goes on in steps.
    pub works: Works,
    /// The tasks written by the present batch.
    pub written: Vec<TaskId>,
}

impl Core {
    /// Reads what is kept in memory: the small tables and the ends of indexes, never the tasks.
    pub fn load(
        mut conn: SqliteConnection,
        options: Arc<StoreOptions>,
        generation: Generation,
    ) -> QueryResult<Core> {
        let c = &mut conn;
        let lanes = idle::load_lanes(c)?;
        let from = Counters::first_minute(options.now_ms);
        let mut counters = Counters::load(
            sql::all(c, sql::counter::SelectCounters {})?,
            sql::all(c, sql::counter::SelectMinutes { from })?,
        );
        for (minute, done) in sql::all::<(i64, i64), _>(c, SelectNewestMinutes {})? {
            counters.done_in(minute, done);
        }
        let last_id = sql::first(c, sql::task::SelectLastId {})?
            .unwrap_or(0)
            .max(counters.last_id);
        let ready = lanes.iter().filter(|lane| lane.is_ready());
        let ready_lanes = ready.map(|lane| lane.id).collect();
        let ledger = Ledger::load(c)?;
        let works = Works::load(c)?;
        let due = Due {
            lease: sql::first(c, sql::sets::SelectNextExpiry {})?,
            run: sql::first(c, sql::sets::SelectNextDue {})?,
            question: sql::first(c, sql::approval::SelectNextDeadline {})?,
        };
        Ok(Core {
            conn,
            rows: Rows::default(),
            inputs: Inputs::default(),
            lanes,
            counters,
            ledger,
            parked: Parked::default(),
            generation,
            task_stats: TaskStats::default(),
            due,
            outputs: HashMap::new(),
            next_id: last_id + 1,
            emptied: Vec::new(),
            ends: Ends::new(last_id),
            now: options.now_ms,
            in_tx: false,
            committing: false,
            changes: Vec::new(),
            woken: Vec::new(),
            parked_now: Vec::new(),
            has_ready_news: true,
            ready_lanes,
            wake_left: 0,
            shifts: Shifts::default(),
            works,
            written: Vec::new(),
            options,
        })
    }

    /// Opens the batch's write transaction, if it is not open.
    pub fn begin(&mut self) -> QueryResult<()> {
        if !self.in_tx {
            sql::run(&mut self.conn, sql::tx::Begin {})?;
            self.in_tx = true;
        }
        Ok(())
    }

    /// A write beside the hot rows.
    pub fn write<Q>(&mut self, statement: Q) -> QueryResult<usize>
    where
        Q: diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite>
            + diesel::query_builder::QueryId,
    {
        self.begin()?;
        sql::run(&mut self.conn, statement)
    }

    /// A task's hot row.
    pub fn row(&mut self, id: TaskId) -> QueryResult<Option<&TaskRow>> {
        if self.rows.get(id).is_none()
            && let Some(row) =
                sql::first::<TaskRow, _>(&mut self.conn, sql::task::SelectTask { id })?
        {
            self.lane_here(row.lane)?;
            self.rows.keep(row);
        }
        Ok(self.rows.get(id))
    }

    /// A task's hot row, or the refusal `unknown_task`.
    pub fn known(&mut self, id: TaskId) -> Reply<&TaskRow> {
        match self.row(id)? {
            Some(row) => Ok(row),
            None => Err(unknown_task(id).into()),
        }
    }

    /// A task's hot row for whoever says that they hold it. A task that the store has lost with a part of its history may
    /// still have a holder: `stale_lease`.
    pub fn leasable(&mut self, verb: &str, id: TaskId) -> Reply<&TaskRow> {
        if self.row(id)?.is_none() {
            let skipped: Option<i64> = sql::first(
                &mut self.conn,
                sql::generation::SelectSkipped { id, same: id },
            )?;
            if skipped == Some(1) {
                return Err(lost_task(verb, id).into());
            }
        }
        self.known(id)
    }

    /// The hot row of a task whose live lease has this fence, or the refusal.
    pub fn held(&mut self, verb: &str, id: TaskId, fence: Fence) -> Reply<&TaskRow> {
        let row = self.leasable(verb, id)?;
        if row.state == Status::Leased && row.fence == fence {
            Ok(row)
        } else {
            Err(stale_lease(verb, row, Some(fence)).into())
        }
    }

    /// Adds a new task.
    pub fn add(&mut self, row: TaskRow, input: Input) {
        self.lanes.count(row.lane, row.state, 1);
        self.task_stats.note(Step::Enqueued { lane: row.lane });
        if row.state == Status::Queued {
            self.became_ready(&row);
        } else if row.state.is_final() {
            self.ends.ended(row.id, self.now);
        }
        earliest(
            &mut self.due.run,
            row.run_at.filter(|_| row.state == Status::Scheduled),
        );
        self.inputs.add(row.id, input);
        let (id, created_at) = (row.id, row.created_at);
        self.rows.add(row);
        self.note_change(id, Status::Queued, created_at);
    }

    fn became_ready(&mut self, row: &TaskRow) {
        if let Some(lane) = self.lanes.get_mut(row.lane)
            && !lane.is_human()
        {
            lane.heads.insert(Place::of(row.priority, row.id));
            self.note_ready(row.lane);
        }
    }

    fn note_ready(&mut self, lane: LaneId) {
        self.has_ready_news = true;
        if self.parked.len() > 0 {
            self.ready_lanes.insert(lane);
        }
    }

    /// Tasks of any lane may have become ready.
    pub fn note_all_ready(&mut self) {
        self.has_ready_news = true;
        if self.parked.len() > 0 {
            let ready = self.lanes.iter().filter(|lane| lane.is_ready());
            self.ready_lanes.extend(ready.map(|lane| lane.id));
        }
    }

    /// Changes a row that is in memory (it was just looked at), and all that hangs on its state.
    pub fn change(&mut self, id: TaskId, step: impl FnOnce(&mut TaskRow)) {
        let Some(row) = self.rows.change(id) else {
            return;
        };
        let (before, since, until) = (row.state, row.updated_at, row.lease_until);
        step(row);
        if row.lease_until != until {
            self.shifts.forget(id);
        }
        let (after, lane, fence) = (row.state, row.lane, row.fence);
        let place = Place::of(row.priority, row.id);
        earliest(
            &mut self.due.run,
            row.run_at.filter(|_| after == Status::Scheduled),
        );
        earliest(
            &mut self.due.lease,
            row.lease_until.filter(|_| after == Status::Leased),
        );
        if before == after {
            return;
        }
        self.lanes.count(lane, before, -1);
        self.lanes.count(lane, after, 1);
        if after.is_final() {
            self.ends.ended(id, self.now);
        }
        self.note_change(id, before, since);
        if before == Status::Leased {
            self.outputs.remove(&(id, fence));
        }
        let Some(lane) = self.lanes.get_mut(lane).filter(|lane| !lane.is_human()) else {
            return;
        };
        if before == Status::Queued {
            lane.heads.remove(place);
        }
        if after == Status::Queued {
            lane.heads.insert(place);
            let lane = lane.id;
            self.note_ready(lane);
        }
    }

    /// Tells of a change of a task, as it stands now.
    pub fn tell(&mut self, id: TaskId, reason: &str) {
        self.tell_by(id, reason, None);
    }

    /// As [`tell`](Core::tell), of a change that a person (or another client than the holder) made.
    pub fn tell_by(&mut self, id: TaskId, reason: &str, by: Option<&str>) {
        let question = self.question(id);
        if let Some(row) = self.rows.get(id) {
            self.changes.push(EventKind::Task {
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

    /// A task's options, from memory or file.
    pub fn task_options(&mut self, id: TaskId) -> QueryResult<InputOptions> {
        if let Some(input) = self.inputs.get(id) {
            return Ok(input.options.clone());
        }
        let input: Option<Input> = sql::first(&mut self.conn, sql::task::SelectInput { id })?;
        Ok(input.map(|input| input.options).unwrap_or_default())
    }

    /// Writes the end of the newest attempt of a task that is in memory.
    pub fn end_attempt(&mut self, id: TaskId, end: &End<'_>) -> QueryResult<()> {
        let Some(row) = self.rows.get(id) else {
            return Ok(());
        };
        let (fence, worker, started_at, ended_at) =
            (row.fence, row.worker.clone(), row.leased_at, self.now);
        let partial = match end.says_all {
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
        })?;
        match end.usage {
            // The ack settles, by what it says.
            Some(_) => Ok(()),
            None => self.settle(id, fence, None, Budget::default()),
        }
    }

    /// Notes when a tool question is to be denied.
    pub fn due_question(&mut self, at: Option<i64>) {
        earliest(&mut self.due.question, at);
    }

    /// Unix milliseconds of the next thing for the reaper to do.
    pub fn next_deadline(&self) -> Option<i64> {
        let wakes = self.has_ready_news && self.parked.len() > 0;
        if wakes || !self.works.is_empty() || !self.shifts.is_empty() {
            return Some(self.now);
        }
        let lease = self
            .due
            .lease
            .map(|at| at + self.options.lease_grace_ms as i64);
        let others = self.due.run.into_iter().chain(self.due.question);
        lease.into_iter().chain(others).min()
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End<'a> {
    pub outcome: &'a str,
    pub result: Option<&'a str>,
    pub error: Option<&'a str>,
    pub usage: Option<&'a str>,
    /// Who ran it.
    pub provider: Option<&'a str>,
    /// Whether it says all that is known of the usage; else what the run last told of it counts.
    pub says_all: bool,
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
