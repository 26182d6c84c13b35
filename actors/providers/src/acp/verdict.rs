//! The end of a turn, and the verdict on it from its stop reason and its text.

use super::turn::TurnText;
use crate::definition::Definition;
use crate::limits::{self, ReferenceTime, ReportedError};
use crate::outcome::{FailureKind, TimeoutKind};
use crate::output::{ServiceWait, class_of, is_error_answer};

/// The end of a turn as the agent reported it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TurnVerdict {
    Good,
    Bad(FailureKind, String),
}

/// The reason for which the caller stops a turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum StopCause {
    Cancelled,
    Timeout(TimeoutKind),
    /// The program waits for its service by itself.
    Waits(ServiceWait),
}

/// The end of a turn.
#[derive(Debug, PartialEq)]
pub(super) enum TurnEnd {
    /// The agent reported the end.
    Reported(TurnVerdict),
    /// The turn was stopped.
    Stopped(StopCause),
    /// The process is gone.
    Gone,
    /// The agent violated the protocol. The sentence continues "it ...". The process must not be used again.
    Misbehaved(String),
    /// The agent did not respond in time. The sentence continues "the program ...".
    Unanswered(String),
}

/// The verdict on a turn that ended with this stop reason.
pub(super) fn stopped(
    program: &str,
    definition: &Definition,
    stop: &str,
    reported: &TurnText<'_>,
) -> TurnVerdict {
    use FailureKind::{ProviderError, RefusedByPolicy};
    let (class, why) = match (stop, reported.denied) {
        ("end_turn" | "cancelled", Some(reason)) => (
            RefusedByPolicy,
            format!("ended its turn after a tool was denied: {reason}"),
        ),
        ("end_turn", None) => match error_in(definition, reported) {
            Some((class, error)) => {
                let advice = limits::advice(&ReportedError::of_text(error));
                let error = error.trim();
                (class, format!("answered with an error: {error}{advice}"))
            }
            None => match reason_in(reported) {
                Some((class, notice)) => {
                    let advice = limits::advice(&ReportedError::of_text(notice));
                    (
                        class,
                        format!("ended its turn without an answer: {notice}{advice}"),
                    )
                }
                None => return TurnVerdict::Good,
            },
        },
        ("cancelled", None) => (
            ProviderError,
            "says that its turn was cancelled, but no cancel was sent".to_owned(),
        ),
        ("refusal", _) => (RefusedByPolicy, "refused to answer this prompt".to_owned()),
        ("max_tokens", _) => (
            ProviderError,
            "ended its turn at the model's limit of tokens".to_owned(),
        ),
        ("max_turn_requests", _) => (
            ProviderError,
            "ended its turn at its limit of calls to the model".to_owned(),
        ),
        (other, _) => (
            ProviderError,
            format!("ended its turn for a reason that kirosu does not know: {other}"),
        ),
    };
    TurnVerdict::Bad(class, format!("'{program}' {why}"))
}

/// The error that is the agent's answer, or the last message of it.
fn error_in<'t>(
    definition: &Definition,
    reported: &TurnText<'t>,
) -> Option<(FailureKind, &'t str)> {
    let output = &definition.output;
    let moment = ReferenceTime::now();
    if is_error_answer(output, reported.answer) {
        let complaint = ReportedError::of_text(reported.answer);
        return Some((class_of(output, &complaint, &moment), reported.answer));
    }
    let last = reported.last_message;
    let known = limits::classify(&ReportedError::of_text(last), &moment)?;
    let is_error = limits::is_notice(last, reported.work) || is_error_answer(output, last);
    is_error.then_some((known, last))
}

/// The reason for a turn without output, from a notice of the program.
fn reason_in<'t>(reported: &TurnText<'t>) -> Option<(FailureKind, &'t str)> {
    let notice = reported.notice?;
    let class = limits::classify(&ReportedError::of_text(notice), &ReferenceTime::now())?;
    Some((class, notice))
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn an_error_as_the_answer_is_a_failure() {
        let long = format!("Error: {}", "x".repeat(2000));
        for (agent, answer, expected) in [
            ("copilot", "Error: 401 Unauthorized", "auth_required"),
            (
                "copilot",
                "Error: 429 Sorry, you've hit a rate limit. Please try again in 2 hours.",
                "rate_limited",
            ),
            (
                "copilot",
                "Error: Model 'stub' not found on provider at x (HTTP 404).",
                "bad_input",
            ),
            ("copilot", long.as_str(), "provider_error"),
            ("copilot", "Fixed the Error: 401 in login.rs", "good"),
            ("goose", "Network error: Could not connect", "network"),
            (
                "goose",
                "Ran into this error: Rate limit exceeded",
                "rate_limited",
            ),
            (
                "claude",
                "5-hour limit reached ∙ resets 3pm",
                "rate_limited",
            ),
            (
                "claude",
                "Rate limit exceeded: the handler now lives in src/http.rs.",
                "good",
            ),
            (
                "claude",
                "The API answers 429 when a limit is reached.",
                "good",
            ),
        ] {
            let definition = Definition::read_acp(Some(agent), &Map::new()).unwrap();
            let reported = TurnText {
                denied: None,
                answer,
                last_message: answer,
                notice: None,
                work: limits::WorkDone::default(),
            };
            let class = match stopped(agent, &definition, "end_turn", &reported) {
                TurnVerdict::Good => "good",
                TurnVerdict::Bad(class, _) => class.as_str(),
            };
            assert_eq!(class, expected, "{agent}: {answer}");
        }
    }
}
