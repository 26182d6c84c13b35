//! `runs`: lists runs of plans.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::RunsParams;

pub fn begin(params: RunsParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::Runs(params));
    Ok(Started::Pending)
}
