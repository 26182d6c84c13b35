//! The SQLite database as a [`Backend`]: one connection that writes, its transaction, its write-ahead log.

mod changes;
mod input;

use crate::backend::{Backend, Changes, LoadedState, Result, StoreFault};
use crate::checkpoint::Checkpointer;
use crate::error::OpenError;
use crate::foreign;
use crate::generation::{self, FilesFound, Generation};
use crate::idle::IDLE_LANES;
use crate::lock::{self, Lock};
use crate::notify::{StoredNotice, TargetRow};
use crate::open;
use crate::options::StoreOptions;
use crate::plans::{PlanRun, RunStep, StepId};
use crate::query::rows::{self, Texts};
use crate::row::{TaskInput, TaskRow};
use crate::rules::budget::{Amount, BudgetAccount};
use crate::schedules::StoredSchedule;
use crate::sql::access::{SelectCredentials, SelectWebSessions};
use crate::sql::approval::{InsertApproval, Permission};
use crate::sql::attempt::{AttemptEnd, SelectAttemptEnd, SelectNotAccepted};
use crate::sql::batch::{SelectBatchPart, StoredPart};
use crate::sql::children_wait::{ChildrenWait, SelectChildrenWait};
use crate::sql::cold::{SelectKey, SelectKeys, SelectOutputKept};
use crate::sql::counter::{
    LaneRow, PutCounter, SelectCounters, SelectIdleSums, SelectLaneNumbers, SelectLanes,
    SelectLiveLanes, SelectMinutes, SelectNewestMinutes,
};
use crate::sql::long_text::SelectUnused;
use crate::sql::notify::{SelectNotices, SelectTargets};
use crate::sql::people::SelectPaused;
use crate::sql::plan::{ItemsOfTask, SelectItemsOfTask, SelectPlanRun, SelectPlanStep};
use crate::sql::records::{
    IdQuery, LaneQuery, NumberQuery, PermissionQuery, ScheduleQuery, TaskQuery, TextQuery, Write,
};
use crate::sql::sets::{FinishedTask, SelectFinished, SelectNeeded};
use crate::sql::task::{SelectLastId, SelectTask, SelectTasks};
use crate::sql::usage::{
    SelectAccount, SelectDay, SelectOfTasks, SelectReservations, SelectShared, SelectUsed,
};
use crate::sql::work::{DependencyStates, SelectDependencyStates, SelectWork};
use crate::sql::{self, tx};
use crate::wal;
use changes::{insert_input, insert_task, update_task, write_lane};
use diesel::connection::SimpleConnection;
use diesel::result::Error;
use diesel::{QueryResult, SqliteConnection};
use input::read_input;
use kirosu_protocol::{EndedChild, Fence, NotAccepted, PermissionId, TaskId};
use serde::Serialize;

/// Batches between two checks of the log's size.
const WAL_CHECK: u32 = 64;

/// The one writer of a database file.
pub(crate) struct SqliteBackend {
    // Dropped before the connection: its thread must end before the connection closes.
    checkpointer: Checkpointer,
    pub(crate) conn: SqliteConnection,
    options: StoreOptions,
    generation: Generation,
    /// The state of the file at the start, if its disk was full then: the file is not open for writing yet.
    unopened: Option<FilesFound>,
    /// Whether a write transaction is open.
    in_tx: bool,
    /// Whether a COMMIT began and did not succeed: its frames may be in the log.
    committing: bool,
    /// Rows written since the last `maintain`.
    rows: usize,
    /// Batches since the start, to check the log's size now and then.
    batches: u32,
    // Dropped after the connection: the connection closes before the lock is released.
    _lock: Lock,
}

impl From<Error> for StoreFault {
    fn from(error: Error) -> StoreFault {
        // diesel does not pass SQLite's result code on, only its message.
        const OF_THE_DISK: [&str; 5] = [
            "full",
            "disk i/o",
            "readonly",
            "malformed",
            "unable to open",
        ];
        let message = error.to_string();
        let lower = message.to_lowercase();
        let is_of_the_disk = OF_THE_DISK.iter().any(|text| lower.contains(text));
        StoreFault::new(message, is_of_the_disk)
    }
}

impl SqliteBackend {
    /// Locks the file and brings its schema up to date. The time does not depend on the number of tasks.
    ///
    /// # Errors
    /// Another process has the file, it is not a store or from a newer version, its log belongs to another file, or it
    /// cannot be read. A full disk is not an error: the backend is read-only then, until a `reopen` succeeds.
    pub fn open(options: &StoreOptions) -> Result<SqliteBackend, OpenError> {
        let options = StoreOptions {
            path: foreign::real_path(&options.path),
            ..options.clone()
        };
        foreign::check(&options.path)?;
        open::make_directory(&options.path)?;
        let lock = lock::take(&options.path)?;
        let found = generation::examine(&options.path)?;
        open::make_file(&options.path)?;
        let mut unopened = None;
        let (conn, generation) = match open::writer(&options, &found) {
            Err(error) if error.is_of_a_full_disk() => {
                let opened = open::without_writing(&options, &found);
                let Ok(opened) = opened else {
                    return Err(error);
                };
                tracing::error!(%error, "the disk of the store is full; reads work, every change is refused until there is room");
                unopened = Some(found);
                opened
            }
            opened => opened?,
        };
        Ok(SqliteBackend {
            checkpointer: Checkpointer::start(&options.path),
            conn,
            options,
            generation,
            unopened,
            in_tx: false,
            committing: false,
            rows: 0,
            batches: 0,
            _lock: lock,
        })
    }

    fn begin(&mut self) -> QueryResult<()> {
        if !self.in_tx {
            sql::run(&mut self.conn, tx::Begin {})?;
            self.in_tx = true;
        }
        Ok(())
    }

    fn write_tasks(&mut self, changes: &Changes<'_>) -> QueryResult<()> {
        for change in &changes.tasks {
            match (change.saved, change.input) {
                (Some(saved), _) => update_task(&mut self.conn, change.row, saved)?,
                (None, Some(input)) => {
                    insert_task(&mut self.conn, change.row)?;
                    insert_input(&mut self.conn, change.row.id, input)?;
                }
                (None, None) => return Err(Error::NotFound),
            }
        }
        Ok(())
    }

    fn load_lanes(&mut self, loaded: &mut LoadedState) -> QueryResult<()> {
        let c = &mut self.conn;
        let numbers: Option<(i64, i64)> = sql::first(c, SelectLaneNumbers {})?;
        let (count, last_lane) = numbers.unwrap_or((0, 0));
        loaded.last_lane = last_lane;
        if count <= IDLE_LANES as i64 {
            loaded.lanes = sql::all(c, SelectLanes {})?;
        } else {
            loaded.idle = sql::first(c, SelectIdleSums {})?.unwrap_or_default();
            loaded.lanes = sql::all(c, SelectLiveLanes {})?;
        }
        Ok(())
    }

    /// Bounds the log: SQLite starts it anew only after a checkpoint that copied all of it and left no reader behind,
    /// which may never happen by chance under a constant load.
    fn bound_log(&mut self) {
        self.batches = self.batches.wrapping_add(1);
        if !self.batches.is_multiple_of(WAL_CHECK)
            || self.log_bytes() <= self.options.wal_limit_bytes
            || self.checkpointer.is_at_work()
        {
            return;
        }
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "the write-ahead log could not be truncated; trying again after a later batch");
        }
    }
}

/// A JSON array for `json_each`, the one way to bind a list to a statement.
fn json<T: Serialize + ?Sized>(list: &T) -> QueryResult<String> {
    serde_json::to_string(list).map_err(|error| Error::SerializationError(error.into()))
}

impl Backend for SqliteBackend {
    fn load(&mut self, since_minute: i64) -> Result<LoadedState> {
        let mut loaded = LoadedState::default();
        self.load_lanes(&mut loaded)?;
        let c = &mut self.conn;
        let exists = |found: Option<i64>| found == Some(1);
        Ok(LoadedState {
            paused: sql::all(c, SelectPaused {})?,
            counters: sql::all(c, SelectCounters {})?,
            minutes: sql::all(c, SelectMinutes { from: since_minute })?,
            newest_minutes: sql::all(c, SelectNewestMinutes {})?,
            last_id: sql::first(c, SelectLastId {})?.unwrap_or(0),
            reservations: sql::all(c, SelectReservations {})?,
            shared_scopes: sql::all(c, SelectShared {})?,
            has_task_budgets: exists(sql::first(c, SelectOfTasks {})?),
            has_usage: exists(sql::first(c, SelectUsed {})?),
            works: sql::all(c, SelectWork {})?,
            unused_texts: sql::all(c, SelectUnused {})?,
            credentials: sql::all(c, SelectCredentials {})?,
            web_sessions: sql::all(c, SelectWebSessions {})?,
            ..loaded
        })
    }

    fn rows(&mut self, ids: &[TaskId]) -> Result<Vec<TaskRow>> {
        Ok(match ids {
            // One row by its key needs no list.
            [id] => sql::all(&mut self.conn, SelectTask { id: *id })?,
            ids => sql::all(&mut self.conn, SelectTasks { ids: &json(ids)? })?,
        })
    }

    fn children_wait(&mut self, task_id: TaskId) -> Result<Option<ChildrenWait>> {
        Ok(sql::first(&mut self.conn, SelectChildrenWait { task_id })?)
    }

    fn ended_children(&mut self, ids: &[TaskId], most: usize) -> Result<Vec<EndedChild>> {
        let mut children = Vec::with_capacity(ids.len());
        let texts = Texts::Preview(most);
        rows::visit(&mut self.conn, ids, texts, u64::MAX >> 1, |task| {
            children.push(EndedChild {
                task_id: task.task_id,
                status: task.status,
                result: task.result,
                error: task.error,
            });
            true
        })?;
        Ok(children)
    }

    fn input(&mut self, id: TaskId) -> Result<Option<TaskInput>> {
        Ok(read_input(&mut self.conn, id)?)
    }

    fn keys(&mut self, keys: &[&str]) -> Result<Vec<(String, TaskId, Option<i64>)>> {
        Ok(match keys {
            [key] => sql::all(&mut self.conn, SelectKey { key })?,
            keys => {
                let keys = json(keys)?;
                sql::all(&mut self.conn, SelectKeys { keys: &keys })?
            }
        })
    }

    fn batch_part(&mut self) -> Result<Option<StoredPart>> {
        Ok(sql::first(&mut self.conn, SelectBatchPart {})?)
    }

    fn lane(&mut self, query: LaneQuery<'_>) -> Result<Option<LaneRow>> {
        Ok(query.run(&mut self.conn)?)
    }

    fn tasks(&mut self, query: TaskQuery<'_>) -> Result<Vec<TaskRow>> {
        Ok(query.run(&mut self.conn)?)
    }

    fn ids(&mut self, query: IdQuery<'_>) -> Result<Vec<TaskId>> {
        Ok(query.run(&mut self.conn)?)
    }

    fn number(&mut self, query: NumberQuery<'_>) -> Result<Option<i64>> {
        Ok(query.run(&mut self.conn)?)
    }

    fn stored_output(&mut self, task_id: TaskId, fence: Fence) -> Result<(i64, i64)> {
        let found = sql::first(&mut self.conn, SelectOutputKept { task_id, fence })?;
        Ok(found.unwrap_or((0, 0)))
    }

    fn dependents(&mut self, id: TaskId, limit: i64) -> Result<(i64, i64)> {
        let found = sql::first(&mut self.conn, SelectNeeded { id, limit })?;
        Ok(found.unwrap_or((0, 0)))
    }

    fn text(&mut self, query: TextQuery) -> Result<Option<String>> {
        Ok(query.run(&mut self.conn)?)
    }

    fn permissions(&mut self, query: PermissionQuery<'_>) -> Result<Vec<Permission>> {
        Ok(query.run(&mut self.conn)?)
    }

    fn attempt_end(&mut self, query: SelectAttemptEnd) -> Result<Option<AttemptEnd>> {
        Ok(sql::first(&mut self.conn, query)?)
    }

    fn not_accepted(&mut self, task_id: TaskId) -> Result<Option<NotAccepted>> {
        Ok(sql::first(&mut self.conn, SelectNotAccepted { task_id })?)
    }

    fn dependencies(&mut self, task_id: TaskId) -> Result<DependencyStates> {
        let found = sql::first(&mut self.conn, SelectDependencyStates { task_id })?;
        Ok(found.unwrap_or_default())
    }

    fn finished(&mut self, query: SelectFinished) -> Result<Vec<FinishedTask>> {
        Ok(sql::all(&mut self.conn, query)?)
    }

    fn account(&mut self, scope: &str) -> Result<Option<BudgetAccount>> {
        let found = sql::first(&mut self.conn, SelectAccount { scope })?;
        Ok(found.map(|(_, account): (String, BudgetAccount)| account))
    }

    fn usage_of_day(&mut self, query: SelectDay<'_>) -> Result<Amount> {
        Ok(sql::first(&mut self.conn, query)?.unwrap_or_default())
    }

    fn plan_run(&mut self, task_id: TaskId) -> Result<Option<PlanRun>> {
        Ok(sql::first(&mut self.conn, SelectPlanRun { task_id })?)
    }

    fn plan_step(&mut self, id: StepId) -> Result<Option<RunStep>> {
        Ok(sql::first(&mut self.conn, SelectPlanStep { id })?)
    }

    fn items_of_task(&mut self, task_id: TaskId) -> Result<Option<ItemsOfTask>> {
        Ok(sql::first(&mut self.conn, SelectItemsOfTask { task_id })?)
    }

    fn notify_targets(&mut self) -> Result<Vec<TargetRow>> {
        Ok(sql::all(&mut self.conn, SelectTargets {})?)
    }

    fn notices(&mut self, query: SelectNotices) -> Result<Vec<StoredNotice>> {
        Ok(sql::all(&mut self.conn, query)?)
    }

    fn schedule(&mut self, query: ScheduleQuery<'_>) -> Result<Option<StoredSchedule>> {
        Ok(query.run(&mut self.conn)?)
    }

    fn write(&mut self, record: Write<'_>) -> Result<usize> {
        self.begin()?;
        let rows = record.run(&mut self.conn)?;
        self.rows += rows;
        Ok(rows)
    }

    fn insert_permission(&mut self, record: InsertApproval<'_>) -> Result<PermissionId> {
        self.begin()?;
        let id = sql::first(&mut self.conn, record)?;
        Ok(id.ok_or(Error::NotFound)?)
    }

    fn apply(&mut self, changes: &Changes<'_>) -> Result<()> {
        self.begin()?;
        self.rows += changes.tasks.len();
        self.write_tasks(changes)?;
        for lane in &changes.lanes {
            write_lane(&mut self.conn, lane)?;
        }
        for (name, value) in changes.counters.iter().copied() {
            sql::run(&mut self.conn, PutCounter { name, value })?;
        }
        Ok(())
    }

    fn commit(&mut self, changes: &Changes<'_>) -> Result<()> {
        if !changes.is_empty() {
            self.apply(changes)?;
        }
        if !self.in_tx {
            return Ok(());
        }
        // Before the commit, and so before any answer: a client never learns an id that the record does not cover.
        self.generation
            .give_out(&self.options.path, changes.last_id);
        self.committing = true;
        sql::run(&mut self.conn, tx::Commit {})?;
        self.committing = false;
        self.in_tx = false;
        Ok(())
    }

    fn reopen(&mut self, now_ms: i64) -> Result<(), OpenError> {
        if self.in_tx {
            // The failure may have ended the transaction already.
            let _ = sql::run(&mut self.conn, tx::Rollback {});
            self.in_tx = false;
        }
        match &self.unopened {
            Some(found) => {
                let options = StoreOptions {
                    now_ms,
                    ..self.options.clone()
                };
                (self.conn, self.generation) = open::writer(&options, found)?;
            }
            None => self.conn = open::writer_again(&self.options)?,
        }
        self.unopened = None;
        self.committing = false;
        Ok(())
    }

    fn is_commit_in_doubt(&self) -> bool {
        self.committing
    }

    /// Writes a small commit over the frames of the failed one. The checksum of each frame goes on from the one before,
    /// so that everything behind the new commit is void.
    fn void_failed_commit(&mut self) -> Result<()> {
        Ok(open::write_first_page(&mut self.conn)?)
    }

    fn is_read_only(&self) -> bool {
        self.unopened.is_some()
    }

    fn fence_base(&self) -> Fence {
        self.generation.fence_base
    }

    fn maintain(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        self.checkpointer.committed(&mut self.conn, rows);
        self.bound_log();
    }

    fn checkpoint(&mut self) -> Result<()> {
        // SQLite refuses a second checkpoint at once, whatever its busy timeout is.
        let _rest = self.checkpointer.rest();
        Ok(self.conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    fn log_bytes(&self) -> u64 {
        wal::bytes(&self.options.path)
    }

    fn shrink(&mut self, pages: u32, spare: u32) -> Result<bool> {
        let free: Option<i64> = sql::first(&mut self.conn, tx::FreePages {})?;
        let surplus = free.unwrap_or(0) - i64::from(spare);
        if surplus <= 0 {
            return Ok(false);
        }
        let pages = surplus.min(i64::from(pages));
        self.conn
            .batch_execute(&format!("PRAGMA incremental_vacuum({pages})"))?;
        Ok(surplus > pages)
    }
}
