//! `approve`: lets a task run, or a tool of a running agent.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::{ApproveParams, Subject, Verdict};

pub fn begin(params: ApproveParams, _: &mut RequestScope<'_>) -> Begun {
    let command = match params.subject {
        Subject::Task(task) => Command::Approve {
            task,
            fence: params.fence,
            by: params.by,
            comment: params.comment,
        },
        Subject::Approval(approval) => Command::DecidePermission {
            approval,
            verdict: Verdict::Approved,
            by: params.by,
            reason: params.comment,
            option: params.option,
        },
    };
    Ok(Started::Submit(command, finish_ok))
}
