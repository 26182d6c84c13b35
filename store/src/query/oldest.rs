//! The oldest waiting task of each queue and state, for `metrics`.
//!
//! The cost is bounded at any size: ready tasks are found by one index step per priority in use, tasks in other waiting
//! states among the [`EXAMINED`] oldest of their state, and there are only as many leases as workers.

use crate::sql::{self, row, statement};
use diesel::{QueryResult, SqliteConnection};
use kirosu_protocol::Status;
use std::collections::BTreeMap;

/// Tasks of a state that are examined.
const EXAMINED: i64 = 10_000;

row! {
    /// The time since which the oldest task of a queue is in its state.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Oldest {
        /// The queue.
        pub queue: String,
        /// The state.
        pub status: Status,
        /// Unix milliseconds. For `queued`: the time of the enqueue, or `run_at` if that is later; otherwise the time at
        /// which it entered the state.
        pub since_ms: i64,
    }
}

statement! {
    /// Lanes with ready tasks.
    SelectReadyLanes {} "SELECT id, queue FROM lane WHERE queued > 0 ORDER BY id"
}

statement! {
    /// The oldest ready task of a lane: the lowest id of each priority, at most 64 priorities.
    SelectOldestReady { first: i64, next: i64, lane: i64 }
    "WITH RECURSIVE step(priority) AS ( \
       SELECT (SELECT priority FROM task WHERE state = 0 AND lane = ? ORDER BY priority DESC LIMIT 1) \
       UNION ALL \
       SELECT (SELECT priority FROM task WHERE state = 0 AND lane = ? AND priority < step.priority \
               ORDER BY priority DESC LIMIT 1) \
       FROM step WHERE step.priority IS NOT NULL LIMIT 64) \
     SELECT min(max(t.created_at, coalesce(t.run_at, 0))) FROM step JOIN task t ON t.id = \
       (SELECT id FROM task WHERE state = 0 AND lane = ? AND priority = step.priority ORDER BY id LIMIT 1)"
}

statement! {
    /// The oldest lease of each queue.
    SelectOldestLeased {}
    "SELECT l.queue, 4, min(coalesce(t.leased_at, t.updated_at)) FROM task t JOIN lane l ON l.id = t.lane \
     WHERE t.state = 4 GROUP BY l.queue"
}

statement! {
    /// The oldest task of each queue in another waiting state.
    SelectOldestWaiting { state: i64, limit: i64 }
    "SELECT l.queue, t.state, min(t.updated_at) FROM \
     (SELECT state, lane, updated_at FROM task \
      WHERE state <> 0 AND state <> 4 AND state <> 5 AND state = ? ORDER BY id LIMIT ?) t \
     JOIN lane l ON l.id = t.lane GROUP BY l.queue"
}

/// The oldest task of each queue and waiting state.
pub(crate) fn oldest(conn: &mut SqliteConnection) -> QueryResult<Vec<Oldest>> {
    let mut ready: BTreeMap<String, i64> = BTreeMap::new();
    for (id, queue) in sql::all::<(i64, String), _>(conn, SelectReadyLanes {})? {
        let ask = SelectOldestReady {
            first: id,
            next: id,
            lane: id,
        };
        if let Some(Some(since)) = sql::first::<Option<i64>, _>(conn, ask)? {
            let known = ready.entry(queue).or_insert(since);
            *known = since.min(*known);
        }
    }
    let ready = ready.into_iter().map(|(queue, since_ms)| Oldest {
        queue,
        status: Status::Queued,
        since_ms,
    });
    let mut all: Vec<Oldest> = ready.collect();
    all.extend(sql::all::<Oldest, _>(conn, SelectOldestLeased {})?);
    for status in [Status::Blocked, Status::Scheduled, Status::AwaitingApproval] {
        let state = crate::row::state_number(status);
        let limit = EXAMINED;
        all.extend(sql::all::<Oldest, _>(
            conn,
            SelectOldestWaiting { state, limit },
        )?);
    }
    Ok(all)
}
