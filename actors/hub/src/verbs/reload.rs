//! `reload`: reads the settings again.

use super::{Begun, RequestScope, Started, unsupported};
use kirosu_protocol::ReloadParams;

pub fn begin(_: ReloadParams, scope: &mut RequestScope<'_>) -> Begun {
    let reload = scope.hub().reload().cloned();
    let reload = reload.ok_or_else(|| unsupported("reload"))?;
    let reloaded = async move { reload.reload().await };
    scope.call_ok(reloaded, |scope, answer| match answer {
        Ok(answer) => scope.answer(&answer),
        Err(error) => scope.refuse(error),
    });
    Ok(Started::Pending)
}
