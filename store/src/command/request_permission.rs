//! `ask`: a running agent requests permission to use a tool.

use crate::backend::{Result, StoreFault};
use crate::core::{CommandResult, Core};
use crate::outcome::{Outcome, PermissionAnswer};
use crate::row::Flags;
use crate::rules::approval::{args_hash, shown_args, shown_options};
use crate::sql::approval::{
    CountOpen, DetachPermission, InsertApproval, MarkDelivered, Permission, Rebind, SelectApproval,
    SelectCall, SelectLeftBehind, state_number,
};
use kirosu_protocol::verbs::ask::AskParams;
use kirosu_protocol::{Error, ErrorCode, EventKind, Fence, PermissionId, PermissionState};

/// Open requests that one task may have.
const OPEN_PER_TASK: i64 = 1000;

impl Core {
    /// Records a permission request, or returns its state. A decision is returned to its attempt as often as that asks,
    /// and never to another attempt.
    pub(crate) fn request_permission(&mut self, ask: &AskParams) -> CommandResult<Outcome> {
        let newest = self.known(ask.task_id)?.fence;
        let fence = ask.fence.unwrap_or(newest);
        self.held("ask about a tool of", ask.task_id, fence)?;
        let call = SelectCall {
            task_id: ask.task_id,
            fence,
            call: &ask.call,
        };
        let hash = args_hash(ask);
        match self.db.permissions(call.into())?.pop() {
            // Another call with the same name must not receive this decision.
            Some(question) if question.args_hash != hash => Err(renamed(ask).into()),
            Some(question) if ask.withdrawn => self.withdraw(question),
            Some(question) => self.answer_permission(question),
            None if ask.withdrawn => Err(unasked(ask).into()),
            None => self.add_permission(ask, fence, &hash),
        }
    }

    fn add_permission(
        &mut self,
        ask: &AskParams,
        fence: Fence,
        hash: &str,
    ) -> CommandResult<Outcome> {
        if ask.decided.is_none()
            && let Some(question) = self.take_over(ask, fence, hash)?
        {
            return self.answer_permission(question);
        }
        let task_id = ask.task_id;
        if ask.decided.is_none() {
            let open = self.db.number(CountOpen { task_id }.into())?;
            if open.unwrap_or(0) >= OPEN_PER_TASK {
                let message = format!(
                    "task {task_id} has {OPEN_PER_TASK} open permission requests, which is the limit; decide some, then send it again"
                );
                return Err(Error::new(ErrorCode::Busy, message).into());
            }
        }
        let id = self.insert_permission(ask, fence, hash)?;
        let inserted = self.db.permissions(SelectApproval { id }.into())?.pop();
        let question =
            inserted.ok_or_else(|| StoreFault::value("a new permission request is missing"))?;
        self.report_permission(&question);
        self.answer_permission(question)
    }

    /// Binds the request of a lost attempt, or of an agent process of this attempt that died, to this attempt.
    fn take_over(
        &mut self,
        ask: &AskParams,
        fence: Fence,
        hash: &str,
    ) -> Result<Option<Permission>> {
        let left = SelectLeftBehind {
            task_id: ask.task_id,
            args_hash: hash,
            fence,
            now: self.now(),
        };
        let Some(mut question) = self.db.permissions(left.into())?.pop() else {
            return Ok(None);
        };
        // An open request gets the deadline of this attempt; a decided one keeps its own for the record.
        let deadline_at = match question.state {
            PermissionState::Open => self.deadline_of(ask),
            _ => question.deadline_at,
        };
        self.write(Rebind {
            fence,
            call: &ask.call,
            deadline_at,
            id: question.id,
        })?;
        if question.state == PermissionState::Open {
            self.deadlines.add_permission(deadline_at);
        }
        question.fence = fence;
        Ok(Some(question))
    }

    /// The deadline in Unix milliseconds; `None` means no deadline.
    fn deadline_of(&self, ask: &AskParams) -> Option<i64> {
        let wait = ask.wait_ms.filter(|_| ask.decided.is_none())?;
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        Some(self.now().saturating_add(wait))
    }

    fn insert_permission(
        &mut self,
        ask: &AskParams,
        fence: Fence,
        hash: &str,
    ) -> Result<PermissionId> {
        let now = self.now();
        let args = shown_args(ask);
        let options = shown_options(ask);
        let deadline_at = self.deadline_of(ask);
        let state = ask
            .decided
            .as_ref()
            .map_or(PermissionState::Open, |ruled| ruled.verdict.state());
        let insert = InsertApproval {
            task_id: ask.task_id,
            fence,
            call: &ask.call,
            tool: &ask.tool,
            kind: ask.kind.as_deref(),
            title: &ask.title,
            args: args.as_deref(),
            args_hash: hash,
            pool: ask.pool.as_deref(),
            state: state_number(state),
            used: i64::from(ask.decided.is_some()),
            asked_at: now,
            deadline_at,
            decided_at: ask.decided.as_ref().map(|_| now),
            rule: ask.decided.as_ref().map(|ruled| ruled.rule.as_str()),
            options: options.as_deref(),
        };
        let id = self.db.insert_permission(insert)?;
        self.deadlines.add_permission(deadline_at);
        if self
            .tasks
            .get(ask.task_id)
            .is_some_and(|row| !row.flags.has(Flags::ASKED))
        {
            self.change(ask.task_id, |row| row.flags.set(Flags::ASKED));
        }
        Ok(id)
    }

    fn answer_permission(&mut self, question: Permission) -> CommandResult<Outcome> {
        if question.state != PermissionState::Open && !question.used {
            self.write(MarkDelivered { id: question.id })?;
        }
        Ok(Outcome::Permission(PermissionAnswer {
            approval_id: question.id,
            state: question.state,
            reason: question.reason,
            by: question.by,
            rule: question.rule,
            option: question.chosen,
        }))
    }

    fn withdraw(&mut self, question: Permission) -> CommandResult<Outcome> {
        if !question.used {
            self.write(DetachPermission { id: question.id })?;
        }
        Ok(Outcome::Permission(PermissionAnswer {
            approval_id: question.id,
            state: question.state,
            reason: None,
            by: None,
            rule: None,
            option: None,
        }))
    }

    /// Reports the present state of a request to event subscribers and the holder.
    pub(crate) fn report_permission(&mut self, question: &Permission) {
        self.batch.report(EventKind::Approval {
            approval_id: question.id,
            task_id: question.task_id,
            fence: question.fence,
            state: question.state,
            tool: question.tool.clone(),
            title: question.title.clone(),
            by: question.by.clone(),
            rule: question.rule.clone(),
        });
    }
}

fn renamed(ask: &AskParams) -> Error {
    let message = format!(
        "invalid params: `call` must be unique per permission request: '{}' named another tool or other arguments",
        ask.call
    );
    Error::invalid_params(message)
}

fn unasked(ask: &AskParams) -> Error {
    let message = format!(
        "cannot withdraw a permission request of task {}: there is none with the call '{}'",
        ask.task_id, ask.call
    );
    Error::new(ErrorCode::NotFound, message)
}
