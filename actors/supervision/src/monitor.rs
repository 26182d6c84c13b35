//! Reports of a child with a spec to its supervisor.

use std::any::Any;
use std::sync::Arc;

use actix::Addr;

use crate::cell::ChildCell;
use crate::exit::ExitReason;
use crate::machine::Restart;
use crate::runner::{ExitAction, Monitor};
use crate::supervisor::{ChildEvent, ChildNotice, Supervisor};

/// Monitor of a child with a spec. It reports to the supervisor, which decides about restarts.
pub(crate) struct ChildMonitor {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) key: u64,
    pub(crate) restart: Restart,
    /// The child's own address, held so that its mailbox stays connected.
    pub(crate) address: Option<Box<dyn Any + Send>>,
}

impl ChildMonitor {
    pub(crate) fn with_address(mut self, address: Box<dyn Any + Send>) -> Self {
        self.address = Some(address);
        self
    }

    fn notify(&self, cell: &ChildCell, event: ChildEvent) {
        self.supervisor.do_send(ChildNotice {
            key: self.key,
            starts: cell.starts(),
            event,
        });
    }
}

impl Monitor for ChildMonitor {
    fn started(&mut self, cell: &ChildCell) {
        self.notify(cell, ChildEvent::Started);
    }

    fn decide(&mut self, cell: &ChildCell, _: &ExitReason, _: bool) -> ExitAction {
        if self.restart == Restart::Temporary || cell.tree().is_closing() {
            ExitAction::End
        } else {
            ExitAction::Idle
        }
    }

    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, action: ExitAction) {
        let final_end = action == ExitAction::End;
        if final_end {
            self.address = None;
        }
        self.notify(cell, ChildEvent::Ended { reason, final_end });
    }

    fn gone(&mut self, cell: &Arc<ChildCell>) {
        self.notify(cell, ChildEvent::Gone);
    }
}
