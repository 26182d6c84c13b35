//! `run_resume`.

use super::{Begun, RequestScope, unsupported};
use kirosu_protocol::RunResumeParams;

pub fn begin(_: RunResumeParams, _: &mut RequestScope<'_>) -> Begun {
    Err(unsupported("`run_resume`"))
}
