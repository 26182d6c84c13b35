//! `key_list`: the keys of clients, without their secrets.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::KeyListParams;

pub fn begin(_: KeyListParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::Keys);
    Ok(Started::Pending)
}
