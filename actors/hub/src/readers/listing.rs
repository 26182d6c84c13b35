//! A list of tasks that is read piece by piece. It is a value that goes back and forth between a connection and the readers:
//! between two pieces no transaction is open, so that slow clients do not make the store's log grow.

use super::{QueryFailure, unserialized};
use crate::waiting::{self, WaitContext};
use kirosu_protocol::{Status, TaskId};
use kirosu_store::{ListQuery, StoreReader, Texts, WaitFacts};
use std::sync::Arc;

/// Bytes of JSON after which a piece ends.
const PIECE_BYTES: usize = 256 << 10;
/// Bytes of JSON after which the first piece ends. Most lists are shorter.
const FIRST_PIECE_BYTES: usize = 64 << 10;
/// Tasks after which a piece ends.
const PIECE_TASKS: usize = 500;
/// The largest number of ids in one look-up.
const IDS_PER_LOOK_UP: i64 = 10_000;
/// The largest number of look-ups for a page with a limit, if a filter by queue or type skips most tasks. The page may then
/// have fewer tasks than its limit.
const LOOK_UPS_PER_PAGE: u32 = 8;

/// The rest of a list.
#[derive(Debug)]
pub struct Listing {
    /// Ids that were looked up. Those before `at` are listed.
    ids: Vec<TaskId>,
    at: usize,
    /// The next look-up of ids. `None` if all ids are known.
    more: Option<LookUp>,
    /// Leaves out tasks whose status has changed from this one since their ids were looked up.
    status: Option<Status>,
    texts: Texts,
    /// Explains why tasks wait.
    context: Arc<WaitContext>,
    /// The number of listed tasks.
    pub listed: usize,
    /// The number of listed tasks that have ended.
    pub ended: usize,
    /// The task before which the next page begins. `None` if there is no further page.
    pub next: Option<TaskId>,
}

#[derive(Debug)]
struct LookUp {
    query: ListQuery,
    /// The number of ids that may still be looked up. `None` means all.
    left: Option<u64>,
    steps: u32,
}

/// Some tasks of a list.
#[derive(Debug)]
pub struct ListPiece {
    /// The tasks as JSON, with a comma before each except the first of the list.
    pub json: Vec<u8>,
    /// The rest of the list.
    pub listing: Box<Listing>,
    /// The size of the next task's texts in bytes, if it is above the limit of the query.
    pub needs: Option<u64>,
}

impl Listing {
    /// The tasks of a query, newest first. `limit` is the largest number of tasks; `None` means all.
    pub fn of_query(query: ListQuery, limit: Option<u32>, texts: Texts) -> Listing {
        Listing {
            status: query.status,
            texts,
            more: Some(LookUp {
                query,
                left: limit.map(u64::from),
                steps: 0,
            }),
            ..Listing::of_tasks(Vec::new())
        }
    }

    /// These tasks with whole texts. Each id must be unique.
    pub fn of_tasks(ids: Vec<TaskId>) -> Listing {
        Listing {
            ids,
            at: 0,
            more: None,
            status: None,
            texts: Texts::Whole,
            context: Arc::default(),
            listed: 0,
            ended: 0,
            next: None,
        }
    }

    /// Adds the facts outside the store that explain why tasks wait.
    pub fn explained(self, context: Arc<WaitContext>) -> Listing {
        Listing { context, ..self }
    }

    /// Whether all tasks are listed.
    pub fn is_over(&self) -> bool {
        self.at == self.ids.len() && self.more.is_none()
    }

    /// Looks up more ids.
    fn look_up(&mut self, store: &mut StoreReader) -> Result<(), QueryFailure> {
        let Some(mut more) = self.more.take() else {
            return Ok(());
        };
        let limit = more
            .left
            .map_or(IDS_PER_LOOK_UP, |left| IDS_PER_LOOK_UP.min(left as i64));
        more.query.limit = limit;
        let found = store.list_ids(&more.query)?;
        let count = found.ids.len() as u64;
        self.ids = found.ids;
        self.at = 0;
        more.steps += 1;
        more.query.before_id = found.next_before;
        let has_left = match &mut more.left {
            None => true,
            Some(left) => {
                *left = left.saturating_sub(count);
                *left > 0 && (count as i64 == limit || more.steps < LOOK_UPS_PER_PAGE)
            }
        };
        match (found.next_before, has_left) {
            (Some(_), true) => self.more = Some(more),
            (next, _) => self.next = next,
        }
        Ok(())
    }
}

/// Reads the next piece. It has no tasks if one look-up found none, or if the next task's texts are longer than `limit` bytes.
///
/// # Errors
///
/// Fails if the store cannot be read, or a task cannot be serialized.
pub(super) fn read(
    store: &mut StoreReader,
    mut listing: Listing,
    limit: u64,
) -> Result<ListPiece, QueryFailure> {
    if listing.at == listing.ids.len() {
        listing.look_up(store)?;
    }
    let piece_bytes = match listing.listed {
        0 => FIRST_PIECE_BYTES,
        _ => PIECE_BYTES,
    };
    let (mut json, mut broken) = (Vec::new(), None);
    let (status, mut listed, mut ended) = (listing.status, listing.listed, listing.ended);
    let end = listing.ids.len().min(listing.at + PIECE_TASKS);
    let ids = &listing.ids[listing.at..end];
    let facts = match listing.status.is_none_or(waiting::waits) {
        true => store.wait_facts(ids)?,
        false => WaitFacts::default(),
    };
    let context = &listing.context;
    let visited = store.visit(ids, listing.texts, limit, |mut task| {
        if status.is_some_and(|status| status != task.status) {
            return true;
        }
        if listed > 0 {
            json.push(b',');
        }
        task.waiting = waiting::reason(&task, &facts, context).map(Box::new);
        listed += 1;
        ended += usize::from(task.status.is_final());
        broken = serde_json::to_writer(&mut json, &task).err();
        broken.is_none() && json.len() < piece_bytes
    })?;
    if let Some(error) = broken {
        return Err(unserialized(&error).into());
    }
    listing.at += visited.ids;
    (listing.listed, listing.ended) = (listed, ended);
    Ok(ListPiece {
        json,
        listing: Box::new(listing),
        needs: visited.needs,
    })
}
