//! Statements over every failed task, or those of some lanes. Rarely used, so made anew each time.

use crate::row::LaneId;
use crate::sql::task::hot_columns;

/// Where `retry` sends a task: to a person, to wait for others, or to the queue. The bits are those of `Flags`.
const TARGET: &str =
    "CASE WHEN flags & 8 <> 0 AND flags & 16 = 0 THEN 3 WHEN blocked_by > 0 THEN 1 ELSE 0 END";

/// The failed tasks, of these lanes where some are named.
fn failed(lanes: Option<&[LaneId]>) -> String {
    let index = "state <> 0 AND state <> 4 AND state <> 5 AND state = 6";
    match lanes {
        None => index.to_owned(),
        Some(lanes) => {
            let list: Vec<String> = lanes.iter().map(LaneId::to_string).collect();
            format!("{index} AND +lane IN ({})", list.join(","))
        }
    }
}

/// How many failed tasks of each lane `retry_failed` sends where.
pub(crate) fn select_counts(lanes: Option<&[LaneId]>) -> String {
    let failed = failed(lanes);
    format!(
        "SELECT lane, {TARGET} AS target, count(*) FROM task WHERE {failed} GROUP BY lane, target"
    )
}

/// The first failed tasks, by id.
pub(crate) fn select_first(lanes: Option<&[LaneId]>, limit: i64) -> String {
    let (columns, failed) = (hot_columns!(), failed(lanes));
    format!("SELECT {columns} FROM task WHERE {failed} ORDER BY id LIMIT {limit}")
}

/// Every failed task again. 3 are the flags that say where result and error are, 32 is `REJECTED`, 64 `RETRIED`, 512 `LOST`.
pub(crate) fn update(lanes: Option<&[LaneId]>, now: i64) -> String {
    let failed = failed(lanes);
    format!(
        "UPDATE task SET state = {TARGET}, attempts = 0, run_at = NULL, lease_until = NULL, session = NULL, worker = NULL, \
         finished_at = NULL, flags = (flags & ~(3 | 32 | 512)) | 64, updated_at = {now} WHERE {failed}"
    )
}
