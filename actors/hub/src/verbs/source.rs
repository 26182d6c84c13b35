//! `source`.

use super::{Begun, RequestScope, unsupported};
use kirosu_protocol::SourceParams;

pub fn begin(_: SourceParams, _: &mut RequestScope<'_>) -> Begun {
    Err(unsupported("`source`"))
}
