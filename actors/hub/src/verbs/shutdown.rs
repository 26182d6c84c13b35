//! `shutdown`: ends the hub.

use super::{Begun, RequestScope, Started};
use kirosu_protocol::ShutdownParams;
use kirosu_protocol::verbs::DONE;

pub fn begin(_: ShutdownParams, scope: &mut RequestScope<'_>) -> Begun {
    scope.answer(&DONE);
    // The process may end before this turn does.
    scope.write_now();
    tracing::info!(peer = scope.peer(), "a client requested the shutdown");
    scope.hub().request_shutdown();
    Ok(Started::Pending)
}
