//! The messages that the writer handles.

use crate::caller::{Caller, PendingReply};
use crate::measure::Measured;
use actix::prelude::*;
use kirosu_protocol::Stats;
use kirosu_store::Command;

/// Commands of one caller, which take effect in this order. Each is answered after its effect is durable. A submission that
/// is dropped before the writer has begun it is answered with an error.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit {
    pub(super) reply: PendingReply,
    pub(super) commands: Vec<(u64, Command)>,
}

impl Submit {
    /// The commands of a caller, each with the number under which the caller expects its answer.
    pub fn new(caller: Caller, commands: Vec<(u64, Command)>) -> Submit {
        let numbers = commands.iter().map(|(number, _)| *number).collect();
        Submit {
            reply: PendingReply::new(caller, numbers),
            commands,
        }
    }
}

/// Resolves when every submission that the writer has received is committed and answered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Settle;

/// Reads the counters. The answer includes every command that was sent before.
#[derive(Message)]
#[rtype(result = "Stats")]
pub struct GetStats;

/// Reads the measurements of the writer and its store.
#[derive(Message)]
#[rtype(result = "Box<Measured>")]
pub struct GetMetrics;

/// Stops leasing tasks until the process ends.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// Whether an operator asked for it; otherwise the process stops. Targets of notifications learn of the first only.
    pub is_asked: bool,
}

/// Makes the writer send the live leases to the lease registry.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReportLeases;

/// Makes the writer store the gathered refusals and uses of keys: with its next commit, at the latest in a second.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StoreRecords;

/// Makes the writer check the clock, and send the next deadline to the reaper.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReportDeadline;

/// Makes the writer read the rules again after they have changed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tune;

/// Gives free pages of the store back to the disk, in one step of some milliseconds. Returns whether more are left.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct Shrink;
