//! `schedule_list`: the schedules.

use super::{Begun, RequestScope, Started, StoreQuery};
use kirosu_protocol::ScheduleListParams;

pub fn begin(_: ScheduleListParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer_query(StoreQuery::Schedules);
    Ok(Started::Pending)
}
