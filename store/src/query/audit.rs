//! The audit trail, newest first.

use crate::audit::AuditEntry;
use crate::sql;
use crate::sql::access::{SELECT_AUDIT, about_task};
use diesel::sql_types::Text;
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::TaskId;

/// A query for entries of the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only of this party.
    pub who: Option<String>,
    /// Only about this task.
    pub task: Option<TaskId>,
    /// Only from this time on, in Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Only entries with lower numbers (the cursor).
    pub before: Option<i64>,
    /// Maximum number of entries.
    pub limit: u32,
}

/// The entries that a query asks for, newest first.
pub(crate) fn entries(
    conn: &mut SqliteConnection,
    query: &AuditQuery,
) -> QueryResult<Vec<AuditEntry>> {
    let mut conditions = vec!["(?1 = '' OR who = ?1)".to_owned()];
    conditions.extend(query.task.map(about_task));
    conditions.extend(query.since_ms.map(|at| format!("at >= {at}")));
    conditions.extend(query.before.map(|id| format!("id < {id}")));
    let text = format!(
        "{SELECT_AUDIT} WHERE {} ORDER BY id DESC LIMIT {}",
        conditions.join(" AND "),
        query.limit
    );
    let who = query.who.as_deref().unwrap_or_default();
    sql::all(conn, sql_query(text).bind::<Text, _>(who))
}
