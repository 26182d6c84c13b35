//! `audit`: changes and refused requests.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::AuditParams;

pub fn begin(params: AuditParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::Audit(params));
    Ok(Started::Pending)
}
