//! `continues`: a task that goes on with the conversation of an earlier one.
//!
//! A conversation is a line, not a tree: its provider appends to it. So a task can be continued while no other task that
//! continues it is unfinished, or has a conversation of its own: then that one is the end of the line. The new task has a copy of
//! the conversation, so that it needs no row of the earlier one.

use crate::backend::{Result, StoreFault};
use crate::core::{CommandResult, Core, wrong_state};
use crate::lanes::Lane;
use crate::row::Flags;
use crate::sql::cold::{PutConversation, SelectContinuedBy, SelectConversation, SetContinuedBy};
use crate::sql::records::TextQuery;
use kirosu_protocol::run::TYPE_PLAN;
use kirosu_protocol::task::{TYPE_HUMAN, TYPE_PYTHON};
use kirosu_protocol::{
    AccessScope, Ack, Continued, Error, Fence, NewTask, TaskConversation, TaskId,
};

/// A new task with all that it has from the earlier one.
pub(super) struct Continuing {
    pub new: NewTask,
    pub continued: Box<Continued>,
}

impl Core {
    /// Keeps the conversation that an accepted ack reports.
    pub(super) fn keep_conversation(&mut self, ack: &Ack) -> Result<()> {
        let Some(conversation) = &ack.conversation else {
            return Ok(());
        };
        let task_id = ack.task_id;
        let Some(fence) = self.tasks.get(task_id).map(|row| row.fence) else {
            return Ok(());
        };
        let body = serde_json::to_string(conversation).map_err(StoreFault::value)?;
        self.write(PutConversation {
            task_id,
            fence,
            body: &body,
        })?;
        self.change(task_id, |row| row.flags.set(Flags::HAS_CONVERSATION));
        Ok(())
    }

    /// The new task with what it does not set itself: queue, type, provider, model, system prompt, folder, time limit and labels
    /// of the earlier one. Refuses a task that cannot be continued now.
    pub(super) fn continuing(&mut self, new: &NewTask, id: TaskId) -> CommandResult<Continuing> {
        let conversation = self.continuable(id)?;
        self.flush_rows()?;
        let input = self.db.input(id)?;
        let input = input.ok_or_else(|| StoreFault::value("a task without an input"))?;
        let (queue, task_type) = self.lane_of(id)?;
        if !new.task_type.is_empty() && new.task_type != task_type {
            let message = format!(
                "invalid params: `type` is '{}', and task {id}, which this one continues, is of the type '{task_type}'; leave it out",
                new.task_type
            );
            return Err(Error::invalid_params(message).into());
        }
        if let Some(provider) = new.provider.as_deref()
            && provider != conversation.provider
        {
            let message = format!(
                "invalid params: `provider` is '{provider}', and the conversation of task {id} is one with '{}'; leave it out",
                conversation.provider
            );
            return Err(Error::invalid_params(message).into());
        }
        let old = input.options;
        let queue = match new.queue.as_str() {
            "" => conversation.pool.clone().unwrap_or(queue),
            given => given.to_owned(),
        };
        let labels = match new.labels.is_empty() {
            true => old.labels,
            false => new.labels.clone(),
        };
        Ok(Continuing {
            new: NewTask {
                queue,
                task_type,
                labels,
                system_prompt: new.system_prompt.clone().or(input.system_prompt),
                provider: new.provider.clone().or(old.provider),
                model: new.model.clone().or(old.model),
                workdir: old.workdir,
                timeout_ms: new.timeout_ms.or(old.timeout_ms),
                ..new.clone()
            },
            continued: Box::new(Continued {
                task_id: id,
                conversation,
            }),
        })
    }

    /// Records which task continues another.
    pub(super) fn set_continued_by(&mut self, id: TaskId, continued_by: TaskId) -> Result<()> {
        self.write(SetContinuedBy {
            continued_by,
            task_id: id,
        })?;
        Ok(())
    }

    /// The refusal of a task that continues another beyond the limits of a key. `None` means that it is within them.
    pub(super) fn continues_beyond(
        &mut self,
        scope: &AccessScope,
        new: &NewTask,
        id: TaskId,
    ) -> CommandResult<Option<(String, &'static str)>> {
        self.known(id)?;
        let (queue, task_type) = self.lane_of(id)?;
        let options = self.task_options(id)?;
        if let Some(limit) = scope.excludes(&queue, &task_type, &options.labels) {
            return Ok(Some((format!("task {id}"), limit)));
        }
        if self.bound_to_key(new)?.is_some() {
            // It is the answer, and nothing is made.
            return Ok(None);
        }
        let new = self.continuing(new, id)?.new;
        let limit = scope.excludes(&new.queue, &new.task_type, &new.labels);
        Ok(limit.map(|limit| {
            let what = format!(
                "a task in the queue '{}', which continues task {id},",
                new.queue
            );
            (what, limit)
        }))
    }

    /// Refuses to queue a task again while another goes on with its conversation, in its folder.
    pub(super) fn check_not_continued(&mut self, id: TaskId) -> CommandResult<()> {
        match self.open_continuation(id)? {
            None => Ok(()),
            Some(other) => {
                let row = self.known(id)?;
                let needed = format!(
                    "and task {other}, which continues it, is not finished; wait for that, or cancel it"
                );
                Err(wrong_state("retry", row, &needed).into())
            }
        }
    }

    /// The unfinished task that continues one which is in memory.
    pub(crate) fn open_continuation(&mut self, id: TaskId) -> Result<Option<TaskId>> {
        let Some(other) = self.continued_by(id)? else {
            return Ok(None);
        };
        let is_open = self.row(other)?.is_some_and(|row| !row.state.is_final());
        Ok(is_open.then_some(other))
    }

    fn continued_by(&mut self, task_id: TaskId) -> Result<Option<TaskId>> {
        let row = self.tasks.get(task_id);
        if !row.is_some_and(|row| row.flags.has(Flags::HAS_CONVERSATION)) {
            return Ok(None);
        }
        self.db.number(SelectContinuedBy { task_id }.into())
    }

    /// The conversation of a task's newest attempt.
    fn conversation_of(&mut self, task_id: TaskId) -> Result<Option<TaskConversation>> {
        let row = self.row(task_id)?;
        let Some(fence) = row
            .filter(|row| row.flags.has(Flags::HAS_CONVERSATION))
            .map(|row| row.fence)
        else {
            return Ok(None);
        };
        self.conversation_at(task_id, fence)
    }

    /// The conversation that an attempt reported, if no later one has reported another.
    pub(super) fn conversation_at(
        &mut self,
        task_id: TaskId,
        fence: Fence,
    ) -> Result<Option<TaskConversation>> {
        let query = TextQuery::Conversation(SelectConversation { task_id, fence });
        let text = self.db.text(query)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(StoreFault::value)
    }

    /// The conversation with which a new task can go on. Refuses an earlier task that has none, or that is not the end of its
    /// line.
    fn continuable(&mut self, id: TaskId) -> CommandResult<TaskConversation> {
        let row = self.known(id)?;
        if !row.state.is_final() {
            let needed = "and a task is continued when it has ended; wait for it, or cancel it";
            return Err(wrong_state("continue", row, needed).into());
        }
        let (_, task_type) = self.lane_of(id)?;
        if [TYPE_PLAN, TYPE_HUMAN, TYPE_PYTHON].contains(&task_type.as_str()) {
            let why = format!("it is of the type '{task_type}', which is no conversation");
            return Err(self.not_continuable(id, &why));
        }
        let Some(conversation) = self.conversation_of(id)? else {
            let why = "no conversation of its newest attempt is known: the run was lost or cancelled, or its provider cannot continue one";
            return Err(self.not_continuable(id, why));
        };
        if conversation.folder_removed {
            let why = "its folder was removed when it had ended, as its pool has a new folder for each attempt (`workspace = \"ephemeral\"`)";
            return Err(self.not_continuable(id, why));
        }
        if let Some(other) = self.continued_by(id)? {
            let state = self.row(other)?.map(|row| row.state);
            if let Some(state) = state.filter(|state| !state.is_final()) {
                let why = format!(
                    "task {other}, which is {state}, continues it; wait for that, or cancel it"
                );
                return Err(self.not_continuable(id, &why));
            }
            if self.conversation_of(other)?.is_some() {
                let why =
                    format!("task {other} has continued its conversation; continue task {other}");
                return Err(self.not_continuable(id, &why));
            }
        }
        Ok(conversation)
    }

    fn not_continuable(&mut self, id: TaskId, why: &str) -> crate::core::CommandError {
        self.wrong_state_of(id, format!("cannot continue task {id}: {why}"))
    }

    /// Queue and type of a task that is in memory.
    fn lane_of(&mut self, id: TaskId) -> Result<(String, String)> {
        let lane = self.tasks.get(id).and_then(|row| self.lanes.get(row.lane));
        let names = |lane: &Lane| (lane.queue.to_string(), lane.task_type.to_string());
        lane.map(names)
            .ok_or_else(|| StoreFault::value("a task without a lane"))
    }
}
