//! Connections that only read.

use crate::audit::AuditEntry;
use crate::credentials::Credential;
use crate::notify::TargetRow;
use crate::plans::{PlanRun, RunStep, StepId};
use crate::query::approvals::ApprovalPage;
use crate::query::audit::AuditQuery;
use crate::query::group::{GroupQuery, IdPage};
use crate::query::oldest::Oldest;
use crate::query::plans::{
    EarlierResult, HeldItems, NOT_DONE, NOT_ENDED, PlanItem, SourcePiece, StepTotals,
};
use crate::query::rows::{Texts, Visited};
use crate::query::waiting::WaitFacts;
use crate::query::{self, Ids, ListQuery, OutputChunk, TaskDetail, TaskPage};
use crate::schedules::ScheduleEntry;
use crate::sql::access::SelectCredentials;
use crate::sql::notify::SelectTargets;
use crate::sql::schedule::SelectSchedules;
use crate::{StoreError, open, sql};
use diesel::connection::SimpleConnection;
use diesel::{QueryResult, SqliteConnection};
use kirosu_protocol::{
    ApprovalsParams, Fence, Group, ItemState, RunState, SourceId, Status, Task, TaskId,
    UsageAnswer, UsageParams,
};
use std::path::Path;

/// A connection that only reads. Any number of them may be open, each used by one thread at a time. Every call is one
/// short read transaction and sees everything that was answered before it.
///
/// Readers are specific to SQLite: they run the queries of `query/` on a connection of their own, not through the seam
/// of the writer. A second engine needs its own.
pub struct StoreReader {
    conn: SqliteConnection,
}

impl StoreReader {
    /// Opens the file that a [`Store`](crate::Store) of this process has open.
    pub fn open(path: &Path) -> Result<StoreReader, StoreError> {
        let conn = open::reader(path).map_err(|source| StoreError::Connect {
            path: path.to_owned(),
            source,
        })?;
        Ok(StoreReader { conn })
    }

    /// A page of tasks, newest id first. A page can be shorter than `limit` although more follow (`next_before` shows
    /// it): a filter by queue or type examines a bounded number of rows per call.
    pub fn list(&mut self, query: &ListQuery) -> Result<TaskPage, StoreError> {
        self.snapshot(|conn| {
            let Ids { ids, next_before } = query::list::ids(conn, query, query::list::WINDOWS)?;
            let tasks = query::rows::by_ids(conn, &ids)?;
            Ok(TaskPage { tasks, next_before })
        })
    }

    /// The ids of a page, newest first. A filter by queue or type examines as many rows as tens of milliseconds allow;
    /// `next_before` shows where to continue.
    pub fn list_ids(&mut self, query: &ListQuery) -> Result<Ids, StoreError> {
        self.snapshot(|conn| query::list::ids(conn, query, 1))
    }

    /// Passes the existing ones of the tasks to `see`, in the given order, until `see` returns false or the texts of
    /// one have more than `room` bytes. Each task must be listed once.
    pub fn visit(
        &mut self,
        tasks: &[TaskId],
        texts: Texts,
        room: u64,
        see: impl FnMut(Task) -> bool,
    ) -> Result<Visited, StoreError> {
        self.snapshot(|conn| query::rows::visit(conn, tasks, texts, room, see))
    }

    /// The statuses of the existing ones of the tasks, unordered.
    pub fn statuses(&mut self, tasks: &[TaskId]) -> Result<Vec<(TaskId, Status)>, StoreError> {
        self.snapshot(|conn| query::statuses::of(conn, tasks))
    }

    /// The first of the tasks that is not below `above`: a child, or a child's child and so on; with `dependencies` also those on
    /// which `above` depends.
    pub fn first_outside(
        &mut self,
        tasks: &[TaskId],
        above: TaskId,
        dependencies: bool,
    ) -> Result<Option<TaskId>, StoreError> {
        self.snapshot(|conn| query::tree::first_outside(conn, tasks, above, dependencies))
    }

    /// A page of prompts and permission requests for people.
    pub fn approvals(&mut self, query: &ApprovalsParams) -> Result<ApprovalPage, StoreError> {
        self.snapshot(|conn| query::approvals::page(conn, query))
    }

    /// The details of a task; `None` for an unknown id. `output_chunks`: at most this many of the last chunks of the
    /// newest attempt.
    pub fn get(
        &mut self,
        task: TaskId,
        output_chunks: u32,
    ) -> Result<Option<TaskDetail>, StoreError> {
        self.get_attempt(task, None, output_chunks)
    }

    /// Approximate bytes of the answer of [`get_attempt`](StoreReader::get_attempt); 0 for an unknown id.
    pub fn size_of(
        &mut self,
        task: TaskId,
        attempt: Option<Fence>,
        output_chunks: u32,
    ) -> Result<u64, StoreError> {
        self.snapshot(|conn| query::get::size(conn, task, attempt, output_chunks))
    }

    /// As [`get`](StoreReader::get), with the output of the attempt with this fence.
    pub fn get_attempt(
        &mut self,
        task: TaskId,
        attempt: Option<Fence>,
        output_chunks: u32,
    ) -> Result<Option<TaskDetail>, StoreError> {
        self.snapshot(|conn| query::get::detail(conn, task, attempt, output_chunks))
    }

    /// The age of the oldest task of each queue, by state. The cost is bounded at any size: see `query/oldest.rs`.
    pub fn oldest(&mut self) -> Result<Vec<Oldest>, StoreError> {
        self.snapshot(query::oldest::oldest)
    }

    /// The existing ones of the tasks, in the given order.
    pub fn many(&mut self, tasks: &[TaskId]) -> Result<Vec<Task>, StoreError> {
        self.snapshot(|conn| query::rows::by_ids(conn, tasks))
    }

    /// A page of a group's tasks, newest first.
    pub fn group(&mut self, query: &GroupQuery) -> Result<IdPage, StoreError> {
        self.snapshot(|conn| query::group::page(conn, query))
    }

    /// The failed and cancelled tasks on which these depend, directly or not, with ids above `above`: the oldest first,
    /// at most `limit`. The last of a full page is `above` of the next.
    pub fn failed_dependencies(
        &mut self,
        of: &[TaskId],
        above: TaskId,
        limit: u32,
    ) -> Result<Vec<TaskId>, StoreError> {
        self.snapshot(|conn| query::dependencies::failed(conn, of, above, limit))
    }

    /// The number of tasks of a group per state, in the order of [`Status::ALL`](kirosu_protocol::Status::ALL).
    pub fn group_counts(&mut self, group: &Group) -> Result<[i64; 8], StoreError> {
        self.snapshot(|conn| query::group::counts(conn, group))
    }

    /// The stored facts about why these tasks wait.
    pub fn wait_facts(&mut self, tasks: &[TaskId]) -> Result<WaitFacts, StoreError> {
        self.snapshot(|conn| query::waiting::facts(conn, tasks))
    }

    /// All credentials, by name.
    pub fn credentials(&mut self) -> Result<Vec<Credential>, StoreError> {
        self.snapshot(|conn| sql::all(conn, SelectCredentials {}))
    }

    /// All schedules, by name.
    pub fn schedules(&mut self) -> Result<Vec<ScheduleEntry>, StoreError> {
        self.snapshot(|conn| sql::all(conn, SelectSchedules {}))
    }

    /// The targets of notifications, by name.
    pub fn notify_targets(&mut self) -> Result<Vec<TargetRow>, StoreError> {
        self.snapshot(|conn| sql::all(conn, SelectTargets {}))
    }

    /// Entries of the audit trail, newest first.
    pub fn audit(&mut self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        self.snapshot(|conn| query::audit::entries(conn, query))
    }

    /// Recorded usage, and the budgets at a time (Unix milliseconds).
    pub fn usage(&mut self, ask: &UsageParams, now_ms: i64) -> Result<UsageAnswer, StoreError> {
        self.snapshot(|conn| query::usage::answer(conn, ask, now_ms))
    }

    /// The output of one attempt from a chunk number on, in order, at most `limit` chunks.
    pub fn output(
        &mut self,
        task: TaskId,
        fence: Fence,
        from_chunk: u64,
        limit: u32,
    ) -> Result<Vec<OutputChunk>, StoreError> {
        self.snapshot(|conn| query::output::chunks(conn, task, fence, from_chunk, limit))
    }

    /// The runs of plans that have not ended.
    pub fn open_runs(&mut self) -> Result<Vec<TaskId>, StoreError> {
        self.snapshot(query::plans::open_runs)
    }

    /// A run that has begun, and its steps in the order in which they began.
    pub fn plan_run(&mut self, run: TaskId) -> Result<Option<(PlanRun, Vec<RunStep>)>, StoreError> {
        self.snapshot(|conn| query::plans::run(conn, run))
    }

    /// The task with a fingerprint of a step with `cache` that is done, if it was made after a time in Unix milliseconds.
    pub fn cached_task(
        &mut self,
        fingerprint: &str,
        since: i64,
    ) -> Result<Option<TaskId>, StoreError> {
        self.snapshot(|conn| query::plans::cached(conn, fingerprint, since))
    }

    /// The task with a fingerprint of a step with `cache`, or else the newest one of the same place.
    pub fn earlier_result(
        &mut self,
        fingerprint: &str,
        place: &str,
    ) -> Result<Option<EarlierResult>, StoreError> {
        self.snapshot(|conn| query::plans::earlier(conn, fingerprint, place))
    }

    /// The steps of a run that have an item with a key, and its position in each.
    pub fn items_with_key(
        &mut self,
        run: TaskId,
        key: &str,
    ) -> Result<Vec<(StepId, i64)>, StoreError> {
        self.snapshot(|conn| query::plans::items_with_key(conn, run, key))
    }

    /// The open items of a step whose tasks await approval.
    pub fn held_items(&mut self, step: StepId) -> Result<HeldItems, StoreError> {
        self.snapshot(|conn| query::plans::held(conn, step))
    }

    /// The state of a run that has begun.
    pub fn run_state(&mut self, run: TaskId) -> Result<Option<RunState>, StoreError> {
        self.snapshot(|conn| query::plans::run_state(conn, run))
    }

    /// The plan with which a run goes on instead of that of its task, a `PlanText` as JSON.
    pub fn plan_text(&mut self, run: TaskId) -> Result<Option<String>, StoreError> {
        self.snapshot(|conn| query::plans::plan_text(conn, run))
    }

    /// A run that has begun, and the sums over its steps.
    pub fn plan_totals(
        &mut self,
        run: TaskId,
    ) -> Result<Option<(PlanRun, StepTotals)>, StoreError> {
        self.snapshot(|conn| query::plans::totals(conn, run))
    }

    /// The task of a run, and the run as [`plan_run`](StoreReader::plan_run), of the same moment.
    #[expect(
        clippy::type_complexity,
        reason = "the parts are those of two other queries"
    )]
    pub fn task_and_run(
        &mut self,
        run: TaskId,
    ) -> Result<(Option<Task>, Option<(PlanRun, Vec<RunStep>)>), StoreError> {
        self.snapshot(|conn| {
            let task = query::rows::by_ids(conn, &[run])?.pop();
            Ok((task, query::plans::run(conn, run)?))
        })
    }

    /// A step of a run.
    pub fn plan_step(&mut self, step: StepId) -> Result<Option<RunStep>, StoreError> {
        self.snapshot(|conn| query::plans::step(conn, step))
    }

    /// Items of a step from a position on, at most `limit`; in one state, or in any.
    pub fn plan_items(
        &mut self,
        step: StepId,
        state: Option<ItemState>,
        from: i64,
        limit: i64,
    ) -> Result<Vec<PlanItem>, StoreError> {
        self.snapshot(|conn| query::plans::items(conn, step, state, from, limit))
    }

    /// The position of the first item of a step that has not ended, of those that have a row.
    pub fn first_open_item(&mut self, step: StepId) -> Result<Option<i64>, StoreError> {
        self.snapshot(|conn| query::plans::first_item(conn, step, &NOT_ENDED))
    }

    /// The position of the first item of a step that is not done, of those that have a row.
    pub fn first_item_not_done(&mut self, step: StepId) -> Result<Option<i64>, StoreError> {
        self.snapshot(|conn| query::plans::first_item(conn, step, &NOT_DONE))
    }

    /// The items of a step with a task, by position.
    pub fn items_of_task(
        &mut self,
        step: StepId,
        task: TaskId,
    ) -> Result<Vec<PlanItem>, StoreError> {
        self.snapshot(|conn| query::plans::items_of_task(conn, step, task))
    }

    /// The piece of a source that has the item at a position.
    pub fn source_piece(
        &mut self,
        source: SourceId,
        position: i64,
    ) -> Result<Option<SourcePiece>, StoreError> {
        self.snapshot(|conn| query::plans::piece(conn, source, position))
    }

    /// The number of items of a source.
    pub fn source_items(&mut self, source: SourceId) -> Result<Option<i64>, StoreError> {
        self.snapshot(|conn| query::plans::source_items(conn, source))
    }

    /// Runs several queries that see the same state of the file.
    fn snapshot<T>(
        &mut self,
        read: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.conn.batch_execute("BEGIN")?;
        let result = read(&mut self.conn);
        self.conn.batch_execute("ROLLBACK")?;
        Ok(result?)
    }
}
