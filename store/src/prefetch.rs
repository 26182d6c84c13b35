//! Reading ahead for a batch: one query for all tasks that it names, one for all its idempotency keys.
//!
//! A command on a task that is not in memory reads one row by its key. That takes microseconds with a local file, but a
//! round trip with a database server: a batch of 500 acks of such tasks must not take 500 of them.

use crate::backend::Result;
use crate::command::Command;
use crate::core::Core;
use kirosu_protocol::{NewTask, TaskId};

/// The tasks and keys that commands name.
#[derive(Debug, Default, PartialEq)]
struct BatchNames<'a> {
    tasks: Vec<TaskId>,
    keys: Vec<&'a str>,
}

impl<'a> BatchNames<'a> {
    fn add(&mut self, command: &'a Command) {
        match command {
            Command::Enqueue(new) => self.add_new(new),
            Command::EnqueueBatch(batch) => batch.iter().for_each(|new| self.add_new(new)),
            Command::StagePart(part) | Command::MakePart(part) => {
                part.tasks().iter().for_each(|new| self.add_new(new));
            }
            Command::PrepareDependencies(ids) => self.tasks.extend(ids),
            Command::Ack(ack) => self.tasks.push(ack.task_id),
            Command::LongAck { ack, .. } => self.tasks.push(ack.task_id),
            Command::Acks(acks) => self.tasks.extend(acks.iter().map(|ack| ack.task_id)),
            Command::Heartbeat { task, .. }
            | Command::Progress { task, .. }
            | Command::WaitChildren { task, .. }
            | Command::Output { task, .. }
            | Command::Release { task, .. }
            | Command::Cancel { task, .. }
            | Command::Retry { task }
            | Command::Approve { task, .. }
            | Command::Answer { task, .. }
            | Command::LongAnswer { task, .. }
            | Command::Reject { task, .. } => self.tasks.push(*task),
            Command::AsHolder { command, .. } | Command::InScope { command, .. } => {
                self.add(command);
            }
            Command::Reserve(reserve) => self.tasks.push(reserve.task_id),
            Command::RequestPermission(request) => self.tasks.push(request.task_id),
            Command::Lease { .. }
            | Command::Unpark(_)
            | Command::InsertDependencies(_)
            | Command::DropBatch(_)
            | Command::OpenText(_)
            | Command::StagePiece(_)
            | Command::DropText(_)
            | Command::ReleaseSession { .. }
            | Command::ExpireDue { .. }
            | Command::ShiftLeases { .. }
            | Command::PromoteDue { .. }
            | Command::RetryFailed { .. }
            | Command::DecidePermission { .. }
            | Command::ExpirePermissions { .. }
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Prune { .. }
            | Command::AddCredential(_)
            | Command::RevokeCredential(_)
            | Command::AddWebSession(_)
            | Command::EndWebSession(_)
            | Command::Record(_)
            | Command::PruneAudit { .. }
            | Command::Plan(_)
            | Command::Schedule(_)
            | Command::FireSchedules { .. }
            | Command::AddNotice { .. }
            | Command::TestTarget(_)
            | Command::TakeNotices(_)
            | Command::PruneNotices { .. }
            | Command::Stats => {}
        }
    }

    fn add_new(&mut self, new: &'a NewTask) {
        self.keys.extend(new.idempotency_key.as_deref());
        self.tasks.extend(&new.depends_on);
        self.tasks.extend(new.continues);
    }
}

impl Core {
    /// Reads into memory what a batch names and memory lacks. A single task or key is left to its command.
    pub(crate) fn prefetch(&mut self, batch: &[Command]) -> Result<()> {
        let mut named = BatchNames::default();
        batch.iter().for_each(|command| named.add(command));
        named.tasks.retain(|id| self.tasks.get(*id).is_none());
        if named.tasks.len() > 1 {
            named.tasks.sort_unstable();
            named.tasks.dedup();
            self.read_rows(&named.tasks)?;
        }
        if named.keys.len() > 1 {
            let found = self.db.keys(&named.keys)?;
            self.tasks.cache_keys(&named.keys, found);
            // A repeated enqueue reads the task of its key next.
            let bound = named.keys.iter().filter_map(|key| self.tasks.key(key)?);
            let missing = bound
                .map(|(id, _)| id)
                .filter(|id| self.tasks.get(*id).is_none());
            let missing: Vec<TaskId> = missing.collect();
            if missing.len() > 1 {
                self.read_rows(&missing)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::Ack;

    #[test]
    fn tasks_dependencies_and_keys_are_collected() {
        let new = NewTask {
            idempotency_key: Some("k".into()),
            depends_on: vec![7, 8],
            ..NewTask::chat("p")
        };
        let batch = [
            Command::Enqueue(Box::new(new)),
            Command::AsHolder {
                worker: None,
                command: Box::new(Command::Retry { task: 3 }),
            },
            Command::Acks(vec![Ack::done(4, None, "r"), Ack::done(5, None, "r")]),
            Command::Stats,
        ];
        let mut named = BatchNames::default();
        batch.iter().for_each(|command| named.add(command));
        let expected = BatchNames {
            tasks: vec![7, 8, 3, 4, 5],
            keys: vec!["k"],
        };
        assert_eq!(named, expected);
    }
}
