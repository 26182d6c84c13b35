//! How a child with a spec tells its supervisor what happens to it.

use std::any::Any;
use std::sync::Arc;

use actix::Addr;

use crate::cell::ChildCell;
use crate::exit::ExitReason;
use crate::machine::Restart;
use crate::runner::{After, Keeper};
use crate::supervisor::{Notice, Supervisor, What};

/// Keeper of a child with a spec: it reports to the supervisor's mailbox and leaves the decision
/// about restarts there.
pub(crate) struct ChildKeeper {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) key: u64,
    pub(crate) restart: Restart,
    /// The child's own address, held so that its mailbox stays connected.
    pub(crate) address: Option<Box<dyn Any + Send>>,
}

impl ChildKeeper {
    pub(crate) fn holding(mut self, address: Box<dyn Any + Send>) -> Self {
        self.address = Some(address);
        self
    }

    fn tell(&self, cell: &ChildCell, what: What) {
        self.supervisor.do_send(Notice {
            key: self.key,
            starts: cell.starts(),
            what,
        });
    }
}

impl Keeper for ChildKeeper {
    fn started(&mut self, cell: &ChildCell) {
        self.tell(cell, What::Started);
    }

    fn decide(&mut self, cell: &ChildCell, _: &ExitReason, _: bool) -> After {
        if self.restart == Restart::Temporary || cell.world().is_closing() {
            After::End
        } else {
            After::Idle
        }
    }

    fn ended(&mut self, cell: &Arc<ChildCell>, reason: ExitReason, after: After) {
        let left = after == After::End;
        if left {
            self.address = None;
        }
        self.tell(cell, What::Ended { reason, left });
    }

    fn gone(&mut self, cell: &Arc<ChildCell>) {
        self.tell(cell, What::Gone);
    }
}
