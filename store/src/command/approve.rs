//! `approve`, `answer` and `reject`: a person's decisions about tasks.

use crate::backend::Result;
use crate::command::TextId;
use crate::core::{CommandError, CommandResult, Core, wrong_state};
use crate::outcome::Outcome;
use crate::row::Flags;
use crate::rules::approval::{MeantPrompt, meant};
use crate::rules::transition;
use crate::sql::cold::{PutNote, SelectNoteHas};
use crate::sql::people::{InsertDecision, SelectSameDecision, SelectVerdict};
use kirosu_protocol::{Budget, Error, ErrorCode, Fence, Status, TaskId, Verdict, stale_approval};
use serde_json::json;
use std::sync::Arc;

/// The result of a `human` task that was approved; clients match it.
const APPROVED: &str = "Approved by human";
/// The worker of a task that a person ended.
const HUMAN: &str = "human";
const NEEDED: &str =
    "only a human task in the queue and a task that awaits approval can be decided";

/// The subject of a decision.
enum DecisionSubject {
    /// The result of a `human` task.
    Human,
    /// Permission for a task to run.
    Run,
}

/// The way in which a person ends a task.
enum PersonResult<'a> {
    /// Done, with the fixed result [`APPROVED`].
    Approved,
    /// Done, with this result, and the rest of a long one.
    Answered(&'a str, Option<TextId>),
    /// Failed, with this error.
    Rejected(&'a str),
}

/// A decision as it was received.
struct DecisionRequest<'a> {
    verdict: Verdict,
    fence: Option<Fence>,
    by: Option<&'a str>,
    reason: Option<&'a str>,
}

fn over(task_id: TaskId, fence: Fence, newest: Fence, state: Status) -> Error {
    let message = format!(
        "the prompt of task {task_id} with fence {fence} is over (the task is {state}, its fence is {newest}); read its present prompt, and decide with that fence"
    );
    let data =
        json!({"task_id": task_id, "status": state, "fence": newest, "why": "another_question"});
    stale_approval(message, data)
}

/// The refusal of an approval that may be meant for the present question or for an earlier one.
fn unclear(task_id: TaskId, by: Option<&str>, newest: Fence, state: Status) -> Error {
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    let message = format!(
        "task {task_id} awaits approval again, and an earlier prompt of it was approved{by} in the same words, so this may be that request sent again; \
         nothing was decided: to approve its present prompt, send `fence` {newest} (`kirosu approve {task_id}` does)"
    );
    let data = json!({"task_id": task_id, "status": state, "fence": newest, "why": "unclear"});
    stale_approval(message, data)
}

/// The refusal of a client that may not decide whether tasks run.
fn needs_person(id: TaskId) -> Error {
    let message = format!(
        "task {id} waits for a person's approval: approve it from a terminal of the hub's user on the hub's machine, or with a \
         key of the role `person` (`kirosu key add NAME --role person`)"
    );
    let error = Error::new(ErrorCode::Forbidden, message);
    error.with_data(json!({ "right": "person" }))
}

impl Core {
    /// Takes a person's answer as the result of a `human` task in the queue. The same answer again changes nothing;
    /// another one is refused. `rest`: the rest of the text, if it is long.
    pub(crate) fn answer(
        &mut self,
        id: TaskId,
        text: &str,
        by: Option<&str>,
        rest: Option<TextId>,
    ) -> CommandResult<Outcome> {
        if let Some(DecisionSubject::Human) = self.matter(id)? {
            self.decide(id, "answered", by, None)?;
            self.end_by_person(id, PersonResult::Answered(text, rest))?;
            self.report_by(id, "answered", by);
            self.ended(id)?;
            return Ok(Outcome::Ok);
        }
        let same = SelectNoteHas {
            task_id: id,
            result: text,
            text_id: rest,
        };
        if self.is_answered(id)? && self.db.number(same.into())?.is_some() {
            if let Some(rest) = rest {
                self.drop_text(rest)?;
            }
            return Ok(Outcome::Ok);
        }
        Err(self.not_answerable(id)?)
    }

    /// Refuses an answer to a task that can take none. An answer that may be sent again is not refused.
    pub(crate) fn check_answer(&mut self, id: TaskId) -> CommandResult<()> {
        let is_human = matches!(self.matter(id)?, Some(DecisionSubject::Human));
        match is_human || self.is_answered(id)? {
            true => Ok(()),
            false => Err(self.not_answerable(id)?),
        }
    }

    /// Whether a person has ended this `human` task with a result.
    fn is_answered(&mut self, id: TaskId) -> CommandResult<bool> {
        let row = self.known(id)?;
        let (state, lane) = (row.state, row.lane);
        let is_human = self.lanes.get(lane).is_some_and(|lane| lane.is_human());
        Ok(is_human && state == Status::Done)
    }

    /// The refusal of an answer.
    fn not_answerable(&mut self, id: TaskId) -> CommandResult<CommandError> {
        let row = self.known(id)?.clone();
        let human = self.lanes.get(row.lane).is_some_and(|lane| lane.is_human());
        let needed = match (human, row.state) {
            (false, _) => {
                "but not of type `human`: only those take an answer; `approve` lets a task run that awaits approval"
            }
            (true, Status::Done) => "with another answer already, and the first one stays",
            (true, state) if state.is_final() => {
                "it ended without an answer; `retry` asks the question again"
            }
            (true, _) => "it can be answered once it is queued",
        };
        Ok(wrong_state("answer", &row, needed).into())
    }

    /// Approves a `human` task, which is done then, or lets a task that awaits approval run. Repeating it is harmless.
    pub(crate) fn approve(
        &mut self,
        id: TaskId,
        fence: Option<Fence>,
        (by, comment): (Option<&str>, Option<&str>),
        raise: Option<Budget>,
        only_human: bool,
    ) -> CommandResult<Outcome> {
        let now = self.now();
        if self.is_live_run(id)? {
            return match only_human {
                true => Err(needs_person(id).into()),
                false => self.approve_run(id, (by, comment), raise),
            };
        }
        let request = DecisionRequest {
            verdict: Verdict::Approved,
            fence,
            by,
            reason: comment,
        };
        if self.repeats_decision(id, &request)? {
            return Ok(Outcome::DecidedBefore);
        }
        match self.matter(id)? {
            Some(DecisionSubject::Human) => {
                self.decide(id, "approved", by, comment)?;
                self.end_by_person(id, PersonResult::Approved)?;
                self.report_by(id, "approved", by);
                self.ended(id)?;
            }
            Some(DecisionSubject::Run) if only_human => return Err(needs_person(id).into()),
            Some(DecisionSubject::Run) => {
                self.decide(id, "approved", by, comment)?;
                self.raise_budgets(id, raise)?;
                self.change(id, |row| transition::approve(row, now));
                self.report_by(id, "approved", by);
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

    /// Rejects a `human` task or one that awaits approval, which fails then. Repeating it is harmless.
    pub(crate) fn reject(
        &mut self,
        id: TaskId,
        fence: Option<Fence>,
        reason: Option<&str>,
        by: Option<&str>,
    ) -> CommandResult<Outcome> {
        let request = DecisionRequest {
            verdict: Verdict::Rejected,
            fence,
            by,
            reason,
        };
        if self.repeats_decision(id, &request)? {
            return Ok(Outcome::DecidedBefore);
        }
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
        self.end_by_person(id, PersonResult::Rejected(&error))?;
        self.report_by(id, "rejected", by);
        self.close_permissions(id)?;
        self.ended(id)?;
        Ok(Outcome::Ok)
    }

    /// Whether a decision repeats one about an earlier prompt of the task: then nothing is decided now.
    ///
    /// # Errors
    /// Refuses a decision about an earlier prompt that was decided otherwise or not at all, and one that names no fence
    /// where it may be either a repeated request or a decision about the present prompt.
    fn repeats_decision(
        &mut self,
        id: TaskId,
        request: &DecisionRequest<'_>,
    ) -> CommandResult<bool> {
        let row = self.known(id)?;
        let (newest, state) = (row.fence, row.state);
        let is_waiting = self.matter(id)?.is_some();
        let decided_before = self.decided_before(id, request, newest, is_waiting)?;
        match meant(
            request.fence,
            newest,
            is_waiting,
            request.verdict,
            decided_before,
        ) {
            MeantPrompt::Present => Ok(false),
            MeantPrompt::Again => Ok(true),
            MeantPrompt::Over => {
                Err(over(id, request.fence.unwrap_or(newest), newest, state).into())
            }
            MeantPrompt::Unclear => Err(unclear(id, request.by, newest, state).into()),
        }
    }

    /// Whether an earlier prompt was decided in the same way. Runs a query only where the result matters.
    fn decided_before(
        &mut self,
        task_id: TaskId,
        request: &DecisionRequest<'_>,
        newest: Fence,
        is_waiting: bool,
    ) -> CommandResult<bool> {
        let verdict = request.verdict.as_str();
        let found = match request.fence {
            Some(fence) if fence != newest => {
                let earlier = SelectVerdict {
                    task_id,
                    verdict,
                    fence,
                };
                self.db.number(earlier.into())?
            }
            None if newest > 0 && is_waiting && request.verdict == Verdict::Approved => {
                let same = SelectSameDecision {
                    task_id,
                    verdict,
                    by: request.by,
                    reason: request.reason,
                    before: newest,
                };
                self.db.number(same.into())?
            }
            _ => None,
        };
        Ok(found.is_some())
    }

    /// The subject that a decision about the task has now; `None` means that there is nothing to decide.
    fn matter(&mut self, id: TaskId) -> CommandResult<Option<DecisionSubject>> {
        let row = self.known(id)?;
        let (state, lane) = (row.state, row.lane);
        let human = self.lanes.get(lane).is_some_and(|lane| lane.is_human());
        Ok(match state {
            Status::Queued if human => Some(DecisionSubject::Human),
            Status::AwaitingApproval => Some(DecisionSubject::Run),
            _ => None,
        })
    }

    /// Records a person's decision about a task that is in memory.
    pub(crate) fn decide(
        &mut self,
        id: TaskId,
        verdict: &str,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<()> {
        let (fence, at) = (self.tasks.get(id).map_or(0, |row| row.fence), self.now());
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
    fn end_by_person(&mut self, id: TaskId, ending: PersonResult<'_>) -> Result<()> {
        let now = self.now();
        let (status, flag, result, error) = match ending {
            PersonResult::Approved => (Status::Done, Flags::APPROVED, Some(APPROVED), None),
            PersonResult::Answered(text, _) => (Status::Done, 0, Some(text), None),
            PersonResult::Rejected(error) => (Status::Failed, Flags::REJECTED, None, Some(error)),
        };
        let text_id = match ending {
            PersonResult::Answered(_, rest) => rest,
            _ => None,
        };
        self.use_text_of(id, text_id)?;
        self.write(PutNote {
            task_id: id,
            result,
            error,
            text_id,
        })?;
        if status == Status::Done {
            self.count_done(id)?;
        }
        self.change(id, |row| {
            transition::finish(row, status, Flags::RESULT_IN_NOTE, now);
            row.worker = Some(Arc::from(HUMAN));
            row.flags.set(flag);
        });
        Ok(())
    }
}
