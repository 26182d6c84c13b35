//! `run_items`.

use super::{Begun, RequestScope, unsupported};
use kirosu_protocol::RunItemsParams;

pub fn begin(_: RunItemsParams, _: &mut RequestScope<'_>) -> Begun {
    Err(unsupported("`run_items`"))
}
