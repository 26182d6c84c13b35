//! Closes a process to others of the same user.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Lets no process of the same user trace this one, read its memory and initial environment, or take its files: the programs of
/// runs have this user, and this process has the keys. Only root can, and no core dump is written. A program that it starts
/// is not closed.
pub fn close_to_others() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "programs of runs can read the memory of this process");
    }
}
