//! `list`: the ids of a page, newest first, at the same cost at any size of the table.
//!
//! Without a status the table itself has the right order. Settled states and leases have indexes of their own. Nearly
//! all tasks are done: the lanes know the highest done id, and below it done tasks are dense. The ready index is
//! ordered by priority within a lane, so queued tasks are merged from the newest of each lane and priority, which are
//! few. A filter by queue or type without an index examines bounded windows of ids, and may return a short page with a
//! cursor to continue.

use super::{Ids, ListQuery, group};
use crate::row::state_number;
use crate::sql;
use crate::sql::counter::{LaneRow, SelectLanes, SelectNewestDone};
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Group, Status, TaskId};

/// Ids that one step of a filter by lane examines.
const WINDOW: TaskId = 250_000;
/// The condition of `task_leased`.
const LEASED: &str = " AND state = 4";
/// Steps per page.
pub(crate) const WINDOWS: usize = 8;

/// The tasks that a page may contain.
struct ListFilter {
    status: Option<Status>,
    /// The lanes with such tasks; `None` means all.
    lanes: Option<Vec<LaneRow>>,
    /// As in SQLite: negative means no limit.
    limit: i64,
    before: TaskId,
}

/// The ids of a page; a filter by lane takes at most `windows` steps.
pub(crate) fn ids(
    conn: &mut SqliteConnection,
    query: &ListQuery,
    windows: usize,
) -> QueryResult<Ids> {
    let mut last: TaskId = sql::first(conn, sql::task::SelectLastId {})?.unwrap_or(0);
    if query.status == Some(Status::Done) {
        last = last.min(sql::first(conn, SelectNewestDone {})?.unwrap_or(0));
    }
    let filter = ListFilter {
        status: query.status,
        lanes: lanes_of(conn, query)?,
        limit: if query.limit <= 0 { -1 } else { query.limit },
        before: query.before_id.unwrap_or(TaskId::MAX).min(last + 1),
    };
    if !query.labels.is_empty() || !query.ranges.is_empty() {
        let group = Group {
            labels: query.labels.clone(),
            parent_id: query.parent_id,
            ranges: query.ranges.clone(),
            queue: None,
        };
        let statuses = filter.status.as_slice();
        let condition = group::conditions(statuses, filter.lanes.as_deref());
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        let ids = group::members(conn, &group, &condition, filter.before, limit)?;
        let next = ids.last().copied().filter(|_| ids.len() >= limit);
        return Ok(Ids {
            ids,
            next_before: next,
        });
    }
    let (ids, next_before) = match (query.parent_id, filter.status) {
        (Some(parent), _) => (children(conn, parent, &filter)?, None),
        (None, Some(Status::Queued)) => (queued(conn, &filter)?, None),
        _ => by_id(conn, &filter, windows)?,
    };
    let full = filter.limit > 0 && ids.len() as i64 >= filter.limit;
    let next_before = if full {
        ids.last().copied()
    } else {
        next_before
    };
    Ok(Ids { ids, next_before })
}

/// The lanes that a query names, without those that have no such task.
fn lanes_of(conn: &mut SqliteConnection, query: &ListQuery) -> QueryResult<Option<Vec<LaneRow>>> {
    if query.queue.is_none() && query.task_type.is_none() && query.status != Some(Status::Queued) {
        return Ok(None);
    }
    let mut lanes: Vec<LaneRow> = sql::all(conn, SelectLanes {})?;
    lanes.retain(|lane| {
        query
            .queue
            .as_ref()
            .is_none_or(|queue| *queue == lane.queue)
            && query
                .task_type
                .as_ref()
                .is_none_or(|task_type| *task_type == lane.task_type)
            && match query.status {
                Some(status) => lane.counts[state_number(status) as usize] > 0,
                None => lane.counts.iter().any(|count| *count > 0),
            }
    });
    Ok(Some(lanes))
}

/// The newest queued tasks, merged from the newest of each lane and priority.
fn queued(conn: &mut SqliteConnection, filter: &ListFilter) -> QueryResult<Vec<TaskId>> {
    let ListFilter { limit, before, .. } = filter;
    let mut ids = Vec::new();
    for lane in filter.lanes.iter().flatten().map(|lane| lane.id) {
        let mut below = i64::MAX;
        loop {
            let next = format!(
                "SELECT priority FROM task WHERE state = 0 AND lane = {lane} AND priority < {below} \
                 ORDER BY priority DESC LIMIT 1"
            );
            let Some(priority) = sql::first::<i64, _>(conn, sql_query(next))? else {
                break;
            };
            let newest = format!(
                "SELECT id FROM task WHERE state = 0 AND lane = {lane} AND priority = {priority} AND id < {before} \
                 ORDER BY id DESC LIMIT {limit}"
            );
            ids.extend(sql::all::<TaskId, _>(conn, sql_query(newest))?);
            below = priority;
        }
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    if let Ok(limit) = usize::try_from(filter.limit) {
        ids.truncate(limit);
    }
    Ok(ids)
}

/// The newest tasks that one task enqueued; reads as many rows as it has children.
fn children(
    conn: &mut SqliteConnection,
    parent: TaskId,
    filter: &ListFilter,
) -> QueryResult<Vec<TaskId>> {
    let ListFilter { limit, before, .. } = filter;
    let mut condition = String::new();
    if let Some(status) = filter.status {
        // The plus keeps the planner from using an index by state.
        condition = format!(" AND +t.state = {}", state_number(status));
    }
    if let Some(lanes) = &filter.lanes {
        condition += &format!(" AND +t.lane IN ({})", listed(lanes));
    }
    let text = format!(
        "SELECT c.task_id FROM child c CROSS JOIN task t ON t.id = c.task_id \
         WHERE c.parent_id = {parent} AND c.task_id < {before}{condition} ORDER BY c.task_id DESC LIMIT {limit}"
    );
    sql::all(conn, sql_query(text))
}

/// The lanes' ids, for `IN`.
fn listed(lanes: &[LaneRow]) -> String {
    let numbers: Vec<String> = lanes.iter().map(|lane| lane.id.to_string()).collect();
    numbers.join(",")
}

/// The newest tasks of any other status, or of all; and the cursor, if not everything was examined.
fn by_id(
    conn: &mut SqliteConnection,
    filter: &ListFilter,
    windows: usize,
) -> QueryResult<(Vec<TaskId>, Option<TaskId>)> {
    let state = match filter.status.map(|status| (status, state_number(status))) {
        None => String::new(),
        Some((Status::Leased, _)) => LEASED.to_owned(),
        Some((Status::Done, number)) => format!(" AND state = {number}"),
        Some((_, number)) => {
            format!(" AND state <> 0 AND state <> 4 AND state <> 5 AND state = {number}")
        }
    };
    let Some(lanes) = &filter.lanes else {
        let ids = select_ids(conn, 0, filter.before, &state, filter.limit)?;
        return Ok((ids, None));
    };
    if lanes.is_empty() {
        return Ok((Vec::new(), None));
    }
    let condition = format!("{state} AND +lane IN ({})", listed(lanes));
    if filter.limit < 0 {
        return Ok((select_ids(conn, 0, filter.before, &condition, -1)?, None));
    }
    let (mut ids, mut before) = (Vec::new(), filter.before);
    for _ in 0..windows {
        let from = (before - WINDOW).max(0);
        let room = filter.limit - ids.len() as i64;
        ids.extend(select_ids(conn, from, before, &condition, room)?);
        before = from;
        if before == 0 || ids.len() as i64 >= filter.limit {
            break;
        }
    }
    Ok((ids, (before > 1).then_some(before)))
}

fn select_ids(
    conn: &mut SqliteConnection,
    from: TaskId,
    before: TaskId,
    condition: &str,
    limit: i64,
) -> QueryResult<Vec<TaskId>> {
    // Without it the planner scans the table in the order of ids rather than sorting the few live leases.
    let index = if condition.starts_with(LEASED) {
        " INDEXED BY task_leased"
    } else {
        ""
    };
    let text = format!(
        "SELECT id FROM task{index} WHERE id >= {from} AND id < {before}{condition} ORDER BY id DESC LIMIT {limit}"
    );
    sql::all(conn, sql_query(text))
}
