//! `approvals`: the tasks and permission requests that wait for a person.

use super::{Begun, Started};
use crate::connection::RequestScope;
use crate::readers::StoreQuery;
use kirosu_protocol::verbs::approvals::{ApprovalsParams, DEFAULT_LIMIT};
use kirosu_store::ApprovalQuery;

pub fn begin(params: ApprovalsParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::Approvals(ApprovalQuery {
        state: params.state,
        task_id: params.task_id,
        limit: params.limit.unwrap_or(DEFAULT_LIMIT) as usize,
        cursor: params.cursor,
    }));
    Ok(Started::Pending)
}
