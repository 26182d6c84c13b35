//! The end of a turn: the result that was not printed, the reason of a failure, and the reason to stop.

use super::printed::Splitter;
use super::request_error::RequestError;
use super::turn::{PromptEnd, PromptTurn};
use super::updates::answer;
use kirosu_protocol::{FailureClass, GetAnswer, Status, TYPE_PLAN, TaskId};
use kirosu_providers::rpc::INTERNAL_ERROR;
use serde_json::json;

/// A turn whose task has ended, with all that decides how the end is shown.
pub struct EndedTurn<'t> {
    /// The turn.
    pub turn: &'t PromptTurn,
    /// The printed output.
    pub printed: &'t Splitter,
    /// Whether the editor has cancelled.
    pub is_cancelled: bool,
    /// Whether the person has rejected something in the editor.
    pub is_rejected: bool,
}

impl EndedTurn<'_> {
    /// Shows the end of a task, and notes it in the session.
    ///
    /// # Errors
    /// It failed.
    pub async fn of(&self, got: &GetAnswer) -> Result<PromptEnd, RequestError> {
        let (task, id) = (&got.task, got.task.task_id);
        let text = match task.status {
            Status::Done => task.result.clone().unwrap_or_default(),
            _ => task.error.clone().unwrap_or_default(),
        };
        self.note(id, &text);
        match task.status {
            Status::Done => {
                if !text.is_empty() && !self.printed.has_printed(&text) {
                    self.say(id, &text).await;
                }
                Ok(PromptEnd::EndTurn)
            }
            Status::Cancelled => {
                if !self.is_cancelled {
                    self.say(id, &format!("Task {id}: {text}")).await;
                }
                Ok(PromptEnd::Cancelled)
            }
            _ => self.failed(got, &format!("Task {id} failed: {text}")).await,
        }
    }

    async fn failed(&self, got: &GetAnswer, text: &str) -> Result<PromptEnd, RequestError> {
        let id = got.task.task_id;
        let class = got.attempts.last().map(|it| it.outcome.clone());
        let class = class.unwrap_or_default();
        if let Some(stop) = stop_of(&class, self.is_rejected) {
            self.say(id, text).await;
            if stop == PromptEnd::Refusal {
                // The editor forgets such a turn, and so does the conversation.
                let mut state = self.turn.session.state.borrow_mut();
                state.turns.retain(|it| it.task_id != id);
            }
            return Ok(stop);
        }
        let retry = match got.task.task_type.as_str() {
            TYPE_PLAN => format!("kirosu run retry {id} --failed"),
            _ => format!("kirosu retry {id}"),
        };
        Err(RequestError {
            code: INTERNAL_ERROR,
            message: format!("{text}\nRepeat it with `{retry}`."),
            data: Some(json!({"code": "failed", "task_id": id, "class": class})),
        })
    }

    async fn say(&self, id: TaskId, text: &str) {
        let message = format!("task-{id}-end");
        self.turn.update(answer(&message, text)).await;
    }

    fn note(&self, id: TaskId, text: &str) {
        let mut state = self.turn.session.state.borrow_mut();
        for past in state.turns.iter_mut().filter(|it| it.task_id == id) {
            past.outcome = Some(text.to_owned());
        }
    }
}

/// The reason to stop that the protocol has for a class of failure. A rejection by the person is no refusal of the agent.
fn stop_of(class: &str, is_rejected: bool) -> Option<PromptEnd> {
    match FailureClass::from_name(class)? {
        FailureClass::RefusedByPolicy if is_rejected => Some(PromptEnd::EndTurn),
        FailureClass::RefusedByPolicy => Some(PromptEnd::Refusal),
        FailureClass::BudgetExhausted => Some(PromptEnd::MaxTokens),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_reason_to_stop_or_an_error() {
        assert_eq!(
            stop_of("refused_by_policy", false),
            Some(PromptEnd::Refusal)
        );
        assert_eq!(stop_of("refused_by_policy", true), Some(PromptEnd::EndTurn));
        assert_eq!(
            stop_of("budget_exhausted", false),
            Some(PromptEnd::MaxTokens)
        );
        for error in ["provider_error", "timeout", "", "done"] {
            assert_eq!(stop_of(error, true), None, "{error}");
        }
    }
}
