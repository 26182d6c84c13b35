//! `usage`: the tokens and the money that attempts used, and the budgets.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::UsageParams;

pub fn begin(params: UsageParams, scope: &mut RequestScope<'_>) -> Begun {
    let now_ms = scope.now_ms();
    scope.answer_query(StoreQuery::Usage(params, now_ms));
    Ok(Started::Pending)
}
