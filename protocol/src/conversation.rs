//! Conversations: the memory of a provider from one task to the next.
//!
//! A worker reports the conversation of a run with `ack`. A task with `continues` gets the newest one of the task that it names,
//! and its worker goes on with it in the same folder.

use crate::{Error, Limits, Params, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest id of a conversation, and the longest path of its folder, in bytes.
const TEXT_BYTES: usize = 4096;
/// The largest `data` of a conversation, in bytes of JSON.
const DATA_BYTES: usize = 16 << 10;

/// A conversation with a provider, after a run.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskConversation {
    /// The provider's id of the conversation.
    pub session: String,
    /// The provider's name.
    pub provider: String,
    /// The name of the pool, from whose queue a further task is leased unless it names another.
    pub pool: Option<String>,
    /// The folder in which the run began. Agents store conversations by folder.
    pub workdir: Option<String>,
    /// Whether the folder was removed after the run, so that nothing can go on in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub folder_removed: bool,
    /// Further facts that the worker needs to go on: any JSON of at most 16 KiB, which the hub stores and returns.
    pub data: Option<Value>,
}

impl TaskConversation {
    /// Reads the parameter `conversation`. `None` if it is missing.
    ///
    /// # Errors
    /// `invalid_params` that names the field.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<Option<TaskConversation>, Error> {
        let Some(fields) = params.object("conversation")? else {
            return Ok(None);
        };
        let Some(session) = fields
            .opt_text_within("session", TEXT_BYTES)?
            .filter(|id| !id.is_empty())
        else {
            return Err(fields.refuse("session", "the provider's id of the conversation"));
        };
        let Some(provider) = fields.opt_name("provider", limits)? else {
            return Err(fields.refuse("provider", "the provider's name"));
        };
        Ok(Some(TaskConversation {
            session,
            provider,
            pool: fields.opt_name("pool", limits)?,
            workdir: fields.opt_text_within("workdir", TEXT_BYTES)?,
            folder_removed: fields.flag("folder_removed", false)?,
            data: fields.json("data", DATA_BYTES)?,
        }))
    }
}

/// The conversation with which a task begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Continued {
    /// The earlier task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// Its conversation when this task was enqueued.
    pub conversation: TaskConversation,
}

impl Continued {
    /// The approximate memory of its texts, in bytes.
    pub fn weight(&self) -> usize {
        let TaskConversation {
            session,
            provider,
            pool,
            workdir,
            data,
            ..
        } = &self.conversation;
        let texts = [pool, workdir].into_iter().flatten().map(String::len);
        size_of::<Continued>()
            + session.len()
            + provider.len()
            + texts.sum::<usize>()
            + data.as_ref().map_or(0, crate::weight)
    }
}
