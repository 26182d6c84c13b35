//! The end of a permission request: a person decides, it times out, or its attempt ends.

use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::deadlines::Deadline;
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::rules::approval::{self, DecisionEffect};
use crate::sql::approval::{
    EndApproval, Permission, SelectApproval, SelectOpen, SelectOverdue, SelectReplacement,
    SpendApprovals, state_number,
};
use kirosu_protocol::approval::{call_line, option_named};
use kirosu_protocol::{
    Error, ErrorCode, PermissionId, PermissionState, TaskId, Verdict, stale_approval,
};
use serde_json::json;

/// Characters of a call's program and arguments, and of its title, in the record of a decision. The request keeps them all.
const RECORDED_CHARS: usize = 4000;

impl Core {
    /// Takes a person's decision on a permission request. Repeating it is harmless.
    pub(crate) fn decide_permission(
        &mut self,
        id: PermissionId,
        verdict: Verdict,
        by: Option<&str>,
        reason: Option<&str>,
        option: Option<&str>,
    ) -> CommandResult<Outcome> {
        let found = self.db.permissions(SelectApproval { id }.into())?.pop();
        let Some(permission) = found else {
            let message = format!("there is no permission request a{id}");
            return Err(Error::new(ErrorCode::NotFound, message).into());
        };
        match approval::decide(
            permission.state,
            permission.deadline_at,
            verdict,
            self.now(),
        ) {
            // The same decision again changes nothing, but the same verdict with another option is another decision.
            DecisionEffect::Again
                if option.is_none_or(|word| {
                    let meant = option_named(&permission.options, word).map(|it| it.id.as_str());
                    meant.is_some() && meant == permission.chosen.as_deref()
                }) =>
            {
                return Ok(Outcome::Ok);
            }
            DecisionEffect::Again => {
                return Err(self
                    .stale_permission(&permission, verdict, "decided")?
                    .into());
            }
            DecisionEffect::Stale(why) => {
                return Err(self.stale_permission(&permission, verdict, why)?.into());
            }
            DecisionEffect::Take => {}
        }
        let chosen = approval::choose(id, &permission.options, verdict, option)
            .map_err(Error::invalid_params)?;
        let choice = chosen.as_ref().map(|chosen| format!(": {chosen}"));
        let said = reason.map(|reason| format!(" ({reason})"));
        let Permission {
            tool, title, args, ..
        } = &permission;
        let call = call_line(args.as_deref(), title, RECORDED_CHARS);
        let about = format!(
            "a{id} {tool}: {call}{}{}",
            choice.unwrap_or_default(),
            said.unwrap_or_default()
        );
        self.known(permission.task_id)?;
        self.decide(permission.task_id, verdict.as_str(), by, Some(&about))?;
        self.end_permission(permission, verdict.state(), by, reason, chosen.as_deref())?;
        Ok(Outcome::Ok)
    }

    /// The refusal of a decision on a request that is over. It names the request that replaced this one, if there is
    /// one.
    fn stale_permission(
        &mut self,
        permission: &Permission,
        verdict: Verdict,
        why: &'static str,
    ) -> Result<Error> {
        let Permission { id, task_id, .. } = *permission;
        let verb = match verdict {
            Verdict::Approved => "approve",
            Verdict::Rejected => "reject",
        };
        let later = SelectReplacement {
            task_id,
            args_hash: &permission.args_hash,
            id,
        };
        let replaced_by = self.db.number(later.into())?;
        let by = permission.by.as_ref().map(|by| format!(" by {by}"));
        let mut message = match why {
            "decided" => format!(
                "cannot {verb} a{id}: it is {} already{}",
                permission.state,
                by.unwrap_or_default()
            ),
            "expired" => {
                format!("cannot {verb} a{id}: no person decided in time, so it was denied")
            }
            _ => format!("cannot {verb} a{id}: the attempt of task {task_id} that asked is over"),
        };
        if let Some(later) = replaced_by {
            message.push_str(&format!("; a{later} requests the same"));
        }
        let mut data = json!({
            "approval_id": id,
            "task_id": task_id,
            "state": permission.state,
            "why": why,
        });
        if let Some(later) = replaced_by {
            data["replaced_by"] = json!(later);
        }
        if let Some(by) = &permission.by {
            data["by"] = json!(by);
        }
        Ok(stale_approval(message, data))
    }

    fn end_permission(
        &mut self,
        mut permission: Permission,
        state: PermissionState,
        by: Option<&str>,
        reason: Option<&str>,
        chosen: Option<&str>,
    ) -> Result<()> {
        self.write(EndApproval {
            state: state_number(state),
            decided_at: self.now(),
            by,
            reason,
            chosen,
            id: permission.id,
        })?;
        permission.state = state;
        permission.by = by.map(str::to_owned);
        self.report_permission(&permission);
        Ok(())
    }

    /// Expires the requests that have passed their deadline.
    pub(crate) fn expire_permissions(&mut self, limit: u32) -> Result<Outcome> {
        let (now, limit) = (self.now(), i64::from(limit.max(1)));
        if !self.deadlines.has_permission_due(now) {
            return Ok(Outcome::Counted {
                count: 0,
                more: false,
            });
        }
        let query = SelectOverdue { until: now, limit };
        let overdue = self.db.permissions(query.into())?;
        let count = overdue.len() as u64;
        for permission in overdue {
            let reason = "no person decided in time";
            self.end_permission(
                permission,
                PermissionState::Expired,
                None,
                Some(reason),
                None,
            )?;
        }
        self.deadlines.read(&mut *self.db, Deadline::Permission)?;
        Ok(Outcome::Counted {
            count,
            more: count as i64 == limit,
        })
    }

    /// The attempt or the task of a task in memory is over: voids its open requests, and marks decisions that were not
    /// delivered as used, so that no later attempt receives them. Without a request it runs no query.
    pub(crate) fn close_permissions(&mut self, task_id: TaskId) -> Result<()> {
        if self
            .tasks
            .get(task_id)
            .is_none_or(|row| !row.flags.has(Flags::HAS_PERMISSIONS))
        {
            return Ok(());
        }
        for permission in self.db.permissions(SelectOpen { task_id }.into())? {
            let reason = "the attempt that asked is over";
            self.end_permission(permission, PermissionState::Void, None, Some(reason), None)?;
        }
        self.write(SpendApprovals { task_id })?;
        Ok(())
    }
}
