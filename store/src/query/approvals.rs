//! The inbox: permission requests, tasks that await approval, and `human` tasks.

use crate::human_prompt::piece;
use crate::query::rows::{self, Texts};
use crate::sql;
use crate::sql::approval::{Permission, SELECT, state_number};
use diesel::{QueryResult, SqliteConnection, sql_query};
use kirosu_protocol::task::TYPE_HUMAN;
use kirosu_protocol::{
    APPROVALS_LIMIT, Approval, ApprovalKind, ApprovalsParams, Cursor, PermissionState, Task,
    TaskId, WhichState,
};

/// Bytes of titles and arguments after which a page ends.
const PAGE_BYTES: usize = 1 << 20;
/// Bytes at the start of a prompt or an error that are searched for a title.
const TITLE_BYTES: usize = 16 << 10;
/// Permission requests that are read at once.
const STEP: usize = 16;

/// A page of the inbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApprovalPage {
    /// The entries.
    pub approvals: Vec<Approval>,
    /// The start of the next page; `None` means that there is none.
    pub next: Option<Cursor>,
}

/// The most entries of a page.
fn limit(query: &ApprovalsParams) -> usize {
    query.limit.unwrap_or(APPROVALS_LIMIT) as usize
}

/// Reads a page.
pub(crate) fn page(
    conn: &mut SqliteConnection,
    query: &ApprovalsParams,
) -> QueryResult<ApprovalPage> {
    let inbox = query.state == WhichState::Is(PermissionState::Open);
    let mut page = ApprovalPage::default();
    let (tools, runs, humans) = match query.cursor {
        None => (Some(None), Some(0), 0),
        Some(Cursor::Tool(id)) => (Some(Some(id)), Some(0), 0),
        Some(Cursor::Run(id)) => (None, Some(id), 0),
        Some(Cursor::Human(id)) => (None, None, id),
    };
    if let Some(after) = tools {
        permissions(conn, query, inbox, after, &mut page)?;
    }
    if !inbox || page.next.is_some() {
        return Ok(page);
    }
    if let Some(after) = runs {
        // In the form that the index `task_settled` needs.
        let waiting = "state <> 0 AND state <> 4 AND state <> 5 AND state = 3";
        tasks(conn, query, ApprovalKind::Run, waiting, after, &mut page)?;
    }
    if page.next.is_none() {
        let human = format!(
            "state = 0 AND lane IN (SELECT id FROM lane WHERE type = '{TYPE_HUMAN}' AND queued > 0)"
        );
        tasks(conn, query, ApprovalKind::Human, &human, humans, &mut page)?;
    }
    Ok(page)
}

/// Permission requests: open ones oldest first, others newest first.
fn permissions(
    conn: &mut SqliteConnection,
    query: &ApprovalsParams,
    inbox: bool,
    mut from: Option<i64>,
    page: &mut ApprovalPage,
) -> QueryResult<()> {
    let mut condition = match query.state {
        WhichState::Any => "1".to_owned(),
        WhichState::Is(state) => format!("state = {}", state_number(state)),
    };
    if let Some(task) = query.task_id {
        condition += &format!(" AND task_id = {task}");
    }
    let (sign, order) = if inbox { (">", "") } else { ("<", " DESC") };
    let mut bytes = 0;
    loop {
        let room = limit(query) - page.approvals.len();
        let step = room.min(STEP);
        let after = from.map_or_else(String::new, |id| format!(" AND id {sign} {id}"));
        let text = format!("{SELECT}WHERE {condition}{after} ORDER BY id{order} LIMIT {step}");
        let found: Vec<Permission> = sql::all(conn, sql_query(text))?;
        let is_last = found.len() < step;
        for permission in found {
            if bytes > PAGE_BYTES {
                page.next = from.map(Cursor::Tool);
                return Ok(());
            }
            bytes += permission.title.len() + permission.args.as_ref().map_or(0, String::len);
            from = Some(permission.id);
            page.approvals.push(entry(permission));
        }
        match (is_last, page.approvals.len() >= limit(query)) {
            (true, _) => return Ok(()),
            (false, true) => {
                page.next = from.map(Cursor::Tool);
                return Ok(());
            }
            (false, false) => {}
        }
    }
}

fn entry(permission: Permission) -> Approval {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    Approval {
        what: ApprovalKind::Tool,
        approval_id: Some(permission.id),
        task_id: permission.task_id,
        fence: permission.fence,
        state: permission.state,
        title: permission.title,
        tool: Some(permission.tool),
        kind: permission.kind,
        args: permission.args,
        pool: permission.pool,
        queue: None,
        asked_at: seconds(permission.asked_at),
        expires_at: permission.deadline_at.map(seconds),
        decided_at: permission.decided_at.map(seconds),
        by: permission.by,
        reason: permission.reason,
        rule: permission.rule,
        options: permission.options,
        option: permission.chosen,
    }
}

/// Tasks that wait for a person, oldest first.
fn tasks(
    conn: &mut SqliteConnection,
    query: &ApprovalsParams,
    what: ApprovalKind,
    condition: &str,
    after: TaskId,
    page: &mut ApprovalPage,
) -> QueryResult<()> {
    let room = limit(query).saturating_sub(page.approvals.len());
    let cursor = |id| match what {
        ApprovalKind::Human => Cursor::Human(id),
        _ => Cursor::Run(id),
    };
    let one = query
        .task_id
        .map_or_else(String::new, |id| format!(" AND id = {id}"));
    // One row more than fits shows whether there is a next page.
    let text = format!(
        "SELECT id FROM task WHERE {condition} AND id > {after}{one} ORDER BY id LIMIT {}",
        room + 1
    );
    let mut ids: Vec<TaskId> = sql::all(conn, sql_query(text))?;
    if ids.len() > room {
        ids.truncate(room);
        page.next = Some(cursor(ids.last().copied().unwrap_or(after)));
    }
    rows::visit(conn, &ids, Texts::Preview(TITLE_BYTES), 0, |task| {
        page.approvals.push(asking(what, task));
        true
    })?;
    Ok(())
}

fn asking(what: ApprovalKind, task: Task) -> Approval {
    let again = what == ApprovalKind::Run && task.error.is_some();
    let title = match &task.error {
        Some(error) if again => format!("may it run again? {}", piece(error)),
        _ => piece(&task.prompt),
    };
    Approval {
        what,
        task_id: task.task_id,
        fence: task.fence,
        title,
        queue: Some(task.queue),
        asked_at: task.updated_at,
        ..Approval::default()
    }
}
