//! Tasks that continue the conversation of an earlier one: reports the conversation of a run, and checks whether this pool can
//! go on with it.

use std::path::PathBuf;

use kirosu_protocol::task::{FailureClass, Task};
use kirosu_protocol::{Continued, TaskConversation};
use kirosu_providers::{Provider, RunResult, RunUsage};
use serde::{Deserialize, Serialize};

use super::job::NotRun;
use crate::options::PoolOptions;
use crate::workspace::{EarlierFolder, RunFolder, WorktreeName};

/// The facts in `data` of a conversation.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KeptFacts {
    /// The workspace that contains the folder of the run.
    root: PathBuf,
    /// The worktree, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worktree: Option<WorktreeName>,
    /// Totals up to the end of the run, for providers that count the whole conversation.
    #[serde(default)]
    total: RunUsage,
}

/// The conversation of a run, for a later task. `None` if the provider has none or cannot continue one.
pub(super) fn report(
    options: &PoolOptions,
    provider: &dyn Provider,
    folder: &RunFolder,
    outcome: &RunResult,
) -> Option<Box<TaskConversation>> {
    let found = match outcome {
        Ok(finished) => finished.conversation.clone(),
        Err(failure) => failure.conversation.clone(),
    };
    let found = found.filter(|_| provider.continues())?;
    let facts = KeptFacts {
        root: folder.root.clone(),
        worktree: folder.worktree_name(),
        total: found.total,
    };
    Some(Box::new(TaskConversation {
        session: found.session,
        provider: provider.name().to_owned(),
        pool: Some(options.name.clone()),
        // A path that is not UTF-8 cannot be compared later.
        workdir: folder.dir.to_str().map(str::to_owned),
        folder_removed: folder.made && outcome.is_ok(),
        data: serde_json::to_value(facts).ok(),
    }))
}

/// The conversation that a task continues, for its provider.
pub(super) fn conversation_of(continued: &Continued) -> kirosu_providers::Conversation {
    kirosu_providers::Conversation {
        session: continued.conversation.session.clone(),
        total: facts_of(continued).unwrap_or_default().total,
    }
}

/// The folder of the earlier task; `None` for a task that continues none.
pub(crate) fn folder_of(task: &Task) -> Option<EarlierFolder> {
    let continued = task.continues.as_ref()?;
    let facts = facts_of(continued).unwrap_or_default();
    let dir = continued.conversation.workdir.clone();
    Some(EarlierFolder {
        task_id: continued.task_id,
        is_own: task.continues_itself(),
        dir: dir.unwrap_or_default().into(),
        root: facts.root,
        worktree: facts.worktree,
    })
}

fn facts_of(continued: &Continued) -> Option<KeptFacts> {
    let data = continued.conversation.data.clone()?;
    serde_json::from_value(data).ok()
}

/// Checks that this pool and provider had the conversation that a task continues, and can go on with it.
///
/// # Errors
/// The task fails: another attempt here would fail as well.
pub(super) fn check(
    options: &PoolOptions,
    provider: &dyn Provider,
    task: &Task,
) -> Result<(), NotRun> {
    let Some(continued) = &task.continues else {
        return Ok(());
    };
    let (id, it) = (continued.task_id, &continued.conversation);
    let why = if it.pool.as_ref().is_some_and(|pool| *pool != options.name) {
        let pool = it.pool.as_deref().unwrap_or_default();
        format!(
            "it ran in the pool '{pool}', and this is the pool '{}': enqueue it to the queue '{pool}'",
            options.name
        )
    } else if it.provider != provider.name() {
        format!(
            "its conversation is one with the provider '{}', and this task is run by '{}'",
            it.provider,
            provider.name()
        )
    } else if !provider.continues() {
        format!(
            "the provider '{}' cannot continue conversations; one of kind `command` needs `resume_args`",
            provider.name()
        )
    } else {
        return Ok(());
    };
    let message = format!("task {id} cannot be continued here: {why}");
    Err(NotRun::Task(FailureClass::BadInput, message))
}
