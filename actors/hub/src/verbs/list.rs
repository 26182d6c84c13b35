//! `list`: the tasks of a query, newest first. Also writes the lists of tasks that `wait` answers.

use super::{Begun, RequestScope, Started, StoreQuery};
use crate::connection::{LongAnswer, SHORT_ANSWER_BYTES};
use crate::readers::{ListPiece, Listing, QueryReply};
use crate::writer::messages::GetStats;
use kirosu_protocol::{ListAnswer, ListParams, ListStatus, Stats, TaskId};
use kirosu_store::{ListQuery, Texts};
use std::sync::Arc;

/// The beginning of the answers to `list` and `wait`.
pub const TASKS: &[u8] = b"{\"tasks\":[";

/// The end of an answer with a list of tasks.
#[derive(Clone, Copy, Debug)]
pub enum ListTail {
    /// `stats` and `next`, of `list`.
    List,
    /// As `List`, for a run: it does not see the counters of the hub, which are 0.
    ListOfRun,
    /// `finished`, of a `wait` for this number of tasks.
    Wait(usize),
}

pub fn begin(params: ListParams, scope: &mut RequestScope<'_>) -> Begun {
    let status = match params.status {
        ListStatus::Any => None,
        ListStatus::Is(status) => Some(status),
        ListStatus::Unknown => {
            answer_without_tasks(scope);
            return Ok(Started::Pending);
        }
    };
    let query = ListQuery {
        status,
        queue: params.queue,
        task_type: params.task_type,
        parent_id: params.parent_id,
        limit: 0,
        before_id: params.before,
        labels: params.labels,
        ranges: params.ranges,
    };
    let preview = params.preview_bytes.unwrap_or(scope.limits().preview_bytes);
    let texts = match preview {
        0 => Texts::Whole,
        bytes => Texts::Preview(bytes as usize),
    };
    let listing = Listing::of_query(query, params.limit, texts);
    let tail = match scope.run() {
        Some(_) => ListTail::ListOfRun,
        None => ListTail::List,
    };
    answer_listing(listing, tail, scope);
    Ok(Started::Pending)
}

/// A status of a later version: no task of this hub has it.
fn answer_without_tasks(scope: &mut RequestScope<'_>) {
    if scope.run().is_some() {
        return scope.answer(&ListAnswer::default());
    }
    let stats = scope.hub().writer().send(GetStats);
    scope.call(stats, |scope, stats| {
        scope.answer(&ListAnswer {
            tasks: Vec::new(),
            stats,
            next: None,
        });
    });
}

/// Answers with the tasks of a listing, and with the reasons for which they wait.
pub(super) fn answer_listing(listing: Listing, tail: ListTail, scope: &mut RequestScope<'_>) {
    let hub = scope.hub().clone();
    let context = async move { Arc::new(hub.wait_context().await) };
    scope.call_ok(context, move |scope, context| {
        let listing = Box::new(listing.explained(context));
        read_piece(listing, Vec::new(), tail, scope);
    });
}

/// Reads the listing until it is complete, and answers at once, or until it is too long for that.
fn read_piece(
    listing: Box<Listing>,
    mut json: Vec<u8>,
    tail: ListTail,
    scope: &mut RequestScope<'_>,
) {
    let query = StoreQuery::List(listing, SHORT_ANSWER_BYTES as u64);
    scope.query(query, move |scope, reply| {
        let QueryReply::Piece(ListPiece {
            json: more,
            listing,
            needs,
        }) = reply
        else {
            return;
        };
        match json.is_empty() {
            true => json = more,
            false => json.extend_from_slice(&more),
        }
        if listing.is_over() {
            with_tail(scope, &listing, tail, move |scope, end| {
                scope.answer_json([TASKS, &json, &end].concat());
            });
        } else if needs.is_none() && json.len() < SHORT_ANSWER_BYTES {
            read_piece(listing, json, tail, scope);
        } else {
            scope.answer_long(LongAnswer::Tasks {
                listing,
                json,
                needs,
                tail,
            });
        }
    });
}

/// Runs `then` with the end of a list's JSON.
pub fn with_tail(
    scope: &mut RequestScope<'_>,
    listing: &Listing,
    tail: ListTail,
    then: impl FnOnce(&mut RequestScope<'_>, Vec<u8>) + 'static,
) {
    match tail {
        ListTail::Wait(count) => {
            let finished = listing.listed == count && listing.ended == count;
            then(scope, format!("],\"finished\":{finished}}}").into_bytes());
        }
        ListTail::ListOfRun => then(scope, list_end(&Stats::default(), listing.next)),
        ListTail::List => {
            let next = listing.next;
            let stats = scope.hub().writer().send(GetStats);
            scope.call(stats, move |scope, stats| {
                then(scope, list_end(&stats, next));
            });
        }
    }
}

fn list_end(stats: &Stats, next: Option<TaskId>) -> Vec<u8> {
    let mut end = b"],\"stats\":".to_vec();
    // To write numbers and names into memory cannot fail.
    let _ = serde_json::to_writer(&mut end, stats);
    if let Some(next) = next {
        end.extend_from_slice(format!(",\"next\":{next}").as_bytes());
    }
    end.push(b'}');
    end
}
