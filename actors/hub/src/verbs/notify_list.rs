//! `notify_list`: the targets of notifications.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::NotifyListParams;

pub fn begin(_: NotifyListParams, scope: &mut RequestScope<'_>) -> Begun {
    let targets = scope.hub().rules().notify;
    scope.answer_query(StoreQuery::NotifyList(targets));
    Ok(Started::Pending)
}
