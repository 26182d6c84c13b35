//! Earlier conversations: found, read and repeated from the tasks in the hub.

use super::hub::insist;
use super::request_error::RequestError;
use super::session::{LABEL, PastTurn, folder_label, folder_of, label, session_of, title};
use super::steps;
use super::updates::{answer, note, words};
use crate::cli::{Failure, HubClient, time};
use kirosu_plan::{PlanFormat, compile};
use kirosu_protocol::{ListParams, PlanMetadata, RunParams, TYPE_PLAN, Task, TaskId};
use kirosu_providers::rpc::INVALID_PARAMS;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// Conversations per page.
const PAGE: u32 = 20;
/// Tasks that one answer examines at most, in pages.
const PAGES: usize = 20;
/// Turns of a conversation that are loaded: the newest.
const TURNS: usize = 200;

/// A page of `session/list`.
///
/// # Errors
/// The cursor is not one of an earlier page, or the hub refuses.
pub async fn list(hub: &HubClient, params: &Value) -> Result<Value, RequestError> {
    let cursor = params["cursor"].as_str();
    let mut before = cursor
        .map(|it| it.parse::<TaskId>().ok().filter(|id| *id > 0))
        .map(|id| {
            id.ok_or_else(|| {
                RequestError::new(INVALID_PARAMS, "`cursor` is not of an earlier page")
            })
        })
        .transpose()?;
    let mut labels = vec![LABEL.to_owned()];
    if let Some(cwd) = params["cwd"].as_str() {
        match folder_label(Path::new(cwd)) {
            Some(label) => labels.push(label),
            None => return Ok(json!({"sessions": []})),
        }
    }
    let mut sessions = Vec::new();
    for _ in 0..PAGES {
        let page = ListParams {
            labels: labels.clone(),
            limit: Some(PAGE),
            before,
            ..ListParams::default()
        };
        let page = insist(hub, &page).await?;
        for task in &page.tasks {
            sessions.extend(info(hub, task).await?);
        }
        before = page.next;
        if before.is_none() || !sessions.is_empty() {
            break;
        }
    }
    let mut answer = json!({"sessions": sessions});
    if let Some(next) = before {
        answer["nextCursor"] = next.to_string().into();
    }
    Ok(answer)
}

/// The entry of a conversation by its first task; `None` for a task of a step, which has the labels of its run.
async fn info(hub: &HubClient, first: &Task) -> Result<Option<Value>, Failure> {
    let known = session_of(&first.labels).zip(folder_of(&first.labels));
    let (Some((session, cwd)), true) = (known, is_turn(first)) else {
        return Ok(None);
    };
    let newest = ListParams {
        labels: vec![label(session)],
        limit: Some(1),
        preview_bytes: Some(1),
        ..ListParams::default()
    };
    let newest = insist(hub, &newest).await?.tasks;
    let at = newest.first().map_or(first.updated_at, |it| it.updated_at);
    Ok(Some(json!({
        "sessionId": session,
        "cwd": cwd,
        "title": title(&PastTurn::of(first).words),
        "updatedAt": time::stamp(at),
    })))
}

/// Whether a task is a turn, and not of a step of one.
fn is_turn(task: &Task) -> bool {
    kirosu_protocol::run::StepTask::of(task).is_none()
}

/// The tasks of a conversation, oldest first.
///
/// # Errors
/// The hub refuses.
pub async fn tasks(hub: &HubClient, session: &str) -> Result<Vec<Task>, Failure> {
    let mut params = ListParams {
        labels: vec![label(session)],
        preview_bytes: Some(0),
        ..ListParams::default()
    };
    let mut tasks = Vec::new();
    loop {
        let page = insist(hub, &params).await?;
        tasks.extend(page.tasks.into_iter().filter(is_turn));
        params.before = page.next;
        if params.before.is_none() || tasks.len() >= TURNS {
            break;
        }
    }
    tasks.truncate(TURNS);
    tasks.reverse();
    Ok(tasks)
}

/// The updates that repeat a turn.
///
/// # Errors
/// The hub refuses.
pub async fn repeated(hub: &HubClient, task: &Task) -> Result<Vec<Value>, Failure> {
    let (turn, id) = (PastTurn::of(task), task.task_id);
    let mut updates = vec![words(&format!("task-{id}-prompt"), &turn.words)];
    if task.task_type == TYPE_PLAN {
        let run = insist(hub, &RunParams::of(id)).await?;
        updates.push(steps::plan(plan_of(task).as_ref(), &run.steps));
    }
    let message = format!("task-{id}-end");
    updates.push(match (&turn.outcome, task.status.is_final()) {
        (Some(text), true) if task.status == kirosu_protocol::Status::Done => {
            answer(&message, text)
        }
        (Some(text), _) => answer(&message, &format!("Task {id} {}: {text}", task.status)),
        (None, _) => note(&format!(
            "task {id} is {}; the next prompt shows its end first",
            task.status
        )),
    });
    Ok(updates)
}

/// The plan of a run.
fn plan_of(task: &Task) -> Option<kirosu_plan::Plan> {
    let metadata = PlanMetadata::deserialize(task.metadata.as_ref()?).ok()?;
    let format = match metadata.format.as_deref() {
        Some("toml") => PlanFormat::Toml,
        _ => PlanFormat::Yaml,
    };
    compile(&task.prompt, format).ok()
}
