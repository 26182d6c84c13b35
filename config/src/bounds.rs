//! Checks of the keys that bound the runs of a pool.

use std::path::Path;

use kirosu_protocol::settings::WorkspaceMode;

use crate::settings::{PoolSection, SandboxMode};

/// A key without a sandbox.
const NO_SANDBOX: &str =
    "has no effect without sandbox = \"workspace\"; set that, or remove the key";

/// Calls `refuse` with the key and the message of each contradiction.
pub(crate) fn check(pool: &PoolSection, refuse: &mut dyn FnMut(String, String)) {
    let mut refuse = |key: &str, message: &str| {
        refuse(format!("pool.{}.{key}", pool.name), message.to_owned());
    };
    if pool.user.is_some() && pool.workspace == WorkspaceMode::Worktree {
        refuse(
            "user",
            "cannot be set with workspace = \"worktree\": git's files belong to the user of the repository; start `kirosu agent` as that user for such a pool",
        );
    }
    if pool.sandbox == SandboxMode::Off {
        if !pool.sandbox_write.is_empty() {
            refuse("sandbox_write", NO_SANDBOX);
        }
        if !pool.sandbox_network {
            refuse("sandbox_network", NO_SANDBOX);
        }
        return;
    }
    for path in &pool.sandbox_write {
        let text = path.to_string_lossy();
        if !(text.starts_with('/') || text.starts_with("~/")) {
            let message = format!("names {text:?}, which is no path from / or ~/");
            refuse("sandbox_write", &message);
        }
    }
    let is_root = |dir: &Path| dir.parent().is_none();
    if pool.workdir.as_deref().is_some_and(is_root) {
        refuse(
            "workdir",
            "cannot be the root folder in a sandbox: runs may write their folder",
        );
    }
}
