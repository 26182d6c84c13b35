//! `ask`: a running agent requests permission to use a tool.

use crate::backend::{Result, StoreFault};
use crate::core::{CommandResult, Core};
use crate::deadlines::Deadline;
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::rules::approval::{args_hash, shown_args, shown_options};
use crate::sql::approval::{
    CountOpen, DetachPermission, InsertApproval, MarkDelivered, Permission, Rebind, SelectApproval,
    SelectCall, SelectLeftBehind, state_number,
};
use kirosu_protocol::{
    AskAnswer, AskParams, Error, ErrorCode, EventKind, Fence, PermissionId, PermissionState,
};

/// Open requests that one task may have.
const OPEN_PER_TASK: i64 = 1000;

impl Core {
    /// Records a permission request, or returns its state. A decision is returned to its attempt as often as that asks,
    /// and never to another attempt.
    pub(crate) fn request_permission(&mut self, request: &AskParams) -> CommandResult<Outcome> {
        let newest = self.known(request.task_id)?.fence;
        let fence = request.fence.unwrap_or(newest);
        self.held("ask about a tool of", request.task_id, fence)?;
        let call = SelectCall {
            task_id: request.task_id,
            fence,
            call: &request.call,
        };
        let hash = args_hash(request);
        match self.db.permissions(call.into())?.pop() {
            // Another call with the same name must not receive this decision.
            Some(permission) if permission.args_hash != hash => Err(renamed(request).into()),
            Some(permission) if request.withdrawn => self.withdraw(permission),
            Some(permission) => self.answer_permission(permission),
            None if request.withdrawn => Err(unasked(request).into()),
            None => self.add_permission(request, fence, &hash),
        }
    }

    fn add_permission(
        &mut self,
        request: &AskParams,
        fence: Fence,
        hash: &str,
    ) -> CommandResult<Outcome> {
        if request.decided.is_none()
            && let Some(permission) = self.take_over(request, fence, hash)?
        {
            return self.answer_permission(permission);
        }
        let task_id = request.task_id;
        if request.decided.is_none() {
            let open = self.db.number(CountOpen { task_id }.into())?;
            if open.unwrap_or(0) >= OPEN_PER_TASK {
                let message = format!(
                    "task {task_id} has {OPEN_PER_TASK} open permission requests, which is the limit; decide some, then send it again"
                );
                return Err(Error::new(ErrorCode::Busy, message).into());
            }
        }
        let id = self.insert_permission(request, fence, hash)?;
        let inserted = self.db.permissions(SelectApproval { id }.into())?.pop();
        let permission =
            inserted.ok_or_else(|| StoreFault::value("a new permission request is missing"))?;
        self.report_permission(&permission);
        self.answer_permission(permission)
    }

    /// Binds the request of a lost attempt, or of an agent process of this attempt that died, to this attempt.
    fn take_over(
        &mut self,
        request: &AskParams,
        fence: Fence,
        hash: &str,
    ) -> Result<Option<Permission>> {
        let left = SelectLeftBehind {
            task_id: request.task_id,
            args_hash: hash,
            fence,
            now: self.now(),
        };
        let Some(mut permission) = self.db.permissions(left.into())?.pop() else {
            return Ok(None);
        };
        // An open request gets the deadline of this attempt; a decided one keeps its own for the record.
        let deadline_at = match permission.state {
            PermissionState::Open => self.deadline_of(request),
            _ => permission.deadline_at,
        };
        self.write(Rebind {
            fence,
            call: &request.call,
            deadline_at,
            id: permission.id,
        })?;
        if permission.state == PermissionState::Open {
            self.deadlines.add(Deadline::Permission, deadline_at);
        }
        permission.fence = fence;
        Ok(Some(permission))
    }

    /// The deadline in Unix milliseconds; `None` means no deadline.
    fn deadline_of(&self, request: &AskParams) -> Option<i64> {
        let wait = request.wait_ms.filter(|_| request.decided.is_none())?;
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        Some(self.now().saturating_add(wait))
    }

    fn insert_permission(
        &mut self,
        request: &AskParams,
        fence: Fence,
        hash: &str,
    ) -> Result<PermissionId> {
        let now = self.now();
        let args = shown_args(request);
        let options = shown_options(request);
        let deadline_at = self.deadline_of(request);
        let state = request
            .decided
            .as_ref()
            .map_or(PermissionState::Open, |ruled| ruled.verdict.state());
        let insert = InsertApproval {
            task_id: request.task_id,
            fence,
            call: &request.call,
            tool: &request.tool,
            kind: request.kind.as_deref(),
            title: &request.title,
            args: args.as_deref(),
            args_hash: hash,
            pool: request.pool.as_deref(),
            state: state_number(state),
            used: i64::from(request.decided.is_some()),
            asked_at: now,
            deadline_at,
            decided_at: request.decided.as_ref().map(|_| now),
            rule: request.decided.as_ref().map(|ruled| ruled.rule.as_str()),
            options: options.as_deref(),
        };
        let id = self.db.insert_permission(insert)?;
        self.deadlines.add(Deadline::Permission, deadline_at);
        if self
            .tasks
            .get(request.task_id)
            .is_some_and(|row| !row.flags.has(Flags::HAS_PERMISSIONS))
        {
            self.change(request.task_id, |row| row.flags.set(Flags::HAS_PERMISSIONS));
        }
        Ok(id)
    }

    fn answer_permission(&mut self, permission: Permission) -> CommandResult<Outcome> {
        if permission.state != PermissionState::Open && !permission.used {
            self.write(MarkDelivered { id: permission.id })?;
        }
        Ok(Outcome::Permission(AskAnswer {
            approval_id: permission.id,
            state: permission.state,
            reason: permission.reason,
            by: permission.by,
            rule: permission.rule,
            option: permission.chosen,
        }))
    }

    fn withdraw(&mut self, permission: Permission) -> CommandResult<Outcome> {
        if !permission.used {
            self.write(DetachPermission { id: permission.id })?;
        }
        Ok(Outcome::Permission(AskAnswer {
            approval_id: permission.id,
            state: permission.state,
            ..AskAnswer::default()
        }))
    }

    /// Reports the present state of a request to event subscribers and the holder.
    pub(crate) fn report_permission(&mut self, permission: &Permission) {
        self.batch.report(EventKind::Approval {
            approval_id: permission.id,
            task_id: permission.task_id,
            fence: permission.fence,
            state: permission.state,
            tool: permission.tool.clone(),
            title: permission.title.clone(),
            by: permission.by.clone(),
            rule: permission.rule.clone(),
        });
    }
}

fn renamed(request: &AskParams) -> Error {
    let message = format!(
        "invalid params: `call` must be unique per permission request: '{}' named another tool or other arguments",
        request.call
    );
    Error::invalid_params(message)
}

fn unasked(request: &AskParams) -> Error {
    let message = format!(
        "cannot withdraw a permission request of task {}: there is none with the call '{}'",
        request.task_id, request.call
    );
    Error::new(ErrorCode::NotFound, message)
}
