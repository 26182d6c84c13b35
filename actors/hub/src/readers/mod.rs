//! Readers: actors with read-only connections to the store, each on its own thread, so that a long list never delays a lease.
//!
//! Readers serialize their answers to JSON, and long lists in pieces, one per query. So no large answer is built on the hub's
//! thread, and queries of other clients run between two pieces.

mod listing;
mod plans;
mod pool;
mod run_file;

pub use listing::{ListPiece, Listing};
pub use pool::Readers;

use crate::answers;
use crate::waiting::{self, WaitContext};
use actix::prelude::*;
use kirosu_protocol::{
    AUDIT_LIMIT, ApprovalsAnswer, ApprovalsParams, AuditAnswer, AuditParams, Effect, Error,
    GetParams, NotifyTarget, PlanText, RunFileParams, RunItemsParams, RunParams, RunsParams,
    Status, Task, TaskId, UsageParams,
};
use kirosu_store::{
    AuditQuery, GroupQuery, IdPage, Oldest, StoreError, StoreReader, TargetRow, Texts,
};
use kirosu_supervision::{ChildContext, supervised};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// The largest number of output chunks in one answer to `get`.
const OUTPUT_CHUNKS: u32 = 10_000;
/// Bytes per text of the tasks in a group summary.
const GROUP_TEXT_BYTES: usize = 4096;

/// A query to the store.
#[derive(Debug)]
pub enum StoreQuery {
    /// Reads the next piece of a list of tasks. The number is the largest size of one task's texts, in bytes.
    List(Box<Listing>, u64),
    /// Reads a page of the tasks and permission requests that wait for a person.
    Approvals(ApprovalsParams),
    /// Reads a task with its details. The number is the largest size of the answer's texts, in bytes.
    Get(GetParams, u64, Arc<WaitContext>),
    /// Reads the statuses of these tasks. Tasks that do not exist are left out.
    Statuses(Vec<TaskId>),
    /// Finds the first of these tasks that is neither below the other one nor, if that is true, a dependency of it.
    FirstOutside(Vec<TaskId>, TaskId, bool),
    /// Reads the ids of a page of a group's tasks.
    Group(GroupQuery),
    /// Reads the ids of all failed and cancelled dependencies of these tasks, also indirect ones: those above an id, the oldest
    /// first, at most this number.
    FailedDependencies(Vec<TaskId>, TaskId, u32),
    /// Counts the tasks of a group, and reads the first tasks of the query.
    GroupSummary(GroupQuery, Arc<WaitContext>),
    /// Reads the time of the oldest waiting task per queue and state.
    Oldest,
    /// Serializes an answer that would take too long on the hub's thread. Reads nothing.
    Serialize(DeferredAnswer),
    /// Reads the usage and the budgets at a time in Unix milliseconds.
    Usage(UsageParams, i64),
    /// Reads the keys of clients.
    Keys,
    /// Reads a page of the runs of plans.
    Runs(RunsParams),
    /// Reads a run of a plan with its steps.
    Run(RunParams),
    /// Reads a page of the items of a run.
    RunItems(RunItemsParams),
    /// Reads a piece of the result of a step.
    RunFile(RunFileParams),
    /// Checks that a run can go on with a plan.
    CheckPlan(TaskId, Box<PlanText>),
    /// Reads the schedules.
    Schedules,
    /// Reads the states of these targets of notifications.
    NotifyList(Arc<Vec<NotifyTarget>>),
    /// Reads the targets of notifications as they are stored.
    NotifyTargets,
    /// Reads a page of the audit trail.
    Audit(AuditParams),
}

/// The reply to a query.
#[derive(Debug)]
pub enum QueryReply {
    /// To [`StoreQuery::List`].
    Piece(ListPiece),
    /// The answer as JSON, to [`StoreQuery::Approvals`], [`StoreQuery::Get`], [`StoreQuery::Usage`] and
    /// [`StoreQuery::Serialize`].
    Json(Vec<u8>),
    /// To [`StoreQuery::Get`]: the size of the texts in bytes, which is above the limit of the query.
    Needs(u64),
    /// To [`StoreQuery::Statuses`].
    Statuses(Vec<(TaskId, Status)>),
    /// To [`StoreQuery::FirstOutside`].
    Outside(Option<TaskId>),
    /// To [`StoreQuery::Group`].
    Ids(IdPage),
    /// To [`StoreQuery::FailedDependencies`].
    Dependencies(Vec<TaskId>),
    /// To [`StoreQuery::GroupSummary`].
    GroupSummary {
        /// Tasks in each state, in the order of [`Status::ALL`].
        counts: [i64; 8],
        /// The first tasks of the query, with the beginnings of their texts and the reasons for which they wait.
        tasks: Vec<Task>,
    },
    /// To [`StoreQuery::Oldest`].
    Oldest(Vec<Oldest>),
    /// To [`StoreQuery::NotifyTargets`].
    Targets(Vec<TargetRow>),
    /// To [`StoreQuery::CheckPlan`]: it can.
    Fits,
}

/// An answer that a reader serializes.
pub struct DeferredAnswer(Box<dyn FnOnce() -> serde_json::Result<Vec<u8>> + Send>);

impl DeferredAnswer {
    /// An answer that is built.
    pub fn new(answer: impl Serialize + Send + 'static) -> DeferredAnswer {
        DeferredAnswer::build(move || answer)
    }

    /// An answer that the reader builds, too.
    pub fn build<A: Serialize>(answer: impl FnOnce() -> A + Send + 'static) -> DeferredAnswer {
        DeferredAnswer(Box::new(move || serde_json::to_vec(&answer())))
    }
}

impl std::fmt::Debug for DeferredAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeferredAnswer")
    }
}

/// Runs a query on a reader.
#[derive(Message)]
#[rtype(result = "Result<QueryReply, Error>")]
pub struct RunQuery(pub StoreQuery);

/// The reason for which a query has no reply.
enum QueryFailure {
    /// The query asks for something that does not exist.
    Refused(Error),
    /// The store cannot be read.
    Store(StoreError),
}

impl From<StoreError> for QueryFailure {
    fn from(error: StoreError) -> QueryFailure {
        QueryFailure::Store(error)
    }
}

impl From<Error> for QueryFailure {
    fn from(error: Error) -> QueryFailure {
        QueryFailure::Refused(error)
    }
}

/// The actor of one read-only connection to the store.
pub struct QueryReader {
    child: ChildContext,
    path: PathBuf,
    store: Option<StoreReader>,
}

supervised!(QueryReader);

impl QueryReader {
    /// A reader that opens its connection with the first query.
    pub fn new(child: ChildContext, path: PathBuf) -> QueryReader {
        QueryReader {
            child,
            path,
            store: None,
        }
    }

    fn run(&mut self, query: StoreQuery) -> Result<QueryReply, QueryFailure> {
        let store = match self.store.take() {
            Some(store) => self.store.insert(store),
            None => self.store.insert(StoreReader::open(&self.path)?),
        };
        Ok(match query {
            StoreQuery::List(listing, limit) => {
                QueryReply::Piece(listing::read(store, *listing, limit)?)
            }
            StoreQuery::Approvals(query) => {
                let page = store.approvals(&query)?;
                QueryReply::Json(json(&ApprovalsAnswer {
                    approvals: page.approvals,
                    next: page.next.map(|cursor| cursor.to_string()),
                })?)
            }
            StoreQuery::Get(params, limit, context) => get(store, &params, limit, &context)?,
            StoreQuery::Statuses(tasks) => QueryReply::Statuses(store.statuses(&tasks)?),
            StoreQuery::FirstOutside(tasks, above, dependencies) => {
                QueryReply::Outside(store.first_outside(&tasks, above, dependencies)?)
            }
            StoreQuery::Group(query) => QueryReply::Ids(store.group(&query)?),
            StoreQuery::FailedDependencies(of, above, limit) => {
                QueryReply::Dependencies(store.failed_dependencies(&of, above, limit)?)
            }
            StoreQuery::GroupSummary(query, context) => group_summary(store, &query, &context)?,
            StoreQuery::Oldest => QueryReply::Oldest(store.oldest()?),
            StoreQuery::Usage(params, now) => QueryReply::Json(json(&store.usage(&params, now)?)?),
            StoreQuery::Keys => QueryReply::Json(json(&answers::keys(store.credentials()?))?),
            StoreQuery::Runs(params) => QueryReply::Json(json(&plans::runs(store, params)?)?),
            StoreQuery::Run(params) => QueryReply::Json(json(&plans::run(store, &params)?)?),
            StoreQuery::RunItems(params) => QueryReply::Json(json(&plans::items(store, &params)?)?),
            StoreQuery::RunFile(params) => {
                QueryReply::Json(json(&run_file::piece(store, &params)?)?)
            }
            StoreQuery::CheckPlan(run, plan) => {
                plans::check_plan(store, run, &plan)?;
                QueryReply::Fits
            }
            StoreQuery::Schedules => {
                QueryReply::Json(json(&answers::schedules(store.schedules()?))?)
            }
            StoreQuery::NotifyList(targets) => {
                let rows = store.notify_targets()?;
                QueryReply::Json(json(&answers::notify_list(&targets, &rows))?)
            }
            StoreQuery::NotifyTargets => QueryReply::Targets(store.notify_targets()?),
            StoreQuery::Audit(params) => QueryReply::Json(json(&audit(store, params)?)?),
            StoreQuery::Serialize(DeferredAnswer(write)) => {
                QueryReply::Json(write().map_err(|error| unserialized(&error))?)
            }
        })
    }
}

fn get(
    store: &mut StoreReader,
    params: &GetParams,
    limit: u64,
    context: &WaitContext,
) -> Result<QueryReply, QueryFailure> {
    let chunks = if params.output { OUTPUT_CHUNKS } else { 0 };
    let needs = store.size_of(params.task_id, params.attempt, chunks)?;
    if needs > limit {
        return Ok(QueryReply::Needs(needs));
    }
    let Some(mut detail) = store.get_attempt(params.task_id, params.attempt, chunks)? else {
        return Err(answers::no_such_task(params.task_id).into());
    };
    if waiting::waits(detail.task.status) {
        let facts = store.wait_facts(&[params.task_id])?;
        detail.task.waiting = waiting::reason(&detail.task, &facts, context).map(Box::new);
    }
    Ok(QueryReply::Json(json(&answers::detail(detail, params)?)?))
}

fn audit(store: &mut StoreReader, params: AuditParams) -> Result<AuditAnswer, StoreError> {
    let limit = params.limit.unwrap_or(AUDIT_LIMIT);
    let entries = store.audit(&AuditQuery {
        who: params.who,
        task: params.task_id,
        since_ms: params.since_ms,
        before: params.cursor,
        limit,
    })?;
    let is_full = entries.len() >= limit as usize;
    Ok(AuditAnswer {
        next: entries.last().filter(|_| is_full).map(|last| last.id),
        entries: entries.into_iter().map(answers::audit_line).collect(),
    })
}

fn group_summary(
    store: &mut StoreReader,
    query: &GroupQuery,
    context: &WaitContext,
) -> Result<QueryReply, QueryFailure> {
    let ids = store.group(query)?.ids;
    let facts = store.wait_facts(&ids)?;
    let mut tasks = Vec::with_capacity(ids.len());
    store.visit(
        &ids,
        Texts::Preview(GROUP_TEXT_BYTES),
        u64::MAX,
        |mut task| {
            task.waiting = waiting::reason(&task, &facts, context).map(Box::new);
            tasks.push(task);
            true
        },
    )?;
    let counts = store.group_counts(&query.group)?;
    Ok(QueryReply::GroupSummary { counts, tasks })
}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(answer).map_err(|error| unserialized(&error))
}

fn unserialized(error: &serde_json::Error) -> Error {
    let message = format!("the answer could not be serialized: {error}");
    Error::internal(Effect::None, message)
}

impl Actor for QueryReader {
    type Context = Context<Self>;
}

impl Handler<RunQuery> for QueryReader {
    type Result = Result<QueryReply, Error>;

    fn handle(&mut self, RunQuery(query): RunQuery, _: &mut Self::Context) -> Self::Result {
        self.child.handled();
        self.run(query).map_err(|failed| match failed {
            QueryFailure::Refused(error) => error,
            QueryFailure::Store(error) => {
                // The next query opens a new connection.
                self.store = None;
                Error::internal(Effect::None, error.to_string())
            }
        })
    }
}
