//! `approvals`: the tasks and permission requests that wait for a person.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::{APPROVALS_LIMIT, ApprovalsParams};
use kirosu_store::ApprovalQuery;

pub fn begin(params: ApprovalsParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::Approvals(ApprovalQuery {
        state: params.state,
        task_id: params.task_id,
        limit: params.limit.unwrap_or(APPROVALS_LIMIT) as usize,
        cursor: params.cursor,
    }));
    Ok(Started::Pending)
}
