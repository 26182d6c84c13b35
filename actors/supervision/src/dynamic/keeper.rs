//! The verdict on the end of a dynamic child.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::News;
use super::shared::DynShared;
use crate::backoff::Delays;
use crate::cell::ChildCell;
use crate::exit::ExitReason;
use crate::machine::{Ended, Restart, Verdict};
use crate::runner::{After, Keeper};
use crate::tree::Change;

/// Keeper of a dynamic child: passes the verdict itself, on the child's thread.
pub(super) struct DynamicKeeper {
    pub(super) shared: Arc<DynShared>,
    pub(super) delays: Option<Delays>,
}

impl Keeper for DynamicKeeper {
    fn started(&mut self, _: &ChildCell) {}

    fn decide(&mut self, cell: &ChildCell, reason: &ExitReason, asked: bool) -> After {
        let shared = &self.shared;
        if asked || !shared.is_open() {
            return After::End;
        }
        // A path costs an allocation, and most children are temporary.
        let name = match shared.restart {
            Restart::Temporary => return After::End,
            Restart::Permanent | Restart::Transient => cell.path(),
        };
        let ended = Ended {
            child: &name,
            restart: shared.restart,
            reason,
            up_for: cell.up_for(),
            healthy_after: shared.backoff.healthy_after,
        };
        let delays = self.delays.get_or_insert_with(|| shared.backoff.delays());
        let now = cell.world().clock.now();
        let verdict = shared.inner().machine.on_exit(&ended, delays, now);
        match verdict {
            Verdict::Leave => After::End,
            Verdict::Restart { after } => {
                shared.restarts.fetch_add(1, Ordering::Relaxed);
                After::Restart(after)
            }
            Verdict::GiveUp(why) => {
                shared.addr.do_send(News::TooMany(why));
                After::End
            }
        }
    }

    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, after: After) {
        let abnormally = reason.is_abnormal();
        let restart = match after {
            After::Restart(delay) => Some(delay),
            After::Idle | After::End => None,
        };
        if restart.is_none() {
            self.shared.leave(cell, abnormally);
        }
        if abnormally {
            let child = cell.path();
            tracing::warn!(%child, %reason, restart_in = ?restart, "ended");
            cell.publish(|| Change::Exited {
                reason,
                restart_in_ms: restart.map(crate::clock::millis),
            });
        }
    }

    fn gone(&mut self, cell: &Arc<ChildCell>) {
        self.shared.leave(cell, true);
    }
}
