//! The seam between the rules of the queue and the database that keeps it.
//!
//! [`Core`](crate::core::Core) decides in memory and reads and writes through this trait alone: it sees no connection and
//! no SQL. The records that cross the seam (`sql::*`: `SelectReady`, `InsertAttempt` ...) are plain structs. The SQLite
//! statement in the definition of each is the concern of [`SqliteBackend`](crate::sqlite::SqliteBackend); a second
//! engine reads the fields only.
//!
//! **Transaction.** The first `write`, `apply` or `insert_permission` of a batch opens a transaction; every read of the
//! same batch sees what was written before it; `commit` makes all of it durable at once. A read that depends on rows
//! which are still in memory is preceded by `apply`.
//!
//! **Failure.** After any error the batch is void: the caller calls `reopen`, throws its memory away and loads it again.

use crate::command::TextId;
use crate::credentials::Credential;
use crate::error::OpenError;
use crate::lanes::{IdleSums, Lane};
use crate::notify::{StoredNotice, TargetRow};
use crate::plans::{PlanRun, RunStep, StepId};
use crate::row::{LaneId, TaskInput, TaskRow};
use crate::rules::budget::{Amount, BudgetAccount};
use crate::schedules::StoredSchedule;
use crate::sql::approval::{InsertApproval, Permission};
use crate::sql::attempt::{AttemptEnd, SelectAttemptEnd};
use crate::sql::batch::StoredPart;
use crate::sql::children_wait::ChildrenWait;
use crate::sql::counter::LaneRow;
use crate::sql::notify::SelectNotices;
use crate::sql::plan::ItemsOfTask;
use crate::sql::records::{
    IdQuery, LaneQuery, NumberQuery, PermissionQuery, ScheduleQuery, TaskQuery, TextQuery, Write,
};
use crate::sql::sets::{FinishedTask, SelectFinished};
use crate::sql::usage::{Reservation, SelectDay};
use crate::sql::work::{DependencyStates, WorkRow};
use crate::web_sessions::WebSession;
use kirosu_protocol::{EndedChild, Fence, NotAccepted, PermissionId, Status, TaskId};
use std::any::Any;

/// A statement, a commit or a stored value failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreFault {
    message: String,
    /// Whether the disk failed, so that a second try cannot help.
    is_of_the_disk: bool,
}

impl StoreFault {
    /// A fault with the database's own message.
    pub(crate) fn new(message: String, is_of_the_disk: bool) -> StoreFault {
        StoreFault {
            message,
            is_of_the_disk,
        }
    }

    /// A stored or computed value that cannot be converted, or a row that must exist and does not.
    pub(crate) fn value(error: impl ToString) -> StoreFault {
        StoreFault::new(error.to_string(), false)
    }

    /// Whether the disk is full, read-only, damaged or gone.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        self.is_of_the_disk
    }
}

/// The result of a call through the seam.
pub(crate) type Result<T, E = StoreFault> = std::result::Result<T, E>;

/// The small tables, as read at the start.
#[derive(Debug, Default)]
pub(crate) struct LoadedState {
    /// All lanes with unfinished tasks, and the others too while they are few.
    pub lanes: Vec<LaneRow>,
    /// The sums of the lanes that `lanes` leaves out.
    pub idle: IdleSums,
    /// The highest lane id in use.
    pub last_lane: LaneId,
    /// Names of the paused queues; the empty name means all queues.
    pub paused: Vec<String>,
    /// Counters by name.
    pub counters: Vec<(String, i64)>,
    /// Tasks done per Unix minute, in the minutes that are over.
    pub minutes: Vec<(i64, i64)>,
    /// Tasks done in the newest minute of each lane, added up per minute.
    pub newest_minutes: Vec<(i64, i64)>,
    /// The highest task id in the table; ids that were given out and pruned may be higher.
    pub last_id: TaskId,
    /// Reservations of running attempts.
    pub reservations: Vec<(TaskId, Reservation)>,
    /// Scopes of the budgets of hub, pools and providers.
    pub shared_scopes: Vec<String>,
    /// Whether any task or tree has a budget.
    pub has_task_budgets: bool,
    /// Whether the usage of any task is recorded.
    pub has_usage: bool,
    /// Unfinished bulk work, the newest first.
    pub works: Vec<WorkRow>,
    /// Long texts to which no row refers.
    pub unused_texts: Vec<TextId>,
    /// All credentials.
    pub credentials: Vec<Credential>,
    /// All sessions of browsers.
    pub web_sessions: Vec<WebSession>,
}

/// A changed task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskChange<'a> {
    /// The row as it is to be stored.
    pub row: &'a TaskRow,
    /// The stored state and fence on which the change was decided; a row that has others there is a fault. `None` means
    /// that the row is new.
    pub saved: Option<(Status, Fence)>,
    /// The input of a new task.
    pub input: Option<&'a TaskInput>,
}

/// The changes of a batch that are in memory only.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    /// In the order of the first change of each task.
    pub tasks: Vec<TaskChange<'a>>,
    /// Lanes whose counters changed.
    pub lanes: Vec<&'a Lane>,
    /// Counters by name.
    pub counters: Vec<(&'static str, i64)>,
    /// The highest task id that was given out.
    pub last_id: TaskId,
}

impl Changes<'_> {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.lanes.is_empty() && self.counters.is_empty()
    }
}

/// A database for one queue, driven by one thread.
pub(crate) trait Backend: Any + Send {
    /// Reads the small tables; minutes before `since_minute` (Unix minutes) are left out. Takes the same time however
    /// many tasks there are.
    fn load(&mut self, since_minute: i64) -> Result<LoadedState>;

    /// The rows of the tasks that exist, in any order, with one query.
    fn rows(&mut self, ids: &[TaskId]) -> Result<Vec<TaskRow>>;

    /// The newest wait of a task for its children.
    fn children_wait(&mut self, id: TaskId) -> Result<Option<ChildrenWait>>;

    /// The present states of these tasks, in the order of the ids, with at most this many bytes of each result and error.
    fn ended_children(&mut self, ids: &[TaskId], most: usize) -> Result<Vec<EndedChild>>;

    /// A task's input; `None` means that there is no such task.
    fn input(&mut self, id: TaskId) -> Result<Option<TaskInput>>;

    /// The idempotency keys that exist, in any order, with one query: key, task, hash of the request.
    fn keys(&mut self, keys: &[&str]) -> Result<Vec<(String, TaskId, Option<i64>)>>;

    /// The first stored part of the oldest large batch.
    fn batch_part(&mut self) -> Result<Option<StoredPart>>;

    /// A lane by id or by name.
    fn lane(&mut self, query: LaneQuery<'_>) -> Result<Option<LaneRow>>;

    /// Rows of many tasks.
    fn tasks(&mut self, query: TaskQuery<'_>) -> Result<Vec<TaskRow>>;

    /// Ids of many tasks.
    fn ids(&mut self, query: IdQuery<'_>) -> Result<Vec<TaskId>>;

    /// One number; `None` means that no row matches.
    fn number(&mut self, query: NumberQuery<'_>) -> Result<Option<i64>>;

    /// The bytes of output that an attempt has, and the number after its last chunk.
    fn stored_output(&mut self, task_id: TaskId, fence: Fence) -> Result<(i64, i64)>;

    /// The number of tasks that depend on one, counted up to `limit`, and how many of these are unfinished.
    fn dependents(&mut self, id: TaskId, limit: i64) -> Result<(i64, i64)>;

    /// One text; `None` means that no row matches.
    fn text(&mut self, query: TextQuery) -> Result<Option<String>>;

    /// Permission requests.
    fn permissions(&mut self, query: PermissionQuery<'_>) -> Result<Vec<Permission>>;

    /// The end of an attempt; `None` means that it has not ended or does not exist.
    fn attempt_end(&mut self, query: SelectAttemptEnd) -> Result<Option<AttemptEnd>>;

    /// The newest result of a task that was not accepted.
    fn not_accepted(&mut self, task_id: TaskId) -> Result<Option<NotAccepted>>;

    /// The states of a task's dependencies, added up.
    fn dependencies(&mut self, task_id: TaskId) -> Result<DependencyStates>;

    /// Finished tasks of a range of ids, by id.
    fn finished(&mut self, query: SelectFinished) -> Result<Vec<FinishedTask>>;

    /// A budget as it was written; `None` means that the scope has none.
    fn account(&mut self, scope: &str) -> Result<Option<BudgetAccount>>;

    /// Recorded usage of one day.
    fn usage_of_day(&mut self, query: SelectDay<'_>) -> Result<Amount>;

    /// A run of a plan; `None` means that the task has none.
    fn plan_run(&mut self, task: TaskId) -> Result<Option<PlanRun>>;

    /// A step of a run.
    fn plan_step(&mut self, step: StepId) -> Result<Option<RunStep>>;

    /// The items of a task.
    fn items_of_task(&mut self, task: TaskId) -> Result<Option<ItemsOfTask>>;

    /// The targets of notifications, by name.
    fn notify_targets(&mut self) -> Result<Vec<TargetRow>>;

    /// The next events for a target of notifications.
    fn notices(&mut self, query: SelectNotices) -> Result<Vec<StoredNotice>>;

    /// A schedule; `None` means that there is none.
    fn schedule(&mut self, query: ScheduleQuery<'_>) -> Result<Option<StoredSchedule>>;

    /// Writes one record within the batch's transaction. Returns the number of rows that changed.
    fn write(&mut self, record: Write<'_>) -> Result<usize>;

    /// Adds a permission request within the batch's transaction. Returns its new id.
    fn insert_permission(&mut self, record: InsertApproval<'_>) -> Result<PermissionId>;

    /// Writes changes within the batch's transaction, so that the next reads see them.
    fn apply(&mut self, changes: &Changes<'_>) -> Result<()>;

    /// Writes changes and commits the batch. Without changes and without an open transaction it does nothing.
    fn commit(&mut self, changes: &Changes<'_>) -> Result<()>;

    /// Undoes what is not committed and connects again. `now_ms`: Unix milliseconds.
    ///
    /// # Errors
    /// The database cannot be opened; the caller may try again later.
    fn reopen(&mut self, now_ms: i64) -> Result<(), OpenError>;

    /// Whether a commit failed in such a way that a restart may find it durable. [`reopen`](Backend::reopen) resets it.
    fn is_commit_in_doubt(&self) -> bool;

    /// Makes sure that a failed commit never becomes durable.
    fn void_failed_commit(&mut self) -> Result<()>;

    /// Whether the database was opened for reading only, as its disk was full at the start.
    fn is_read_only(&self) -> bool;

    /// Every fence of a new lease is above this number.
    fn fence_base(&self) -> Fence;

    /// Maintenance after each batch. Failures are logged and tried again after later batches.
    fn maintain(&mut self);

    /// Copies the write-ahead log into the database and truncates it as far as readers allow.
    fn checkpoint(&mut self) -> Result<()>;

    /// The size of the write-ahead log in bytes.
    fn log_bytes(&self) -> u64;

    /// Returns up to `pages` unused pages to the disk and keeps `spare` of them. Returns whether more are left.
    fn shrink(&mut self, pages: u32, spare: u32) -> Result<bool>;
}
