//! `run_retry`.

use super::{Begun, RequestScope, unsupported};
use kirosu_protocol::RunRetryParams;

pub fn begin(_: RunRetryParams, _: &mut RequestScope<'_>) -> Begun {
    Err(unsupported("`run_retry`"))
}
