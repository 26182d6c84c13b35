//! `ack`: reports the end of a run.

use crate::backend::{Result, StoreFault};
use crate::command::TextId;
use crate::command::usage::{CountedUsage, usage_text};
use crate::core::{AttemptOutcome, CommandError, CommandResult, Core};
use crate::outcome::Acked;
use crate::row::Flags;
use crate::rules::ack::{self, LateAck};
use crate::rules::approval;
use crate::rules::policy::{self, EndedAttempt};
use crate::rules::transition;
use crate::sql::attempt::SelectAttemptEnd;
use kirosu_protocol::{Ack, AckStatus, Budget, Error, FailureClass, Fence, Status, TaskId};

impl Core {
    /// Accepts an ack, recognises one that was accepted before, or refuses it. `text`: the rest of its texts.
    pub(crate) fn ack(&mut self, ack: &Ack, text: Option<TextId>) -> CommandResult<Acked> {
        let Some(fence) = self.judge(ack)? else {
            return Ok(self.take_ack(ack, text)?);
        };
        if let Some(text) = text {
            self.drop_text(text)?;
        }
        self.record_late_usage(ack, fence)?;
        Ok(Acked {
            task_id: ack.task_id,
            status: self.known(ack.task_id)?.state,
            fence,
            newly: false,
        })
    }

    /// Decides on an ack: `None` if it is to be accepted, or the fence for which it was accepted before.
    pub(crate) fn judge(&mut self, ack: &Ack) -> CommandResult<Option<Fence>> {
        let (strict, now) = (self.options.strict_expiry, self.now());
        if let Some(error) = ack::too_far(ack, now) {
            return Err(error.into());
        }
        let key = self.work_key();
        let row = self.leasable("ack", ack.task_id)?;
        // An ack for an older lease changes nothing, and may repeat one that was accepted.
        let is_newest = ack.fence.is_none_or(|fence| fence == row.fence);
        if is_newest && ack::is_foreign_lease(row, key.as_deref()) {
            return Err(ack::foreign_lease("ack", row).into());
        }
        if ack::is_for_live_lease(row, ack, strict, now) {
            return self.check_accepted(ack);
        }
        let fence = ack.fence.unwrap_or(row.fence);
        let attempt = self.db.attempt_end(SelectAttemptEnd {
            task_id: ack.task_id,
            fence,
        })?;
        let row = self.known(ack.task_id)?;
        match ack::late(row, ack, attempt.as_ref(), strict) {
            LateAck::Take => self.check_accepted(ack),
            LateAck::Refuse(error) => Err(error.into()),
            LateAck::Again(fence) => Ok(Some(fence)),
        }
    }

    /// Refuses a `done` that does not confirm the task's `accept` clause, or whose run waits for children.
    fn check_accepted(&mut self, ack: &Ack) -> CommandResult<Option<Fence>> {
        let row = self.known(ack.task_id)?;
        if let Some(error) = ack::not_checked(row, ack) {
            return Err(error.into());
        }
        self.check_waits(ack)?;
        Ok(None)
    }

    /// Carries out each ack on its own. Only a fault of the database ends the whole command.
    pub(crate) fn acks(&mut self, acks: &[Ack]) -> Result<Vec<Result<Acked, Error>>> {
        acks.iter()
            .map(|ack| match self.ack(ack, None) {
                Ok(acked) => Ok(Ok(acked)),
                Err(CommandError::Refused(error)) => Ok(Err(error)),
                Err(CommandError::StoreFault(fault)) => Err(fault),
            })
            .collect()
    }

    fn take_ack(&mut self, ack: &Ack, text: Option<TextId>) -> Result<Acked> {
        self.use_text_of(ack.task_id, text)?;
        let usage = ack.usage.as_ref().map(usage_text).transpose()?;
        let end = AttemptOutcome {
            outcome: ack::outcome(ack),
            result: ack.result.as_deref(),
            error: ack.error.as_deref(),
            text,
            usage: usage.as_deref(),
            provider: ack.provider.as_deref(),
            // A worker that saw a run crash knows no more of its usage than the run has reported.
            is_complete: ack.usage.is_some() || !ack.class.is_some_and(FailureClass::is_abrupt),
        };
        let before = self.counted_before(ack)?;
        self.end_attempt(ack.task_id, &end)?;
        if let Some(usage) = &ack.usage {
            self.record_usage(ack, usage, before.as_ref())?;
            let fence = self.tasks.get(ack.task_id).map_or(0, |row| row.fence);
            let counted = before.map_or(Budget::default(), |before| before.counted);
            self.settle(ack.task_id, fence, Some((ack, usage)), counted)?;
        }
        self.keep_conversation(ack)?;
        self.note_run(ack, ack::outcome(ack));
        match ack.status {
            AckStatus::Done => self.done(ack.task_id)?,
            AckStatus::Failed if ack.class == Some(FailureClass::Parked) => {
                self.park(ack.task_id)?
            }
            AckStatus::Failed => self.attempt_failed(ack)?,
        }
        let Some((state, fence)) = self
            .tasks
            .get(ack.task_id)
            .map(|row| (row.state, row.fence))
        else {
            return Err(StoreFault::value("the task of an ack has left memory"));
        };
        let reason = match ack.status {
            AckStatus::Done => "done",
            AckStatus::Failed if ack.class == Some(FailureClass::Parked) => "parked",
            AckStatus::Failed => "failed",
        };
        self.report(ack.task_id, reason);
        let crashed = (ack.status == AckStatus::Failed).then(|| ack::class(ack));
        if !approval::outlive(crashed, state.is_final()) {
            self.close_permissions(ack.task_id)?;
        }
        if state.is_final() {
            self.ended(ack.task_id)?;
        }
        Ok(Acked {
            task_id: ack.task_id,
            status: state,
            fence,
            newly: true,
        })
    }

    /// The usage that was counted for an attempt whose lease was lost before its ack arrived.
    fn counted_before(&mut self, ack: &Ack) -> Result<Option<CountedUsage>> {
        let row = self
            .tasks
            .get(ack.task_id)
            .filter(|row| row.state != Status::Leased);
        match row.map(|row| row.fence).filter(|_| ack.usage.is_some()) {
            Some(fence) => self.counted_usage(ack.task_id, fence),
            None => Ok(None),
        }
    }

    fn done(&mut self, id: TaskId) -> Result<()> {
        let now = self.now();
        self.count_done(id)?;
        self.change(id, |row| {
            transition::finish(row, Status::Done, Flags::RESULT_IN_ATTEMPT, now)
        });
        Ok(())
    }

    fn attempt_failed(&mut self, ack: &Ack) -> Result<()> {
        let now = self.now();
        let retry = self
            .task_options(ack.task_id)?
            .retry
            .unwrap_or(self.options.retry_default);
        self.plans.note_class(ack.task_id, ack::class(ack));
        let Some(row) = self.tasks.get(ack.task_id) else {
            return Ok(());
        };
        let next = policy::after_attempt(&EndedAttempt {
            jitter: self.options.retry_jitter,
            task: row.id,
            class: ack::class(ack),
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            retry: &retry,
            on_lost: row.flags.on_lost(),
            retry_at: ack.retry_at_ms,
            now,
        });
        self.change(ack.task_id, |row| {
            transition::attempt_failed(row, next, now)
        });
        Ok(())
    }
}
