//! `reject`: cancels a task that waits for approval, or denies a tool of a running agent.

use super::{Begun, Started, finish_ok};
use crate::connection::RequestScope;
use kirosu_protocol::verbs::reject::RejectParams;
use kirosu_protocol::{Subject, Verdict};
use kirosu_store::Command;

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
