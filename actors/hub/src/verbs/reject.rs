//! `reject`: cancels a task that waits for approval, or denies a tool of a running agent.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::{RejectParams, Subject, Verdict};

pub fn begin(params: RejectParams, _: &mut RequestScope<'_>) -> Begun {
    let command = match params.subject {
        Subject::Task(task) => Command::Reject {
            task,
            fence: params.fence,
            reason: params.reason,
            by: params.by,
        },
        Subject::Approval(approval) => Command::DecidePermission {
            approval,
            verdict: Verdict::Rejected,
            by: params.by,
            reason: params.reason,
            option: None,
        },
    };
    Ok(Started::Submit(command, finish_ok))
}
