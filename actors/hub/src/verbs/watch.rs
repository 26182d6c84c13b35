//! `watch`: sends events to the client as they happen.

use super::{Begun, RequestScope, Started};
use crate::bus::{EventFilter, FindPosition};
use crate::connection::EventWatch;
use kirosu_protocol::{WatchAnswer, WatchParams};

pub fn begin(params: WatchParams, scope: &mut RequestScope<'_>) -> Begun {
    let filter = EventFilter::new(params.task_id, &params.kinds);
    let other_boot = params
        .boot_id
        .as_deref()
        .is_some_and(|id| id != scope.hub().boot_id());
    // A number from another start of the hub means nothing here: all events that are kept came after it.
    let since = params.since.map(|since| if other_boot { 0 } else { since });
    let position = scope.hub().bus().send(FindPosition(since));
    scope.call(position, move |scope, position| {
        let by = scope.pending().and_then(|pending| pending.identity.clone());
        scope.watch(EventWatch::new(filter, position.from, by));
        // A number above the newest one is from another start, too.
        let is_ahead = since.is_some_and(|since| since > position.newest);
        let boot_id = scope.hub().boot_id().into();
        scope.answer(&WatchAnswer {
            seq: position.newest,
            gap: other_boot || position.lost > 0 || is_ahead,
            boot_id,
        });
    });
    Ok(Started::Pending)
}
