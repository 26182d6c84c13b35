//! `approve` and `reject`: what a person decides.

use crate::core::{Core, Reply, wrong_state};
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::rules::transition;
use crate::sql::cold::PutNote;
use crate::sql::people::InsertDecision;
use diesel::QueryResult;
use kirosu_protocol::{Status, TaskId};
use std::sync::Arc;

/// The result of a `human` task that was approved; clients match it.
const APPROVED: &str = "Approved by human";
/// The worker of a task that a person ended.
const HUMAN: &str = "human";
const NEEDED: &str =
    "only a human task in the queue and a task that awaits approval can be decided";

/// What a decision is about.
enum Matter {
    /// The answer itself.
    Human,
    /// Whether it may run.
    Run,
}

impl Core {
    /// Answers a `human` task, or lets a task that awaits approval run; sent twice, it is fine.
    pub(crate) fn approve(
        &mut self,
        id: TaskId,
        by: Option<&str>,
        comment: Option<&str>,
    ) -> Reply<Outcome> {
        let now = self.now;
        match self.matter(id)? {
            Some(Matter::Human) => {
                self.decide(id, "approved", by, comment)?;
                self.answer(id, Status::Done, Some(APPROVED), None)?;
                self.tell(id, "approved");
                self.ended(id)?;
            }
            Some(Matter::Run) => {
                self.decide(id, "approved", by, comment)?;
                self.raise_budgets(id)?;
                self.change(id, |row| transition::approve(row, now));
                self.tell(id, "approved");
            }
            None => {
                let row = self.known(id)?;
                if !row.flags.has(Flags::APPROVED) {
                    return Err(wrong_state("approve", row, NEEDED).into());
                }
            }
        }
        Ok(Outcome::Ok)
    }

    /// Refuses a `human` task or one that awaits approval: it fails; sent twice, it is fine.
    pub(crate) fn reject(
        &mut self,
        id: TaskId,
        reason: Option<&str>,
        by: Option<&str>,
    ) -> Reply<Outcome> {
        if self.matter(id)?.is_none() {
            let row = self.known(id)?;
            if row.flags.has(Flags::REJECTED) && row.state == Status::Failed {
                return Ok(Outcome::Ok);
            }
            return Err(wrong_state("reject", row, NEEDED).into());
        }
        self.decide(id, "rejected", by, reason)?;
        let error = match reason {
            Some(reason) => format!("rejected: {reason}"),
            None => "rejected".to_owned(),
        };
        self.answer(id, Status::Failed, None, Some(&error))?;
        self.tell(id, "rejected");
        self.close_questions(id)?;
        self.ended(id)?;
        Ok(Outcome::Ok)
    }

    /// What there is to decide about a task.
    fn matter(&mut self, id: TaskId) -> Reply<Option<Matter>> {
        let row = self.known(id)?;
        let (state, lane) = (row.state, row.lane);
        let human = self.lanes.get(lane).is_some_and(|lane| lane.is_human());
        Ok(match state {
            Status::Queued if human => Some(Matter::Human),
            Status::AwaitingApproval => Some(Matter::Run),
            _ => None,
        })
    }

    /// Keeps what a person decided about a task in memory.
    pub(crate) fn decide(
        &mut self,
        id: TaskId,
        verdict: &str,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> QueryResult<()> {
        let (fence, at) = (self.rows.get(id).map_or(0, |row| row.fence), self.now);
        self.write(InsertDecision {
            task_id: id,
            fence,
            verdict,
            by,
            reason,
            at,
        })?;
        Ok(())
    }

    /// Ends a task by a person's word.
    fn answer(
        &mut self,
        id: TaskId,
        status: Status,
        result: Option<&str>,
        error: Option<&str>,
    ) -> QueryResult<()> {
        let now = self.now;
        self.write(PutNote {
            task_id: id,
            result,
            error,
        })?;
        if status == Status::Done
            && let Some((lane, created)) = self.rows.get(id).map(|row| (row.lane, row.created_at))
        {
            self.count_done(lane, id, created)?;
        }
        self.change(id, |row| {
            transition::finish(row, status, Flags::TOLD_BY_NOTE, now);
            row.worker = Some(Arc::from(HUMAN));
            row.flags.set(if status == Status::Done {
                Flags::APPROVED
            } else {
                Flags::REJECTED
            });
        });
        Ok(())
    }
}
