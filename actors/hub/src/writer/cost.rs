//! The cost of commands, by which the writer bounds a commit.
//!
//! Costs are about the microseconds that a command takes on a usual machine. They need not be exact: they keep one commit
//! well below the 20 ms for which a request may wait for those of others.

use kirosu_protocol::{Ack, NewTask, weight};
use kirosu_store::{Command, MANY_DEPENDENCIES, PlanChange, PlanOrder, ScheduleCommand};

/// The largest cost of a commit, unless its only command costs more.
pub(super) const COMMIT: u64 = 4_500;
/// The largest cost of one part of a large command.
pub(super) const PART: u64 = 4_000;

/// The most tasks of a part of a lease.
pub(super) const PART_LEASES: u32 = (PART / LEASED) as u32;

const USUAL: u64 = 10;
const NEW_TASK: u64 = 6;
/// A row of an item of a step.
const ITEM: u64 = 6;
const KEY: u64 = 6;
/// Each may be in a page of its own.
const DEPENDENCY: u64 = PART / MANY_DEPENDENCIES as u64;
/// Per task that a lease may take.
const LEASED: u64 = 10;
const ACK: u64 = 10;
/// Bytes of text for each unit of cost.
const BYTES: usize = 200;
/// To store a task as text costs this part of making it.
const STAGED: u64 = 3;

/// The cost of a change of a run.
fn of_plan(command: &PlanOrder) -> u64 {
    match command {
        PlanOrder::Change {
            change: PlanChange::Expand(new),
            ..
        } => new.tasks.iter().map(of_task).sum::<u64>() + new.items.len() as u64 * ITEM,
        PlanOrder::Change {
            change:
                PlanChange::CancelTasks { limit, .. }
                | PlanChange::Withdraw { limit, .. }
                | PlanChange::LetRun { limit, .. }
                | PlanChange::Reset { limit, .. },
            ..
        } => u64::from(*limit) * USUAL,
        PlanOrder::Take { limit, .. } => u64::from(*limit) * LEASED,
        PlanOrder::AddItems { items, .. } => USUAL + of_text(Some(items)),
        PlanOrder::Change { .. } | PlanOrder::Control { .. } => USUAL,
    }
}

/// The cost of a change of a schedule.
fn of_schedule(command: &ScheduleCommand) -> u64 {
    match command {
        ScheduleCommand::Add(new) => USUAL + of_task(&new.task),
        // Its task may be long.
        ScheduleCommand::Run { .. } => PART / 4,
        ScheduleCommand::Set { .. } | ScheduleCommand::Remove { .. } => USUAL,
    }
}

/// The cost of a command.
pub(super) fn of(command: &Command) -> u64 {
    match command {
        Command::Enqueue(new) => of_task(new),
        Command::EnqueueBatch(batch) => batch.iter().map(of_task).sum(),
        Command::StagePart(part) => part.tasks().iter().map(of_task).sum::<u64>() / STAGED,
        Command::MakePart(part) => part.tasks().iter().map(of_task).sum(),
        Command::PrepareDependencies(ids) => ids.len() as u64 * DEPENDENCY,
        Command::InsertDependencies(part) => part.ids().len() as u64 * DEPENDENCY,
        Command::Lease { ask, .. } => u64::from(ask.max_tasks) * LEASED,
        Command::Ack(ack) => of_ack(ack),
        Command::Acks(acks) => acks.iter().map(of_ack).sum(),
        Command::StagePiece(piece) => USUAL + of_text(Some(piece.text())),
        Command::LongAck { ack, .. } => of_ack(ack),
        Command::Answer { text, .. } => USUAL + of_text(Some(text)),
        Command::LongAnswer { beginning, .. } => USUAL + of_text(Some(beginning)),
        Command::Output { text, .. } => USUAL + of_text(Some(text)),
        Command::AsHolder { command, .. } | Command::InScope { command, .. } => of(command),
        Command::Record(records) => {
            (records.entries.len() + records.uses.len()) as u64 * USUAL + USUAL
        }
        Command::Plan(command) => of_plan(command),
        Command::Schedule(command) => of_schedule(command),
        // The store bounds the bytes of one.
        Command::FireSchedules { limit } => u64::from(*limit) * NEW_TASK,
        Command::TakeNotices(take) => USUAL + u64::from(take.limit),
        // Rows of several targets.
        Command::PruneNotices { limit, .. } => u64::from(*limit) * 2,
        Command::DropBatch(_)
        | Command::OpenText(_)
        | Command::DropText(_)
        | Command::Unpark(_)
        | Command::Heartbeat { .. }
        | Command::Progress { .. }
        | Command::WaitChildren { .. }
        | Command::Reserve(_)
        | Command::Release { .. }
        | Command::ReleaseSession { .. }
        | Command::ExpireDue { .. }
        | Command::ShiftLeases { .. }
        | Command::PromoteDue { .. }
        | Command::Cancel { .. }
        | Command::Retry { .. }
        | Command::RetryFailed { .. }
        | Command::Approve { .. }
        | Command::Reject { .. }
        | Command::RequestPermission(_)
        | Command::DecidePermission { .. }
        | Command::ExpirePermissions { .. }
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Prune { .. }
        | Command::AddCredential(_)
        | Command::RevokeCredential(_)
        | Command::AddWebSession(_)
        | Command::EndWebSession(_)
        | Command::PruneAudit { .. }
        | Command::AddNotice { .. }
        | Command::TestTarget(_)
        | Command::Stats => USUAL,
    }
}

/// The cost of a new task.
pub(super) fn of_task(new: &NewTask) -> u64 {
    let key = new.idempotency_key.as_ref().map_or(0, |_| KEY);
    let dependencies = new.depends_on.len() as u64 * DEPENDENCY;
    NEW_TASK + key + dependencies + of_texts(new) + of_values(new)
}

/// Whether the texts of a new task need more than one part.
pub(super) fn is_long(new: &NewTask) -> bool {
    of_texts(new) > PART
}

fn of_texts(new: &NewTask) -> u64 {
    of_text(Some(&new.prompt)) + of_text(new.system_prompt.as_deref())
}

fn of_values(new: &NewTask) -> u64 {
    let metadata = new.metadata.as_ref().map_or(0, weight);
    let accept = new.accept.as_ref().map_or(0, |accept| accept.weight());
    ((metadata + accept) / BYTES) as u64
}

/// The cost of an ack.
pub(super) fn of_ack(ack: &Ack) -> u64 {
    ACK + of_text(ack.result.as_deref()) + of_text(ack.error.as_deref())
}

fn of_text(text: Option<&str>) -> u64 {
    text.map_or(0, |text| (text.len() / BYTES) as u64)
}
