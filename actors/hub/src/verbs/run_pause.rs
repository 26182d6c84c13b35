//! `run_pause`.

use super::{Begun, RequestScope, unsupported};
use kirosu_protocol::RunPauseParams;

pub fn begin(_: RunPauseParams, _: &mut RequestScope<'_>) -> Begun {
    Err(unsupported("`run_pause`"))
}
