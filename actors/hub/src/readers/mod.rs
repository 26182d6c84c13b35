//! Read connections beside the writer, on a thread of their own: a long list never holds up a lease.

use crate::waiting::{self, Surroundings};
use actix::prelude::*;
use kirosu_protocol::verbs::usage::{UsageAnswer, UsageAsk};
use kirosu_protocol::{Effect, Error, Fence, Task, TaskId};
use kirosu_store::{
    ApprovalPage, ApprovalQuery, GroupQuery, IdPage, ListQuery, Oldest, OutputChunk, Page,
    Reader as StoreReader, StoreError, TaskDetail,
};
use kirosu_supervision::{ChildContext, supervised};
use std::path::PathBuf;

/// A question to the store.
#[derive(Clone, Debug)]
pub enum Question {
    /// A page of tasks, with why they wait.
    List(ListQuery, Surroundings),
    /// A page of what waits for a person.
    Approvals(ApprovalQuery),
    /// Everything about one task.
    Get {
        /// The task.
        task: TaskId,
        /// Whose output; the newest attempt's when none.
        attempt: Option<Fence>,
        /// At most so many of the last chunks of it.
        chunks: u32,
        /// For why it waits.
        around: Surroundings,
    },
    /// These tasks, those that exist.
    Many(Vec<TaskId>),
    /// The same, with why they wait.
    Explained(Vec<TaskId>, Surroundings),
    /// A page of a group's tasks.
    Group(GroupQuery),
    /// How a group stands, with the first tasks of the query and why they wait.
    GroupStands(GroupQuery, Surroundings),
    /// Since when the oldest task of each queue waits, by state.
    Oldest,
    /// What was used, and how the budgets stand at a time in Unix milliseconds.
    Usage(UsageAsk, i64),
    /// The output of one attempt from a chunk on.
    Output(TaskId, Fence, u64, u32),
}

/// What the store said.
#[derive(Debug)]
pub enum Told {
    /// To [`Question::List`].
    Page(Page),
    /// To [`Question::Approvals`].
    Approvals(ApprovalPage),
    /// To [`Question::Get`]; none: no such task.
    Detail(Option<Box<TaskDetail>>),
    /// To [`Question::Many`] and [`Question::Explained`].
    Tasks(Vec<Task>),
    /// To [`Question::Group`].
    Ids(IdPage),
    /// To [`Question::GroupStands`].
    GroupStands {
        /// Tasks in each state, in the order of [`Status::ALL`](kirosu_protocol::Status::ALL).
        counts: [i64; 8],
        /// The first tasks of the query.
        tasks: Vec<Task>,
    },
    /// To [`Question::Oldest`].
    Oldest(Vec<Oldest>),
    /// To [`Question::Usage`].
    Usage(Box<UsageAnswer>),
    /// To [`Question::Output`].
    Output(Vec<OutputChunk>),
}

/// Asks a reader.
#[derive(Message)]
#[rtype(result = "Result<Told, Error>")]
pub struct Ask(pub Question);

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

    fn ask(&mut self, question: Question) -> Result<Told, StoreError> {
        let store = match self.store.take() {
            Some(store) => self.store.insert(store),
            None => self.store.insert(StoreReader::open(&self.path)?),
        };
        Ok(match question {
            Question::List(query, around) => {
                let mut page = store.list(&query)?;
                explain(store, &mut page.tasks, &around)?;
                Told::Page(page)
            }
            Question::Approvals(query) => Told::Approvals(store.approvals(&query)?),
            Question::Get {
                task,
                attempt,
                chunks,
                around,
            } => {
                let mut detail = store.get_attempt(task, attempt, chunks)?.map(Box::new);
                if let Some(detail) = &mut detail {
                    explain(store, std::slice::from_mut(&mut detail.task), &around)?;
                }
                Told::Detail(detail)
            }
            Question::Many(tasks) => Told::Tasks(store.many(&tasks)?),
            Question::Explained(tasks, around) => {
                let mut tasks = store.many(&tasks)?;
                explain(store, &mut tasks, &around)?;
                Told::Tasks(tasks)
            }
            Question::Group(query) => Told::Ids(store.group(&query)?),
            Question::GroupStands(query, around) => {
                let ids = store.group(&query)?.ids;
                let mut tasks = store.many(&ids)?;
                explain(store, &mut tasks, &around)?;
                let counts = store.group_counts(&query.group)?;
                Told::GroupStands { counts, tasks }
            }
            Question::Oldest => Told::Oldest(store.oldest()?),
            Question::Usage(ask, now) => Told::Usage(Box::new(store.usage(&ask, now)?)),
            Question::Output(task, fence, from, limit) => {
                Told::Output(store.output(task, fence, from, limit)?)
            }
        })
    }
}

/// Adds why they wait to those tasks that do.
fn explain(
    store: &mut StoreReader,
    tasks: &mut [Task],
    around: &Surroundings,
) -> Result<(), StoreError> {
    let waiting = tasks.iter().filter(|task| waiting::waits(task.status));
    let waiting: Vec<TaskId> = waiting.map(|task| task.task_id).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let facts = store.wait_facts(&waiting)?;
    for task in tasks {
        task.waiting = waiting::reason(task, &facts, around).map(Box::new);
    }
    Ok(())
}

impl Actor for Reader {
    type Context = Context<Self>;
}

impl Handler<Ask> for Reader {
    type Result = Result<Told, Error>;

    fn handle(&mut self, Ask(question): Ask, _: &mut Self::Context) -> Self::Result {
        self.child.handled();
        self.ask(question).map_err(|error| {
            // The next question opens a fresh connection.
            self.store = None;
            Error::internal(Effect::None, error.to_string())
        })
    }
}
