//! What the end of a turn means.

use super::turn::TurnText;
use crate::definition::Definition;
use crate::limits::{self, ReferenceTime, ReportedError};
use crate::outcome::FailureKind;
use crate::output::{class_of, is_error_answer};

/// How a turn ended, by the agent's own word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TurnVerdict {
    Good,
    Bad(FailureKind, String),
}

/// The agent answered the prompt with this stop reason.
pub(super) fn stopped(
    program: &str,
    definition: &Definition,
    stop: &str,
    told: &TurnText<'_>,
) -> TurnVerdict {
    use FailureKind::{ProviderError, RefusedByPolicy};
    let (class, why) = match (stop, told.denied) {
        ("end_turn" | "cancelled", Some(reason)) => (
            RefusedByPolicy,
            format!("ended its turn after a tool was denied: {reason}"),
        ),
        ("end_turn", None) => match error_in(definition, told) {
            Some((class, error)) => {
                let advice = limits::advice(&ReportedError::of_text(error));
                let error = error.trim();
                (class, format!("answered with an error: {error}{advice}"))
            }
            None => match reason_in(told) {
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

/// The error that the agent states as its answer, or as the last message of it.
fn error_in<'t>(definition: &Definition, told: &TurnText<'t>) -> Option<(FailureKind, &'t str)> {
    let output = &definition.output;
    let moment = ReferenceTime::now();
    if is_error_answer(output, told.answer) {
        let complaint = ReportedError::of_text(told.answer);
        return Some((class_of(output, &complaint, &moment), told.answer));
    }
    let last = told.last_message;
    let known = limits::classify(&ReportedError::of_text(last), &moment)?;
    let is_error = limits::is_notice(last, told.work) || is_error_answer(output, last);
    is_error.then_some((known, last))
}

/// The reason of a turn of which nothing came, as a notice of the program states it.
fn reason_in<'t>(told: &TurnText<'t>) -> Option<(FailureKind, &'t str)> {
    let notice = told.notice?;
    let class = limits::classify(&ReportedError::of_text(notice), &ReferenceTime::now())?;
    Some((class, notice))
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn an_error_that_is_told_as_the_answer_is_no_good_end() {
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
            let told = TurnText {
                denied: None,
                answer,
                last_message: answer,
                notice: None,
                work: limits::WorkDone::default(),
            };
            let class = match stopped(agent, &definition, "end_turn", &told) {
                TurnVerdict::Good => "good",
                TurnVerdict::Bad(class, _) => class.as_str(),
            };
            assert_eq!(class, expected, "{agent}: {answer}");
        }
    }
}
