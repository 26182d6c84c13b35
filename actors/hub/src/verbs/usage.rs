//! `usage`: the tokens and the money that attempts used, and the budgets.

use super::{Begun, Started};
use crate::connection::RequestScope;
use crate::readers::StoreQuery;
use kirosu_protocol::verbs::usage::UsageParams;

pub fn begin(params: UsageParams, scope: &mut RequestScope<'_>) -> Begun {
    let now_ms = scope.now_ms();
    scope.answer_query(StoreQuery::Usage(params, now_ms));
    Ok(Started::Pending)
}
