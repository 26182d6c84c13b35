//! The statements of [`Changes`](crate::backend::Changes): rows, inputs and lanes.

use crate::lanes::Lane;
use crate::row::{TaskInput, TaskRow, state_number};
use crate::sql;
use crate::sql::counter::{InsertLane, UpdateLane};
use crate::sql::task::{ChangingColumns, InsertInput, InsertTask, UpdateTask};
use diesel::result::Error;
use diesel::{QueryResult, SqliteConnection};
use kirosu_protocol::{Fence, Status, TaskId};

/// The values of the columns of a row that change.
fn changing(row: &TaskRow) -> ChangingColumns<'_> {
    ChangingColumns {
        state: state_number(row.state),
        fence: row.fence,
        attempts: i64::from(row.attempts),
        run_at: row.run_at,
        lease_until: row.lease_until,
        lease_ms: row.lease_ms,
        leased_at: row.leased_at,
        session: row.session.as_deref(),
        worker: row.worker.as_deref(),
        leased_by: row.leased_by.as_deref(),
        updated_at: row.updated_at,
        finished_at: row.finished_at,
        flags: row.flags.0,
        blocked_by: i64::from(row.blocked_by),
    }
}

/// Inserts the row of a new task.
pub(super) fn insert_task(conn: &mut SqliteConnection, row: &TaskRow) -> QueryResult<()> {
    let statement = InsertTask {
        id: row.id,
        lane: row.lane,
        priority: i64::from(row.priority),
        max_attempts: row.max_attempts.map(i64::from),
        created_at: row.created_at,
        changing: changing(row),
    };
    sql::run(conn, statement).map(drop)
}

/// Inserts the input of a new task.
pub(super) fn insert_input(
    conn: &mut SqliteConnection,
    task_id: TaskId,
    input: &TaskInput,
) -> QueryResult<()> {
    let options = input
        .options
        .to_text()
        .map_err(|error| Error::SerializationError(error.into()))?;
    let statement = InsertInput {
        task_id,
        prompt: &input.prompt,
        system_prompt: input.system_prompt.as_deref(),
        options: options.as_deref(),
        idempotency_key: input.key.as_deref(),
        text_id: input.long.as_ref().map(|long| long.text),
    };
    sql::run(conn, statement).map(drop)
}

/// Updates the row of a task that is stored with this state and fence.
///
/// # Errors
/// The statement fails, or the stored row has another state or fence.
pub(super) fn update_task(
    conn: &mut SqliteConnection,
    row: &TaskRow,
    (old_state, old_fence): (Status, Fence),
) -> QueryResult<()> {
    let statement = UpdateTask {
        changing: changing(row),
        id: row.id,
        old_state: state_number(old_state),
        old_fence,
    };
    // The guard holds unless another program wrote to the file; then memory is wrong and must be read again.
    match sql::run(conn, statement)? {
        1 => Ok(()),
        _ => Err(Error::RollbackTransaction),
    }
}

/// Writes the counters of a lane, and inserts the lane if it is new.
pub(super) fn write_lane(conn: &mut SqliteConnection, lane: &Lane) -> QueryResult<()> {
    if !lane.saved {
        let statement = InsertLane {
            id: lane.id,
            queue: &lane.queue,
            task_type: &lane.task_type,
        };
        sql::run(conn, statement)?;
    }
    let statement = UpdateLane {
        counts: lane.counts,
        done: lane.done,
        id: lane.id,
    };
    sql::run(conn, statement).map(drop)
}
