//! `approvals`: the tasks and permission requests that wait for a person.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::ApprovalsParams;

pub fn begin(params: ApprovalsParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::Approvals(params));
    Ok(Started::Pending)
}
