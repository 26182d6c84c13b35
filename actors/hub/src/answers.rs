//! Conversions of the hub's data into the answers of the protocol.

use crate::credentials::certificate_of;
use crate::leases::Holder;
use kirosu_protocol::{
    AccessRole, AgentInfo, AgentsAnswer, AttemptOutput, AuditLine, Error, ErrorCode, GetAnswer,
    GetParams, HeldLease, KeyInfo, KeyListAnswer, OverlapPolicy, ScheduleInfo, ScheduleListAnswer,
    TaskId, TreeAnswer, TreeNode,
};
use kirosu_protocol::{NoticeKind, NotifyListAnswer, NotifyTarget, NotifyTargetInfo};
use kirosu_store::{AuditEntry, Credential, OutputChunk, ScheduleEntry, TargetRow, TaskDetail};
use kirosu_supervision::{ChildSnapshot, ChildStatus};
use std::collections::HashMap;

/// The answer to `tree`.
pub(crate) fn tree(root: &ChildSnapshot) -> TreeAnswer {
    TreeAnswer { tree: branch(root) }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The answer to `key_list`. Keys with a role of a later version have no rights in this one and are left out.
pub(crate) fn keys(stored: Vec<Credential>) -> KeyListAnswer {
    let info = |key: Credential| {
        Some(KeyInfo {
            role: AccessRole::from_name(&key.role)?,
            scope: serde_json::from_str(&key.scope).ok()?,
            certificate: certificate_of(&key.hash).map(str::to_owned),
            name: key.name,
            created_at: seconds(key.created_ms),
            expires_at: key.expires_ms.map(seconds),
            used_at: key.used_ms.map(seconds),
            revoked_at: key.revoked_ms.map(seconds),
        })
    };
    KeyListAnswer {
        keys: stored.into_iter().filter_map(info).collect(),
    }
}

/// The answer to `schedule_list`. Schedules with values of a later version are left out.
pub(crate) fn schedules(stored: Vec<ScheduleEntry>) -> ScheduleListAnswer {
    let info = |it: ScheduleEntry| {
        Some(ScheduleInfo {
            spec: serde_json::from_str(&it.spec).ok()?,
            missed: it.missed.parse().ok()?,
            overlap: OverlapPolicy::from_name(&it.overlap)?,
            name: it.name,
            jitter_ms: it.jitter_ms,
            paused: it.paused,
            queue: it.queue,
            task_type: it.task_type,
            prompt: it.prompt,
            next_at: it.due_at.map(seconds),
            last_at: it.last_at.map(seconds),
            last_task: it.last_task,
            last_status: it.last_status,
            fired: it.fired,
            skipped: it.skipped,
            error: it.error,
            created_at: seconds(it.created_at),
        })
    };
    ScheduleListAnswer {
        schedules: stored.into_iter().filter_map(info).collect(),
    }
}

/// An entry of the answer to `audit`.
pub(crate) fn audit_line(entry: AuditEntry) -> AuditLine {
    AuditLine {
        id: entry.id,
        at: seconds(entry.at_ms),
        who: entry.who,
        role: entry.role,
        peer: entry.peer,
        method: entry.method,
        task_id: entry.first_task,
        last_task_id: entry
            .last_task
            .filter(|last| Some(*last) != entry.first_task),
        target: entry.target,
        code: entry.code,
        count: entry.count,
    }
}

fn branch(node: &ChildSnapshot) -> TreeNode {
    let seconds = |ms: u64| ms as f64 / 1000.0;
    TreeNode {
        name: node.id.to_string(),
        state: state(node.state).into(),
        kind: node.kind.to_string(),
        restarts: u64::from(node.restarts) + node.past.map_or(0, |past| past.restarts),
        last_exit: node.last_exit.as_ref().map(ToString::to_string),
        next_restart_in: node.next_restart_in_ms.map(seconds),
        mailbox: node.mailbox_len,
        handled: Some(node.handled),
        uptime: node.up_for_ms.map(seconds),
        children: node.children.iter().map(branch).collect(),
    }
}

fn state(state: ChildStatus) -> &'static str {
    match state {
        ChildStatus::Starting => "starting",
        ChildStatus::Running => "running",
        ChildStatus::BackingOff => "backing_off",
        ChildStatus::Stopping => "stopping",
        ChildStatus::Stopped => "stopped",
        ChildStatus::GaveUp => "gave_up",
    }
}

/// The error `unknown_task`, for an id that no task has.
pub(crate) fn no_such_task(task_id: TaskId) -> Error {
    Error::new(
        ErrorCode::UnknownTask,
        format!("no task has the id {task_id}"),
    )
}

/// The answer to `get`.
///
/// # Errors
///
/// `invalid_params` if the task has no such attempt.
pub(crate) fn detail(detail: TaskDetail, params: &GetParams) -> Result<GetAnswer, Error> {
    let newest = detail.task.fence;
    if params.attempt.is_some_and(|attempt| attempt > newest) {
        let message = match newest {
            0 => format!("task {} had no attempt yet", params.task_id),
            _ => format!("the newest attempt of task {} is {newest}", params.task_id),
        };
        return Err(Error::invalid_params(format!(
            "invalid params: `attempt` is unknown: {message}"
        )));
    }
    let output = AttemptOutput {
        fence: params.attempt.unwrap_or(newest),
        cut: detail.output_cut,
        ..AttemptOutput::default()
    };
    Ok(GetAnswer {
        task: detail.task,
        attempts: detail.attempts,
        depends_on: detail.depends_on,
        progress: detail.progress,
        decisions: detail.decisions,
        output: params.output.then(|| gathered(output, &detail.output)),
    })
}

/// The chunks of one attempt as one text. Empty if the attempt printed nothing.
fn gathered(mut output: AttemptOutput, chunks: &[OutputChunk]) -> Vec<AttemptOutput> {
    let Some(last) = chunks.last() else {
        return Vec::new();
    };
    output.text = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    output.next_chunk = Some(last.chunk + 1);
    vec![output]
}

/// The answer to `agents`: all sessions, and the connections without a session that hold leases.
pub(crate) fn agents(
    mut agents: Vec<AgentInfo>,
    mut by_holder: HashMap<Holder, Vec<HeldLease>>,
) -> AgentsAnswer {
    for agent in &mut agents {
        if let Some(session) = agent.session_id.as_deref()
            && let Some(leases) = by_holder.remove(&Holder::Session(session.into()))
        {
            agent.leases = leases;
        }
    }
    let mut without_session: Vec<(u64, Vec<HeldLease>)> = by_holder
        .into_iter()
        .filter_map(|(holder, leases)| match holder {
            Holder::Session(_) => None,
            Holder::Connection(connection) => Some((connection.0, leases)),
        })
        .collect();
    without_session.sort_unstable_by_key(|(connection, _)| *connection);
    agents.extend(
        without_session
            .into_iter()
            .map(|(connection, leases)| AgentInfo {
                name: match connection {
                    0 => "leased before the hub was restarted".into(),
                    number => format!("connection {number}"),
                },
                leases,
                ..AgentInfo::default()
            }),
    );
    agents.sort_by(|a, b| a.since.total_cmp(&b.since));
    AgentsAnswer {
        agents,
        ..AgentsAnswer::default()
    }
}

/// The answer to `notify_list`: the targets of the settings, with their stored states.
pub fn notify_list(targets: &[NotifyTarget], rows: &[TargetRow]) -> NotifyListAnswer {
    let info = |target: &NotifyTarget| {
        let row = rows.iter().find(|row| row.name == target.name);
        let count =
            |of: fn(&TargetRow) -> i64| row.map_or(0, |row| u64::try_from(of(row)).unwrap_or(0));
        let events = NoticeKind::ALL.into_iter();
        NotifyTargetInfo {
            name: target.name.clone(),
            kind: target.kind,
            events: events
                .filter(|kind| target.events & kind.bit() != 0)
                .collect(),
            pending: count(|row| row.pending),
            lost: count(|row| row.lost),
            delivered: row.and_then(|row| row.delivered),
            delivered_at: row
                .and_then(|row| row.delivered_at)
                .map(|ms| ms as f64 / 1000.0),
            failing: row.and_then(TargetRow::failing),
        }
    };
    let mut targets: Vec<NotifyTargetInfo> = targets.iter().map(info).collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    NotifyListAnswer { targets }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::ConnectionId;

    #[test]
    fn leases_are_listed_with_their_holders() {
        let session = |id: &str, since| AgentInfo {
            session_id: Some(id.into()),
            since,
            ..AgentInfo::default()
        };
        let lease = |task_id| HeldLease { task_id, fence: 1 };
        let of_session = |id: &str| Holder::Session(id.into());
        let held = HashMap::from([
            (of_session("b"), vec![lease(1), lease(3)]),
            (Holder::Connection(ConnectionId(7)), vec![lease(2)]),
            (of_session("gone"), vec![lease(4)]),
            (Holder::Connection(ConnectionId(0)), vec![lease(5)]),
        ]);
        let answer = agents(vec![session("a", 2.0), session("b", 1.0)], held);
        let listed: Vec<(Option<&str>, &str, Vec<TaskId>)> = answer
            .agents
            .iter()
            .map(|agent| {
                let tasks = agent.leases.iter().map(|lease| lease.task_id);
                (agent.session_id.as_deref(), &*agent.name, tasks.collect())
            })
            .collect();
        let expected = [
            (None, "leased before the hub was restarted", vec![5]),
            (None, "connection 7", vec![2]),
            (Some("b"), "", vec![1, 3]),
            (Some("a"), "", vec![]),
        ];
        assert_eq!(listed, expected);
    }
}
