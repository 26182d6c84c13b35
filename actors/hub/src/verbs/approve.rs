//! `approve`: lets a task run, or a tool of a running agent.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use crate::identity::ClientIdentity;
use kirosu_protocol::{ApproveParams, Method, Subject, Verdict};

pub fn begin(params: ApproveParams, scope: &mut RequestScope<'_>) -> Begun {
    let only_human = scope.only_human();
    let command = match params.subject {
        Subject::Approval(_) if only_human => {
            return Err(ClientIdentity::needs_person(Method::Approve));
        }
        Subject::Task(task) => Command::Approve {
            task,
            fence: params.fence,
            by: params.by,
            comment: params.comment,
            raise: params.raise,
            only_human,
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
