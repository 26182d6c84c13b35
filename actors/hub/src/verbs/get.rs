//! `get`: a task with its details.

use super::{Begun, RequestScope, Started, StoreQuery};
use crate::connection::{LongAnswer, SHORT_ANSWER_BYTES};
use crate::readers::QueryReply;
use kirosu_protocol::GetParams;
use std::sync::Arc;

pub fn begin(params: GetParams, scope: &mut RequestScope<'_>) -> Begun {
    let hub = scope.hub().clone();
    let context = async move { Arc::new(hub.wait_context().await) };
    scope.call_ok(context, move |scope, context| {
        let short = SHORT_ANSWER_BYTES as u64;
        let query = StoreQuery::Get(params.clone(), short, context.clone());
        scope.query(query, move |scope, reply| match reply {
            QueryReply::Json(json) => scope.answer_json(json),
            QueryReply::Needs(bytes) => {
                scope.answer_long(LongAnswer::Detail(params, bytes, context));
            }
            _ => {}
        });
    });
    Ok(Started::Pending)
}
