//! `run`: a run of a plan with its steps.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::RunParams;

pub fn begin(params: RunParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::Run(params));
    Ok(Started::Pending)
}
