//! `approve`, `answer` and `reject`: a person's decisions about tasks.

use crate::core::{Core, Reply, wrong_state};
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::rules::transition;
use crate::sql;
use crate::sql::cold::{PutNote, SelectNoteHas};
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

/// How a person ends a task.
enum Ending<'a> {
    /// With the result that says no more than yes.
    Approved,
    /// With this result.
    Answered(&'a str),
    /// With this error.
    Rejected(&'a str),
}

impl Core {
    /// Takes a person's answer as the result of a `human` task that waits for one. The same answer again changes nothing;
    /// another one is refused.
    pub(crate) fn answer(&mut self, id: TaskId, text: &str, by: Option<&str>) -> Reply<Outcome> {
        if let Some(Matter::Human) = self.matter(id)? {
            self.decide(id, "answered", by, None)?;
            self.end_by_person(id, Ending::Answered(text))?;
            self.tell(id, "answered");
            self.ended(id)?;
            return Ok(Outcome::Ok);
        }
        let row = self.known(id)?.clone();
        let human = self.lanes.get(row.lane).is_some_and(|lane| lane.is_human());
        let needed = match (human, row.state) {
            (false, _) => {
                "but not of type `human`: only those take an answer; `approve` lets a task run that awaits approval"
            }
            (true, Status::Done) => {
                let task_id = id;
                let same: Option<i64> = sql::first(
                    &mut self.conn,
                    SelectNoteHas {
                        task_id,
                        result: text,
                    },
                )?;
                if same.is_some() {
                    return Ok(Outcome::Ok);
                }
                "with another answer already, and the first one stays"
            }
            (true, state) if state.is_final() => {
                "it ended without an answer; `retry` asks the question again"
            }
            (true, _) => "it can be answered once it is queued",
        };
        Err(wrong_state("answer", &row, needed).into())
    }

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
                self.end_by_person(id, Ending::Approved)?;
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
        self.end_by_person(id, Ending::Rejected(&error))?;
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

    /// Ends a task by a person's decision.
    fn end_by_person(&mut self, id: TaskId, ending: Ending<'_>) -> QueryResult<()> {
        let now = self.now;
        let (status, flag, result, error) = match ending {
            Ending::Approved => (Status::Done, Flags::APPROVED, Some(APPROVED), None),
            Ending::Answered(text) => (Status::Done, 0, Some(text), None),
            Ending::Rejected(error) => (Status::Failed, Flags::REJECTED, None, Some(error)),
        };
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
            row.flags.set(flag);
        });
        Ok(())
    }
}
