//! What the end of a turn means.

use super::rpc::{self, RpcError};
use crate::definition::Definition;
use crate::limits::{Complaint, Moment};
use crate::outcome::FailureClass;
use crate::output::{class_of, is_error_answer};

/// How a turn ended, by the agent's own word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Good,
    Bad(FailureClass, String),
}

/// The agent answered the prompt with this stop reason. `denied`: why something was denied, if nothing but an error was said since.
pub(super) fn stopped(
    program: &str,
    definition: &Definition,
    stop: &str,
    denied: Option<&str>,
    answer: &str,
) -> Verdict {
    use FailureClass::{ProviderError, RefusedByPolicy};
    let (class, why) = match (stop, denied) {
        ("end_turn" | "cancelled", Some(reason)) => (
            RefusedByPolicy,
            format!("ended its turn after a tool was denied: {reason}"),
        ),
        ("end_turn", None) if is_error_answer(&definition.output, answer) => (
            class_of(
                &definition.output,
                &Complaint::of_text(answer),
                &Moment::now(),
            ),
            format!("answered with an error: {}", answer.trim()),
        ),
        ("end_turn", None) => return Verdict::Good,
        ("cancelled", None) => (
            ProviderError,
            "says that its turn was cancelled, which nobody asked for".to_owned(),
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
    Verdict::Bad(class, format!("'{program}' {why}"))
}

/// The agent refused a request of ours.
pub(super) fn refused(
    program: &str,
    definition: &Definition,
    what: &str,
    error: &RpcError,
    logins: &[String],
) -> Verdict {
    let said = &error.message;
    if error.code == rpc::AUTH_REQUIRED {
        let ways = match logins.is_empty() {
            true => String::new(),
            false => format!(" ({})", logins.join(", ")),
        };
        let install = definition.install.as_deref();
        let how = install.map(|it| format!("; see: {it}")).unwrap_or_default();
        let message = format!(
            "'{program}' wants to be logged in{ways}: {said}; log in with its own command as the user that runs kirosu, or set its key{how}"
        );
        return Verdict::Bad(FailureClass::AuthRequired, message);
    }
    let class = class_of(
        &definition.output,
        &Complaint::of_text(said),
        &Moment::now(),
    );
    Verdict::Bad(class, format!("'{program}' refused to {what}: {said}"))
}
