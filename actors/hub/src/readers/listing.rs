//! A list of tasks that is answered piece by piece, as a value that goes back and forth between a connection and the
//! readers: between two pieces nobody holds a transaction, so that the store's log does not grow with slow clients.

use super::{Failed, unwritten};
use crate::waiting::{self, Surroundings};
use kirosu_protocol::{Status, TaskId};
use kirosu_store::{ListQuery, Reader, Texts, WaitFacts};
use std::sync::Arc;

/// Bytes of JSON after which a piece ends.
const PIECE_BYTES: usize = 256 << 10;
/// Bytes of JSON after which the first piece ends: most lists are no longer.
const FIRST_PIECE_BYTES: usize = 64 << 10;
/// Tasks after which a piece ends.
const PIECE_TASKS: usize = 500;
/// Ids that are looked up at once.
const IDS: i64 = 10_000;
/// Steps of a filter by queue or type (`Reader::list_ids`) for a page with a limit; its answer may then be short.
const STEPS: u32 = 8;

/// What is still to be listed.
#[derive(Debug)]
pub struct Listing {
    /// Ids that were looked up; those before `at` are listed.
    ids: Vec<TaskId>,
    at: usize,
    /// Where further ids are looked up; none: nowhere.
    more: Option<More>,
    /// Only tasks that are in this state, should it have changed since their ids were looked up.
    status: Option<Status>,
    texts: Texts,
    /// For why tasks wait.
    around: Arc<Surroundings>,
    /// Tasks that were listed, how many of them have ended, and where the next page begins.
    pub listed: usize,
    /// See `listed`.
    pub ended: usize,
    /// See `listed`.
    pub next: Option<TaskId>,
}

#[derive(Debug)]
struct More {
    query: ListQuery,
    /// Ids that may still be looked up; none: all.
    left: Option<u64>,
    steps: u32,
}

/// Some of a list's tasks.
#[derive(Debug)]
pub struct Piece {
    /// The tasks, with a comma before each but the list's first.
    pub json: Vec<u8>,
    /// What is still to be listed.
    pub listing: Box<Listing>,
    /// Bytes of the next task's texts, when there was no room for them.
    pub needs: Option<u64>,
}

impl Listing {
    /// The tasks of a query, newest first; `limit` says how many, none means all.
    pub fn of_query(query: ListQuery, limit: Option<u32>, texts: Texts) -> Listing {
        Listing {
            status: query.status,
            texts,
            more: Some(More {
                query,
                left: limit.map(u64::from),
                steps: 0,
            }),
            ..Listing::of_tasks(Vec::new())
        }
    }

    /// These tasks, each named once, whole.
    pub fn of_tasks(ids: Vec<TaskId>) -> Listing {
        Listing {
            ids,
            at: 0,
            more: None,
            status: None,
            texts: Texts::Whole,
            around: Arc::default(),
            listed: 0,
            ended: 0,
            next: None,
        }
    }

    /// With what is known beside the store, so that tasks say why they wait.
    pub fn explained(self, around: Arc<Surroundings>) -> Listing {
        Listing { around, ..self }
    }

    /// Whether all is listed.
    pub fn is_over(&self) -> bool {
        self.at == self.ids.len() && self.more.is_none()
    }

    /// Looks further ids up.
    fn look_up(&mut self, store: &mut Reader) -> Result<(), Failed> {
        let Some(mut more) = self.more.take() else {
            return Ok(());
        };
        let most = more.left.map_or(IDS, |left| IDS.min(left as i64));
        more.query.limit = most;
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
                *left > 0 && (count as i64 == most || more.steps < STEPS)
            }
        };
        match (found.next_before, has_left) {
            (Some(_), true) => self.more = Some(more),
            (next, _) => self.next = next,
        }
        Ok(())
    }
}

/// Reads the next piece. Either it has tasks, or one step was made towards them, or the next task's texts have more than
/// `room` bytes.
pub(super) fn read(store: &mut Reader, mut listing: Listing, room: u64) -> Result<Piece, Failed> {
    if listing.at == listing.ids.len() {
        listing.look_up(store)?;
    }
    let most = match listing.listed {
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
    let around = &listing.around;
    let visited = store.visit(ids, listing.texts, room, |mut task| {
        if status.is_some_and(|status| status != task.status) {
            return true;
        }
        if listed > 0 {
            json.push(b',');
        }
        task.waiting = waiting::reason(&task, &facts, around).map(Box::new);
        listed += 1;
        ended += usize::from(task.status.is_final());
        broken = serde_json::to_writer(&mut json, &task).err();
        broken.is_none() && json.len() < most
    })?;
    if let Some(error) = broken {
        return Err(unwritten(&error).into());
    }
    listing.at += visited.ids;
    (listing.listed, listing.ended) = (listed, ended);
    Ok(Piece {
        json,
        listing: Box::new(listing),
        needs: visited.needs,
    })
}
