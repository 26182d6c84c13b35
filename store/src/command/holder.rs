//! Commands of the holder of a lease: `heartbeat`, `progress`, `output`, `release`.

use super::{Command, LIVE_LEASE};
use crate::core::{CommandResult, Core};
use crate::outcome::Outcome;
use crate::row::{Flags, TaskRow};
use crate::sql::attempt::SelectAttemptEnd;
use crate::sql::cold::{InsertOutput, PutProgress};
use kirosu_protocol::text::head;
use kirosu_protocol::{Effect, Error, ErrorCode, EventKind, Fence, Status, TaskId};
use serde_json::Value;

impl Command {
    /// The task, and the fence to fill in, of a holder's command.
    fn lease_mut(&mut self) -> Option<(TaskId, &mut Fence)> {
        match self {
            Command::Heartbeat { task, fence, .. }
            | Command::Release { task, fence, .. }
            | Command::Progress { task, fence, .. }
            | Command::WaitChildren { task, fence }
            | Command::Output { task, fence, .. } => Some((*task, fence)),
            _ => None,
        }
    }
}

impl Core {
    /// Carries out the command of a holder that names a worker, or no fence.
    pub(crate) fn as_holder(
        &mut self,
        worker: Option<&str>,
        command: &Command,
    ) -> CommandResult<Outcome> {
        let mut command = command.clone();
        let Some((task, fence)) = command.lease_mut() else {
            return Err(Error::internal(Effect::None, "not a command of a lease holder").into());
        };
        let row = self.known(task)?;
        if let Some(worker) = worker.filter(|worker| row.worker.as_deref() != Some(worker)) {
            return Err(not_leased_to(worker, row).into());
        }
        if *fence == LIVE_LEASE {
            if row.state != Status::Leased {
                let message = format!("task {task} is {}, not leased", row.state);
                return Err(self.wrong_state_of(task, message));
            }
            *fence = row.fence;
        }
        self.execute(&command)
    }

    /// Extends a lease.
    pub(crate) fn heartbeat(
        &mut self,
        task: TaskId,
        fence: Fence,
        lease_ms: Option<u64>,
    ) -> CommandResult<Outcome> {
        let (now, default) = (self.now(), self.options.lease_ms_default as i64);
        let row = self.held("heartbeat", task, fence)?;
        let lease_ms = lease_ms
            .map(|ms| ms as i64)
            .or(row.lease_ms)
            .unwrap_or(default);
        let lease_until_ms = now + lease_ms;
        let waits_children = row.flags.has(Flags::WAITS_CHILDREN);
        self.change(task, |row| row.lease_until = Some(lease_until_ms));
        self.deadlines.shifts().forget(task);
        Ok(Outcome::Extended {
            lease_until_ms,
            waits_children,
        })
    }

    /// Stores the newest report of progress of a running task; the one before is replaced.
    pub(crate) fn progress(
        &mut self,
        task: TaskId,
        fence: Fence,
        data: &Value,
    ) -> CommandResult<Outcome> {
        self.held("report progress of", task, fence)?;
        let at = self.now();
        self.write(PutProgress {
            task_id: task,
            fence,
            data: &data.to_string(),
            at,
        })?;
        self.batch.report(EventKind::Progress {
            task_id: task,
            fence,
            data: data.clone(),
        });
        Ok(Outcome::Ok)
    }

    /// Stores a chunk of output, up to the limit of an attempt.
    pub(crate) fn output(
        &mut self,
        task: TaskId,
        fence: Fence,
        chunk: Option<u64>,
        text: &str,
    ) -> CommandResult<Outcome> {
        self.held("store output of", task, fence)?;
        let limit = self.options.output_limit_bytes;
        let mut output = self.outputs.get(&mut *self.db, task, fence)?;
        if output.bytes > limit {
            return Ok(Outcome::Ok);
        }
        let chunk = chunk.unwrap_or(output.next_chunk);
        let stored = cut_to(text, limit - output.bytes, limit);
        let written = self.write(InsertOutput {
            task_id: task,
            fence,
            chunk: i64::try_from(chunk).unwrap_or(i64::MAX),
            text: &stored,
        })?;
        if written == 0 {
            return Ok(Outcome::Ok);
        }
        output.bytes += stored.len() as u64;
        output.next_chunk = output.next_chunk.max(chunk.saturating_add(1));
        self.outputs.set(task, fence, output);
        self.batch.report(EventKind::Output {
            task_id: task,
            fence,
            chunk,
            text: stored,
        });
        Ok(Outcome::Ok)
    }

    /// Returns a lease. Repeating it is harmless.
    pub(crate) fn release(
        &mut self,
        task: TaskId,
        fence: Fence,
        delay_ms: u64,
        reason: Option<&str>,
    ) -> CommandResult<Outcome> {
        if let Err(refusal) = self.held("release", task, fence) {
            let query = SelectAttemptEnd {
                task_id: task,
                fence,
            };
            return match self.db.attempt_end(query)? {
                Some(end) if end.outcome == "released" => Ok(Outcome::Ok),
                _ => Err(refusal),
            };
        }
        self.give_back(task, delay_ms, reason)?;
        Ok(Outcome::Ok)
    }
}

fn not_leased_to(worker: &str, row: &TaskRow) -> Error {
    let message = format!(
        "task {} is not leased to {worker} (it is {}, its newest lease is {}); drop this run",
        row.id, row.state, row.fence
    );
    Error::new(ErrorCode::StaleLease, message).with_data(
        serde_json::json!({ "task_id": row.id, "status": row.state, "fence": row.fence }),
    )
}

/// The text, cut to `room` bytes. A mark follows the cut, which is longer than a character: the output exceeds its limit then.
fn cut_to(text: &str, room: u64, limit: u64) -> String {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if text.len() <= room {
        return text.to_owned();
    }
    format!("{}{}", head(text, room), cut_mark(limit))
}

/// The start of the mark at the end of an output that was cut.
const CUT_MARK: &str = "\n[output cut here: an attempt keeps ";

fn cut_mark(limit: u64) -> String {
    format!("{CUT_MARK}{limit} bytes]\n")
}

/// Whether the last chunk of an attempt ends with the mark of a cut output.
pub(crate) fn is_cut(last: &str) -> bool {
    let mark = last.rfind(CUT_MARK).map(|at| &last[at + CUT_MARK.len()..]);
    let limit = mark.and_then(|rest| rest.strip_suffix(" bytes]\n"));
    limit.is_some_and(|limit| !limit.is_empty() && limit.bytes().all(|c| c.is_ascii_digit()))
}
