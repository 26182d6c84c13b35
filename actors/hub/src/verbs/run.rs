//! `run`.

use super::{Begun, RequestScope, unsupported};
use kirosu_protocol::RunParams;

pub fn begin(_: RunParams, _: &mut RequestScope<'_>) -> Begun {
    Err(unsupported("`run`"))
}
