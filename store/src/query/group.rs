//! The tasks of a group, page by page, newest id first, and their number per status.
//!
//! A group with a label, a parent or ranges of ids reads as many rows as these have tasks. A group of a queue alone is
//! read like `list`, and counted by the lanes.

use super::list;
use crate::row::state_number;
use crate::sql;
use crate::sql::counter::{LaneRow, SelectLanes};
use diesel::query_builder::BoxedSqlQuery;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::{Group, IdRange, Status, TaskId};

/// A query for tasks of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupQuery {
    /// The group.
    pub group: Group,
    /// Only tasks with one of these statuses; empty means any.
    pub statuses: Vec<Status>,
    /// Only ids below this; `None` means all.
    pub before: Option<TaskId>,
    /// At most this many.
    pub limit: u32,
}

/// A page of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdPage {
    /// Newest id first.
    pub ids: Vec<TaskId>,
    /// `before` of the next page; `None` means that there is none.
    pub next: Option<TaskId>,
}

/// A page of a group's tasks.
pub(crate) fn page(conn: &mut SqliteConnection, query: &GroupQuery) -> QueryResult<IdPage> {
    let limit = query.limit.max(1) as usize;
    let group = &query.group;
    if group.labels.is_empty() && group.parent_id.is_none() && group.ranges.is_empty() {
        return of_queue(conn, query, limit);
    }
    let lanes = match &group.queue {
        Some(queue) => Some(lanes_of(conn, queue)?),
        None => None,
    };
    let before = query.before.unwrap_or(TaskId::MAX);
    let condition = conditions(&query.statuses, lanes.as_deref());
    let ids = members(conn, group, &condition, before, limit)?;
    let next = ids.last().copied().filter(|_| ids.len() == limit);
    Ok(IdPage { ids, next })
}

/// The number of tasks of a group per state, by the state's number.
pub(crate) fn counts(conn: &mut SqliteConnection, group: &Group) -> QueryResult<[i64; 8]> {
    let lanes = match &group.queue {
        Some(queue) => Some(lanes_of(conn, queue)?),
        None => None,
    };
    let mut counts = [0; 8];
    if group.labels.is_empty() && group.parent_id.is_none() && group.ranges.is_empty() {
        for lane in lanes.iter().flatten() {
            for (sum, count) in counts.iter_mut().zip(lane.counts) {
                *sum += count;
            }
        }
        return Ok(counts);
    }
    let condition = conditions(&[], lanes.as_deref());
    for range in parts(group, TaskId::MAX) {
        let text = format!(
            "SELECT +t.state, count(*) FROM {}{condition} GROUP BY +t.state",
            source(group, range)
        );
        for (state, count) in sql::all::<(i64, i64), _>(conn, bound(group, text))? {
            if let Some(sum) = usize::try_from(state)
                .ok()
                .and_then(|at| counts.get_mut(at))
            {
                *sum += count;
            }
        }
    }
    Ok(counts)
}

/// The ids of a group that is more than a queue, newest first; `condition` begins with ` AND`, or is empty.
pub(crate) fn members(
    conn: &mut SqliteConnection,
    group: &Group,
    condition: &str,
    before: TaskId,
    limit: usize,
) -> QueryResult<Vec<TaskId>> {
    let mut ids: Vec<TaskId> = Vec::new();
    for range in parts(group, before) {
        let room = limit - ids.len();
        let room = i64::try_from(room).unwrap_or(-1);
        // Ordered by the id of the first table, which is read in this order.
        let by = if group.labels.is_empty() && group.parent_id.is_none() {
            "t.id"
        } else {
            "g.task_id"
        };
        let text = format!(
            "SELECT t.id FROM {}{condition} ORDER BY {by} DESC LIMIT {room}",
            source(group, range)
        );
        ids.extend(sql::all::<TaskId, _>(conn, bound(group, text))?);
        if ids.len() >= limit {
            break;
        }
    }
    Ok(ids)
}

/// The ranges of ids of a group below an id, the largest ids first, without overlaps.
fn parts(group: &Group, before: TaskId) -> Vec<IdRange> {
    let mut ranges = match group.ranges.is_empty() {
        true => vec![IdRange {
            first: 1,
            last: TaskId::MAX,
        }],
        false => group.ranges.clone(),
    };
    ranges.sort_unstable_by_key(|range| std::cmp::Reverse(range.last));
    let mut below = before;
    ranges.retain_mut(|range| {
        range.last = range.last.min(below - 1);
        let is_new = range.first <= range.last;
        if is_new {
            below = range.first;
        }
        is_new
    });
    ranges
}

/// The tables that have a group's tasks with ids of a range, and the condition for it.
fn source(group: &Group, IdRange { first, last }: IdRange) -> String {
    // CROSS JOIN forces this order on SQLite.
    let (from, id) = match (group.labels.is_empty(), group.parent_id) {
        (false, _) => (
            "task_label g CROSS JOIN task t ON t.id = g.task_id WHERE g.label = ?".to_owned(),
            "g.task_id",
        ),
        (true, Some(parent)) => (
            format!("child g CROSS JOIN task t ON t.id = g.task_id WHERE g.parent_id = {parent}"),
            "g.task_id",
        ),
        (true, None) => ("task t WHERE true".to_owned(), "t.id"),
    };
    let mut text = format!("{from} AND {id} BETWEEN {first} AND {last}");
    if let (false, Some(parent)) = (group.labels.is_empty(), group.parent_id) {
        text += &format!(
            " AND EXISTS (SELECT 1 FROM child c WHERE c.parent_id = {parent} AND c.task_id = t.id)"
        );
    }
    for _ in group.labels.iter().skip(1) {
        text += " AND EXISTS (SELECT 1 FROM task_label m WHERE m.label = ? AND m.task_id = t.id)";
    }
    text
}

/// Binds the group's labels to the statement.
fn bound<'a>(
    group: &'a Group,
    text: String,
) -> BoxedSqlQuery<'a, Sqlite, diesel::query_builder::SqlQuery> {
    let labels = group.labels.iter();
    labels.fold(sql_query(text).into_boxed(), |query, label| {
        query.bind::<Text, _>(label)
    })
}

/// The conditions on state and lane. The unary plus keeps SQLite from using an index for them.
pub(crate) fn conditions(statuses: &[Status], lanes: Option<&[LaneRow]>) -> String {
    let mut text = String::new();
    if !statuses.is_empty() {
        let numbers = statuses.iter().map(|status| state_number(*status));
        text += &format!(" AND +t.state IN ({})", joined(numbers));
    }
    if let Some(lanes) = lanes {
        text += &format!(
            " AND +t.lane IN ({})",
            joined(lanes.iter().map(|lane| lane.id))
        );
    }
    text
}

fn joined(numbers: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    numbers.join(",")
}

fn lanes_of(conn: &mut SqliteConnection, queue: &str) -> QueryResult<Vec<LaneRow>> {
    let mut lanes: Vec<LaneRow> = sql::all(conn, SelectLanes {})?;
    lanes.retain(|lane| lane.queue == queue);
    Ok(lanes)
}

/// A page of a queue's tasks: the newest of each status, merged. The list of one status may end before it has examined
/// all ids; the page ends there, too.
fn of_queue(conn: &mut SqliteConnection, query: &GroupQuery, limit: usize) -> QueryResult<IdPage> {
    let statuses = match query.statuses.is_empty() {
        true => &Status::ALL,
        false => query.statuses.as_slice(),
    };
    let (mut ids, mut end) = (Vec::new(), None);
    for status in statuses {
        let ask = super::ListQuery {
            status: Some(*status),
            queue: query.group.queue.clone(),
            limit: limit as i64,
            before_id: query.before,
            ..super::ListQuery::default()
        };
        let found = list::ids(conn, &ask, list::WINDOWS)?;
        ids.extend(found.ids);
        end = end.max(found.next_before);
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    // Below the end of the list that ended first, others may have more.
    ids.retain(|id| end.is_none_or(|end| *id >= end));
    if ids.len() > limit {
        ids.truncate(limit);
        end = ids.last().copied();
    }
    Ok(IdPage { ids, next: end })
}
