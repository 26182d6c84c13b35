//! `run_items`: the items of a run.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::RunItemsParams;

pub fn begin(params: RunItemsParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::RunItems(params));
    Ok(Started::Pending)
}
