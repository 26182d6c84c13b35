//! The failure kind of an error response from the agent.

use super::rpc::{self, RpcError};
use super::verdict::TurnVerdict;
use crate::definition::Definition;
use crate::limits::{self, ReferenceTime, ReportedError};
use crate::outcome::FailureKind;
use crate::output::class_of;

/// Lower-case words of an error about a missing login. They are looked for under the code that ACP has for it, which some
/// agents use for other errors too.
const LOGIN: &[&str] = &[
    "authenticat",
    "authoriz",
    "authmethod",
    "auth_",
    "auth required",
    "oauth",
    "log in",
    "login",
    "logged in",
    "sign in",
    "signed in",
    "credential",
    "api key",
    "api_key",
    "apikey",
    "access token",
];

/// The verdict for a request that the agent refused. `what` completes "refused to ...", `logins` are the ways to log in
/// that the agent named in its response to `initialize`.
pub(super) fn refused(
    program: &str,
    definition: &Definition,
    what: &str,
    error: &RpcError,
    logins: &[String],
) -> TurnVerdict {
    let stated = &error.message;
    let class = class(definition, error);
    if class == FailureKind::AuthRequired {
        let ways = match logins.is_empty() {
            true => String::new(),
            false => format!(" ({})", logins.join(", ")),
        };
        let install = definition.install.as_deref();
        let how = install.map(|it| format!("; see: {it}")).unwrap_or_default();
        let message = format!(
            "'{program}' needs a login{ways}: {stated}; log in with its own command as the user that runs kirosu, or set its key{how}"
        );
        return TurnVerdict::Bad(class, message);
    }
    let advice = limits::advice(&complaint(error));
    let message = format!("'{program}' refused to {what}: {stated}{advice}");
    TurnVerdict::Bad(class, message)
}

/// The failure kind of an error, with the end of a limit where it states one.
pub(super) fn class(definition: &Definition, error: &RpcError) -> FailureKind {
    let class = class_of(&definition.output, &complaint(error), &ReferenceTime::now());
    match class {
        FailureKind::ProviderError if is_login(error) => FailureKind::AuthRequired,
        class => class,
    }
}

/// The error for `limits`; its code may be an HTTP status.
fn complaint(error: &RpcError) -> ReportedError<'_> {
    let status = u16::try_from(error.code).ok();
    ReportedError {
        status: status.filter(|it| (400..600).contains(it)),
        text: &error.message,
        data: Some(&error.raw),
    }
}

/// Whether an error with ACP's code for it is about a login. An error without words is.
fn is_login(error: &RpcError) -> bool {
    let stated = error.raw.to_string().to_lowercase();
    let is_bare = error.raw["message"].as_str().is_none_or(str::is_empty);
    error.code == rpc::AUTH_REQUIRED && (is_bare || LOGIN.iter().any(|it| stated.contains(it)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::rpc::{RpcMessage, read};
    use super::*;

    fn class_of_error(error: &Value) -> String {
        let overrides = json!({"command": ["x"]});
        let definition = Definition::read_acp(None, overrides.as_object().unwrap()).unwrap();
        let line = json!({"jsonrpc": "2.0", "id": 1, "error": error}).to_string();
        let Some(RpcMessage::Answer { outcome, .. }) = read(line.as_bytes()).messages.pop() else {
            panic!("{error}");
        };
        let class = class(&definition, &outcome.unwrap_err());
        let ends = matches!(class, FailureKind::RateLimited { until: Some(_) });
        format!("{class}{}", if ends { " until" } else { "" })
    }

    #[test]
    fn errors_are_read_by_code_data_and_words() {
        let internal =
            |data: Value| json!({"code": -32603, "message": "Internal error", "data": data});
        let login = |message: &str| json!({"code": -32000, "message": message});
        for (error, expected) in [
            (
                json!({"code": 429, "message": "You have exhausted your capacity on this model. Your quota will reset after 3h22m13s."}),
                "rate_limited until",
            ),
            (json!({"code": 429, "message": "no"}), "rate_limited"),
            (json!({"code": 401, "message": "no"}), "auth_required"),
            (json!({"code": 503, "message": "no"}), "rate_limited"),
            (
                internal(
                    json!({"message": "You've hit your usage limit. Upgrade to Pro or try again at 3:42 PM.", "codex_error_info": "usage_limit_exceeded"}),
                ),
                "rate_limited until",
            ),
            (
                internal(json!({"message": "no", "codexErrorInfo": "usageLimitExceeded"})),
                "rate_limited",
            ),
            (internal(json!({"errorKind": "rate_limit"})), "rate_limited"),
            (
                internal(json!({"errorKind": "rate_limit", "resets_in_seconds": 3600})),
                "rate_limited until",
            ),
            (
                internal(
                    json!({"details": "429 Too Many Requests: rate limited, try again in 90 seconds"}),
                ),
                "rate_limited until",
            ),
            (
                internal(json!(
                    "{\"error\":{\"type\":\"usage_limit_reached\",\"resets_in_seconds\":60}}"
                )),
                "rate_limited until",
            ),
            (
                internal(
                    json!({"details": "Your access token could not be refreshed because you have since logged out or signed in to another account. Please sign in again."}),
                ),
                "auth_required",
            ),
            (
                internal(json!({"codexErrorInfo": "unauthorized"})),
                "auth_required",
            ),
            (
                internal(json!({"codexErrorInfo": "contextWindowExceeded"})),
                "bad_input",
            ),
            (
                internal(
                    json!({"details": "The model `gpt-nope` does not exist or you do not have access to it."}),
                ),
                "bad_input",
            ),
            (
                internal(json!({"details": "connect ECONNREFUSED 127.0.0.1:1"})),
                "network",
            ),
            (internal(json!({"details": "no disk"})), "provider_error"),
            (
                internal(json!({"error": "429 Too Many Requests"})),
                "rate_limited",
            ),
            (
                internal(json!({"reason": "You've hit your usage limit"})),
                "rate_limited",
            ),
            (
                internal(json!({"errors": [{"message": "quota exceeded, try again in 2 hours"}]})),
                "rate_limited until",
            ),
            (
                internal(json!({"cause": {"message": "connect ECONNREFUSED"}})),
                "network",
            ),
            (login("Authentication required"), "auth_required"),
            (login("Please log in with `x login`"), "auth_required"),
            (json!({"code": -32000}), "auth_required"),
            (
                json!({"code": -32000, "message": "Denied", "data": {"authMethods": []}}),
                "auth_required",
            ),
            (
                login("Server busy: session limit of 4 reached"),
                "provider_error",
            ),
            (login("Out of memory"), "provider_error"),
            (
                login("Rate limit reached, try again in 20s"),
                "rate_limited until",
            ),
        ] {
            assert_eq!(class_of_error(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_missing_login_comes_with_advice() {
        let definition = Definition::read_acp(Some("goose"), &Map::new()).unwrap();
        let error = RpcError {
            code: -32000,
            message: "Authentication required".to_owned(),
            raw: Value::Null,
        };
        let logins = ["Log in with X".to_owned()];
        let verdict = refused("goose", &definition, "open a session", &error, &logins);
        let TurnVerdict::Bad(FailureKind::AuthRequired, message) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(
            message.contains("Log in with X") && message.contains("see: "),
            "{message}"
        );
    }
}
