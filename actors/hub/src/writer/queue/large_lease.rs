//! The rest of a `lease` of many tasks.
//!
//! Its parts follow one another: a part that found fewer tasks than it asked for is the last, and only the first may wait
//! for a task. The answer has the tasks of all parts.

use crate::writer::cost;
use kirosu_protocol::{LeaseParams, Task};
use kirosu_store::{Command, leased_bytes};

/// The rest of a lease.
pub(in crate::writer) struct LeaseRest {
    /// The request, with the number of tasks that no part has asked for yet.
    ask: LeaseParams,
    session: Option<String>,
    /// Bytes of the tasks that the parts so far have taken.
    spent: usize,
}

impl LeaseRest {
    /// Divides a lease into its first part and the rest. Returns another command back.
    pub fn divide(command: Command) -> Result<(Command, LeaseRest), Command> {
        let Command::Lease {
            ask,
            session,
            park,
            spent,
        } = command
        else {
            return Err(command);
        };
        let mut rest = LeaseRest {
            ask,
            session,
            spent,
        };
        let first = LeaseParams {
            max_tasks: rest.take_tasks(),
            ..rest.ask.clone()
        };
        rest.ask.wait_ms = 0;
        let first = Command::Lease {
            ask: first,
            session: rest.session.clone(),
            park,
            spent,
        };
        Ok((first, rest))
    }

    /// Whether a further part may follow the present one.
    pub fn goes_on(&self) -> bool {
        self.ask.max_tasks > 0
    }

    /// The part that follows one that asked for `asked` tasks and took these. `None` means that it was the last.
    pub fn next(&mut self, asked: u32, took: &[Task]) -> Option<Command> {
        self.spent += took.iter().map(leased_bytes).sum::<usize>();
        if !self.goes_on() || took.len() < asked as usize {
            return None;
        }
        let ask = LeaseParams {
            max_tasks: self.take_tasks(),
            ..self.ask.clone()
        };
        Some(Command::Lease {
            ask,
            session: self.session.clone(),
            park: None,
            spent: self.spent,
        })
    }

    fn take_tasks(&mut self) -> u32 {
        let tasks = self.ask.max_tasks.min(cost::PART_LEASES);
        self.ask.max_tasks -= tasks;
        tasks
    }
}
