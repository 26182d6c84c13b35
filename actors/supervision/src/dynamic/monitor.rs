//! Decisions on the ends of dynamic children.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::DynamicEvent;
use super::shared::DynamicShared;
use crate::backoff::RestartDelays;
use crate::cell::ChildCell;
use crate::event::ChildChange;
use crate::exit::ExitReason;
use crate::machine::{ChildExit, Restart, RestartDecision};
use crate::runner::{ExitAction, Monitor};

/// Monitor of a dynamic child. It decides itself, on the child's thread.
pub(super) struct DynamicMonitor {
    pub(super) shared: Arc<DynamicShared>,
    pub(super) delays: Option<RestartDelays>,
}

impl Monitor for DynamicMonitor {
    fn started(&mut self, _: &ChildCell) {}

    fn decide(&mut self, cell: &ChildCell, reason: &ExitReason, ordered: bool) -> ExitAction {
        let shared = &self.shared;
        if ordered || !shared.is_open() {
            return ExitAction::End;
        }
        // Most children are temporary: they are spared the allocation of the path.
        let path = match shared.restart {
            Restart::Temporary => return ExitAction::End,
            Restart::Permanent | Restart::Transient => cell.path(),
        };
        let ended = ChildExit {
            child: &path,
            restart: shared.restart,
            reason,
            up_for: cell.up_for(),
            healthy_after: shared.backoff.healthy_after,
        };
        let delays = self.delays.get_or_insert_with(|| shared.backoff.delays());
        let now = cell.tree().clock.now();
        let decision = shared.inner().machine.on_exit(&ended, delays, now);
        match decision {
            RestartDecision::Leave => ExitAction::End,
            RestartDecision::Restart { after } => {
                shared.restarts.fetch_add(1, Ordering::Relaxed);
                ExitAction::Restart(after)
            }
            RestartDecision::GiveUp(why) => {
                shared.addr.do_send(DynamicEvent::TooMany(why));
                ExitAction::End
            }
        }
    }

    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, action: ExitAction) {
        let abnormally = reason.is_abnormal();
        let restart = match action {
            ExitAction::Restart(delay) => Some(delay),
            ExitAction::Idle | ExitAction::End => None,
        };
        if restart.is_none() {
            self.shared.remove(cell, abnormally);
        }
        if abnormally {
            let child = cell.path();
            tracing::warn!(%child, %reason, restart_in = ?restart, "child ended");
            cell.publish(|| ChildChange::Exited {
                reason,
                restart_in_ms: restart.map(crate::clock::millis),
            });
        }
    }

    fn gone(&mut self, cell: &Arc<ChildCell>) {
        self.shared.remove(cell, true);
    }
}
