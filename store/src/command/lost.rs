//! Leases that end without an ack: expired, or with their session.

use crate::backend::Result;
use crate::core::{AttemptOutcome, Core};
use crate::deadlines::Deadline;
use crate::outcome::{EndedLease, Outcome};
use crate::row::Flags;
use crate::rules::policy::{self, EndedAttempt, NextState};
use crate::rules::transition;
use crate::sql::sets::{SelectExpired, SelectSessionTasks};
use crate::task_stats::{Loss, TaskStep};
use kirosu_protocol::{FailureClass, OnLost, Status, TaskId};

impl Core {
    /// Treats leases past their deadline as lost, at most `limit`.
    pub(crate) fn expire_due(&mut self, limit: u32) -> Result<Outcome> {
        if self.deadlines.has_shifts() {
            // The deadlines are not moved to the new clock yet, so none of them counts.
            let leases = Vec::new();
            let more = false;
            return Ok(Outcome::Ended { leases, more });
        }
        self.flush_rows()?;
        let until = self.now() - self.options.lease_grace_ms as i64;
        let limit = i64::from(limit.max(1));
        let ids = self.db.ids(SelectExpired { until, limit }.into())?;
        let more = ids.len() as i64 == limit;
        let mut leases = Vec::with_capacity(ids.len());
        for id in ids {
            leases.extend(self.lose(id, Loss::Expired)?);
        }
        self.flush_rows()?;
        self.deadlines.read(&mut *self.db, Deadline::Lease)?;
        Ok(Outcome::Ended { leases, more })
    }

    /// Ends leases of a session, as lost (`counted`) or as returned, as many as this commit may still change.
    pub(crate) fn release_session(&mut self, session: &str, counted: bool) -> Result<Outcome> {
        let limit = i64::from(self.works.left());
        if limit == 0 {
            let leases = Vec::new();
            return Ok(Outcome::Ended { leases, more: true });
        }
        self.flush_rows()?;
        let ids = self.db.ids(SelectSessionTasks { session, limit }.into())?;
        let more = ids.len() as i64 == limit;
        let mut leases = Vec::with_capacity(ids.len());
        for id in ids {
            self.works.spend();
            leases.extend(if counted {
                self.lose(id, Loss::SessionLost)?
            } else {
                self.give_back(id, 0, None)?
            });
        }
        Ok(Outcome::Ended { leases, more })
    }

    fn lose(&mut self, id: TaskId, loss: Loss) -> Result<Option<EndedLease>> {
        let (now, why) = (self.now(), loss.words());
        let Some(row) = self.row(id)?.filter(|row| row.state == Status::Leased) else {
            return Ok(None);
        };
        let (attempts, on_lost) = (row.attempts, row.flags.on_lost());
        let (id, max_attempts) = (row.id, row.max_attempts);
        let next = policy::after_attempt(&EndedAttempt {
            jitter: self.options.retry_jitter,
            task: id,
            class: FailureClass::Lost,
            attempts,
            max_attempts,
            retry: &self.options.retry_default,
            on_lost,
            retry_at: None,
            now,
        });
        let error = match next {
            NextState::Dead if on_lost == OnLost::Fail => {
                format!("lost: {why}, and on_lost is fail")
            }
            NextState::Dead => {
                format!("lost: {why}, and {attempts} of {attempts} attempts are used")
            }
            NextState::Ask => format!("lost: {why}; approve to run it again"),
            NextState::Again | NextState::At { .. } => format!("lost: {why}"),
        };
        let end = AttemptOutcome {
            outcome: FailureClass::Lost.as_str(),
            error: Some(&error),
            ..AttemptOutcome::default()
        };
        self.end_attempt(id, &end)?;
        let lease = self.lease_of(id);
        self.change(id, |row| {
            transition::attempt_failed(row, next, now);
            row.flags.set(Flags::LOST);
        });
        self.task_stats.note(TaskStep::Lost(loss));
        self.report(id, "lost");
        if next == NextState::Dead {
            self.close_permissions(id)?;
            self.ended(id)?;
        }
        Ok(self.ended_lease(id, lease))
    }

    /// Ends a live lease as returned, and records a row for the attempt.
    pub(crate) fn give_back(
        &mut self,
        id: TaskId,
        delay_ms: u64,
        reason: Option<&str>,
    ) -> Result<Option<EndedLease>> {
        let now = self.now();
        if self.row(id)?.is_none_or(|row| row.state != Status::Leased) {
            return Ok(None);
        }
        let end = AttemptOutcome {
            outcome: "released",
            error: reason,
            ..AttemptOutcome::default()
        };
        self.end_attempt(id, &end)?;
        let lease = self.lease_of(id);
        let delay_ms = i64::try_from(delay_ms).unwrap_or(i64::MAX / 2);
        self.change(id, |row| transition::give_back(row, delay_ms, now));
        self.task_stats.note(TaskStep::Released);
        self.report(id, "released");
        Ok(self.ended_lease(id, lease))
    }

    /// The live lease of a task that is in memory.
    pub(crate) fn lease_of(&self, id: TaskId) -> Option<EndedLease> {
        let row = self
            .tasks
            .get(id)
            .filter(|row| row.state == Status::Leased)?;
        Some(EndedLease {
            task_id: id,
            fence: row.fence,
            worker_id: row.worker.as_deref().map(str::to_owned),
            session: row.session.as_deref().map(str::to_owned),
            status: row.state,
            reason: None,
        })
    }

    /// The ended lease with the present state of its task.
    pub(crate) fn ended_lease(&self, id: TaskId, lease: Option<EndedLease>) -> Option<EndedLease> {
        let status = self.tasks.get(id)?.state;
        lease.map(|lease| EndedLease { status, ..lease })
    }
}
