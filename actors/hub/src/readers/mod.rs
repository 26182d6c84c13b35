//! Read connections beside the writer, each on a thread of its own: a long list never holds up a lease.
//!
//! Readers write their answers as JSON themselves, and a long list in pieces, one piece a question: so nothing that is
//! large is put together on the hub's thread, and others' questions come between two pieces.

mod listing;
mod pool;

pub use listing::{Listing, Piece};
pub use pool::Readers;

use crate::answers;
use crate::waiting::{self, Surroundings};
use actix::prelude::*;
use kirosu_protocol::verbs::approvals::ApprovalsAnswer;
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::verbs::usage::UsageParams;
use kirosu_protocol::{Effect, Error, Status, Task, TaskId};
use kirosu_store::{
    ApprovalQuery, GroupQuery, IdPage, Oldest, Reader as StoreReader, StoreError, Texts,
};
use kirosu_supervision::{ChildContext, supervised};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Chunks of output that one `get` answers at the most.
const OUTPUT_CHUNKS: u32 = 10_000;
/// Bytes of each text of the tasks in an answer about a group.
const GROUP_TEXT_BYTES: usize = 4096;

/// A question to the store.
#[derive(Debug)]
pub enum Question {
    /// The next piece of a list of tasks. `room`: the most bytes of texts that one task may have.
    List(Box<Listing>, u64),
    /// A page of what waits for a person.
    Approvals(ApprovalQuery),
    /// Everything about one task. `room`: the most bytes of texts that the answer may have.
    Get(GetParams, u64, Arc<Surroundings>),
    /// Where these tasks stand, those that exist.
    Statuses(Vec<TaskId>),
    /// A page of a group's tasks.
    Group(GroupQuery),
    /// The failed and cancelled tasks that these depend on, and theirs in turn, above an id: the oldest, at most this number.
    FailedDependencies(Vec<TaskId>, TaskId, u32),
    /// How a group stands, with the first tasks of the query and why they wait.
    GroupStands(GroupQuery, Arc<Surroundings>),
    /// Since when the oldest task of each queue waits, by state.
    Oldest,
    /// No question: an answer that would take too long to write on the hub's thread.
    Write(Unwritten),
    /// What was used, and how the budgets stand at a time in Unix milliseconds.
    Usage(UsageParams, i64),
}

/// What a reader said.
#[derive(Debug)]
pub enum Told {
    /// To [`Question::List`].
    Piece(Piece),
    /// The answer as JSON: to [`Question::Approvals`], [`Question::Get`], [`Question::Usage`] and
    /// [`Question::Write`].
    Json(Vec<u8>),
    /// To [`Question::Get`]: the texts have so many bytes, which is more than there was room for.
    Needs(u64),
    /// To [`Question::Statuses`].
    Statuses(Vec<(TaskId, Status)>),
    /// To [`Question::Group`].
    Ids(IdPage),
    /// To [`Question::FailedDependencies`].
    Dependencies(Vec<TaskId>),
    /// To [`Question::GroupStands`].
    GroupStands {
        /// Tasks in each state, in the order of [`Status::ALL`].
        counts: [i64; 8],
        /// The first tasks of the query, with the beginnings of their texts.
        tasks: Vec<Task>,
    },
    /// To [`Question::Oldest`].
    Oldest(Vec<Oldest>),
}

/// An answer that is to be written as JSON.
pub struct Unwritten(Box<dyn FnOnce() -> serde_json::Result<Vec<u8>> + Send>);

impl Unwritten {
    /// Of any answer.
    pub fn new(answer: impl Serialize + Send + 'static) -> Unwritten {
        Unwritten::later(move || answer)
    }

    /// Of an answer that is to be put together as well.
    pub fn later<A: Serialize>(answer: impl FnOnce() -> A + Send + 'static) -> Unwritten {
        Unwritten(Box::new(move || serde_json::to_vec(&answer())))
    }
}

impl std::fmt::Debug for Unwritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unwritten")
    }
}

/// Asks a reader.
#[derive(Message)]
#[rtype(result = "Result<Told, Error>")]
pub struct Ask(pub Question);

/// Why a question has no answer.
enum Failed {
    /// It is refused.
    Refused(Error),
    /// The file cannot be read.
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Store(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Refused(error)
    }
}

/// The actor.
pub struct Reader {
    child: ChildContext,
    path: PathBuf,
    store: Option<StoreReader>,
}

supervised!(Reader);

impl Reader {
    /// A reader that opens its connection with the first question.
    pub fn new(child: ChildContext, path: PathBuf) -> Reader {
        Reader {
            child,
            path,
            store: None,
        }
    }

    fn ask(&mut self, question: Question) -> Result<Told, Failed> {
        let store = match self.store.take() {
            Some(store) => self.store.insert(store),
            None => self.store.insert(StoreReader::open(&self.path)?),
        };
        Ok(match question {
            Question::List(listing, room) => Told::Piece(listing::read(store, *listing, room)?),
            Question::Approvals(query) => {
                let page = store.approvals(&query)?;
                Told::Json(json(&ApprovalsAnswer {
                    approvals: page.approvals,
                    next: page.next.map(|cursor| cursor.to_string()),
                })?)
            }
            Question::Get(ask, room, around) => get(store, &ask, room, &around)?,
            Question::Statuses(tasks) => Told::Statuses(store.statuses(&tasks)?),
            Question::Group(query) => Told::Ids(store.group(&query)?),
            Question::FailedDependencies(of, above, limit) => {
                Told::Dependencies(store.failed_dependencies(&of, above, limit)?)
            }
            Question::GroupStands(query, around) => group_stands(store, &query, &around)?,
            Question::Oldest => Told::Oldest(store.oldest()?),
            Question::Usage(ask, now) => Told::Json(json(&store.usage(&ask, now)?)?),
            Question::Write(Unwritten(write)) => {
                Told::Json(write().map_err(|error| unwritten(&error))?)
            }
        })
    }
}

fn get(
    store: &mut StoreReader,
    ask: &GetParams,
    room: u64,
    around: &Surroundings,
) -> Result<Told, Failed> {
    let chunks = if ask.output { OUTPUT_CHUNKS } else { 0 };
    let needs = store.size_of(ask.task_id, ask.attempt, chunks)?;
    if needs > room {
        return Ok(Told::Needs(needs));
    }
    let Some(mut detail) = store.get_attempt(ask.task_id, ask.attempt, chunks)? else {
        return Err(answers::no_such_task(ask.task_id).into());
    };
    if waiting::waits(detail.task.status) {
        let facts = store.wait_facts(&[ask.task_id])?;
        detail.task.waiting = waiting::reason(&detail.task, &facts, around).map(Box::new);
    }
    Ok(Told::Json(json(&answers::detail(detail, ask)?)?))
}

fn group_stands(
    store: &mut StoreReader,
    query: &GroupQuery,
    around: &Surroundings,
) -> Result<Told, Failed> {
    let ids = store.group(query)?.ids;
    let facts = store.wait_facts(&ids)?;
    let mut tasks = Vec::with_capacity(ids.len());
    store.visit(
        &ids,
        Texts::Preview(GROUP_TEXT_BYTES),
        u64::MAX,
        |mut task| {
            task.waiting = waiting::reason(&task, &facts, around).map(Box::new);
            tasks.push(task);
            true
        },
    )?;
    let counts = store.group_counts(&query.group)?;
    Ok(Told::GroupStands { counts, tasks })
}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(answer).map_err(|error| unwritten(&error))
}

fn unwritten(error: &serde_json::Error) -> Error {
    let message = format!("the answer could not be written: {error}");
    Error::internal(Effect::None, message)
}

impl Actor for Reader {
    type Context = Context<Self>;
}

impl Handler<Ask> for Reader {
    type Result = Result<Told, Error>;

    fn handle(&mut self, Ask(question): Ask, _: &mut Self::Context) -> Self::Result {
        self.child.handled();
        self.ask(question).map_err(|failed| match failed {
            Failed::Refused(error) => error,
            Failed::Store(error) => {
                // The next question opens a fresh connection.
                self.store = None;
                Error::internal(Effect::None, error.to_string())
            }
        })
    }
}
