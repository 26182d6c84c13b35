//! `tree`: the supervision tree.

use super::{Begun, RequestScope, Started, unsupported};
use crate::answers;
use kirosu_protocol::TreeParams;

pub fn begin(_: TreeParams, scope: &mut RequestScope<'_>) -> Begun {
    let tree = scope
        .hub()
        .tree()
        .ok_or_else(|| unsupported("`tree` (the hub runs without a supervision tree)"))?;
    let answer = answers::tree(&tree.snapshot());
    scope.answer(&answer);
    Ok(Started::Pending)
}
