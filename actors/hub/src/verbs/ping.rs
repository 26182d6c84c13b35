//! `ping`: shows that the hub answers.

use super::{Begun, RequestScope, Started};
use kirosu_protocol::{PingAnswer, PingParams};

pub fn begin(_: PingParams, scope: &mut RequestScope<'_>) -> Begun {
    let answer = PingAnswer {
        boot_id: scope.hub().boot_id().into(),
        time: scope.now_ms() as f64 / 1000.0,
    };
    scope.answer(&answer);
    Ok(Started::Pending)
}
