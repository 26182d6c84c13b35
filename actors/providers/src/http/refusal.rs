//! Error responses of services, and their failure kind.

use std::time::SystemTime;

use kirosu_protocol::text::head;
use serde_json::Value;

use crate::outcome::FailureKind;

/// Bytes of a service's message that are kept.
const MESSAGE: usize = 2 * 1024;

/// An error as the service states it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServiceRefusal {
    /// The HTTP status; in the middle of a stream the status in the error itself, if any.
    pub(super) status: Option<u16>,
    /// Its code and its type.
    words: Vec<String>,
    /// Its message.
    pub(super) message: String,
    /// The time of the next useful attempt.
    pub(super) until: Option<SystemTime>,
}

impl ServiceRefusal {
    /// Reads `{"error": {"message", "code", "type"}}` and similar forms.
    pub(super) fn of(status: Option<u16>, value: &Value) -> Self {
        let error = value.get("error").filter(|it| !it.is_null());
        let error = error.unwrap_or(value);
        let names = ["code", "type", "status"];
        let words = names.iter().filter_map(|name| error.get(name)?.as_str());
        let number = error.get("code").and_then(Value::as_u64);
        let stated = ["message", "detail", "error"]
            .iter()
            .find_map(|name| error.get(name)?.as_str())
            .or_else(|| error.as_str());
        let message = stated.map_or_else(|| error.to_string(), str::to_owned);
        Self {
            status: status.or_else(|| number.and_then(|it| it.try_into().ok())),
            words: words.map(str::to_owned).collect(),
            message: short(&message),
            until: None,
        }
    }

    /// Reads the body of a response without success.
    pub(super) fn of_body(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(value) => Self::of(Some(status), &value),
            Err(_) => Self {
                status: Some(status),
                message: short(&String::from_utf8_lossy(body)),
                ..Self::default()
            },
        }
    }

    /// Whether the service is not ready yet, because it is loading its model.
    pub(super) fn is_loading(&self) -> bool {
        self.status == Some(503) && self.mentions("loading")
    }

    /// The failure kind. `is_tasks`: the task itself named the model.
    pub(super) fn class(&self, is_of_task: bool) -> FailureKind {
        if self.names_no_model() {
            return match is_of_task {
                true => FailureKind::BadInput,
                false => FailureKind::Missing,
            };
        }
        let by_code = self.words.iter().find_map(|word| self.by_code(word));
        by_code
            .or_else(|| self.by_status())
            .unwrap_or(FailureKind::ProviderError)
    }

    /// Advice for a person about the failure kind, as the end of a sentence.
    pub(super) fn advice(&self, class: FailureKind, key: &str) -> String {
        match class {
            FailureKind::AuthRequired if self.is_about_money() => {
                "; add credit to the account, or name another provider".to_owned()
            }
            FailureKind::AuthRequired => format!("; check the key ({key})"),
            FailureKind::Missing | FailureKind::BadInput if self.names_no_model() => {
                "; name a model that it has (model =, --model), or get it there".to_owned()
            }
            FailureKind::Missing => "; check base_url and api".to_owned(),
            _ => String::new(),
        }
    }

    fn mentions(&self, words: &str) -> bool {
        self.message.to_lowercase().contains(words)
    }

    fn is(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    fn is_about_money(&self) -> bool {
        self.status == Some(402)
            || self.is(&["insufficient_quota", "billing_error", "billing_not_active"])
            || self.mentions("credit balance is too low")
    }

    fn names_no_model(&self) -> bool {
        let may_be = matches!(self.status, None | Some(400 | 404));
        let mentions = self.mentions("model")
            && (self.mentions("not found")
                || self.mentions("does not exist")
                || self.mentions("not a valid"));
        let is_404 = self.status == Some(404) && self.mentions("model");
        self.is(&["model_not_found"]) || is_404 || (may_be && mentions)
    }

    fn by_code(&self, word: &str) -> Option<FailureKind> {
        Some(match word {
            "content_filter" | "content_policy_violation" => FailureKind::RefusedByPolicy,
            "rate_limit_error" | "rate_limit_exceeded" | "overloaded_error"
                if !self.is_about_money() =>
            {
                FailureKind::RateLimited { until: self.until }
            }
            "authentication_error" | "permission_error" | "invalid_api_key" => {
                FailureKind::AuthRequired
            }
            _ if self.is_about_money() => FailureKind::AuthRequired,
            // A status is more specific than this word, which some services use for everything.
            "invalid_request_error" if self.status.is_some() => return None,
            "invalid_request_error"
            | "invalid_prompt"
            | "request_too_large"
            | "context_length_exceeded"
            | "exceed_context_size_error" => FailureKind::BadInput,
            "unavailable_error" => FailureKind::Network,
            _ => return None,
        })
    }

    fn by_status(&self) -> Option<FailureKind> {
        Some(match self.status? {
            401 | 403 => FailureKind::AuthRequired,
            _ if self.is_about_money() => FailureKind::AuthRequired,
            400 | 413 | 422 => FailureKind::BadInput,
            404 => FailureKind::Missing,
            429 | 529 => FailureKind::RateLimited { until: self.until },
            // The service states when it is available again.
            503 if self.until.is_some() => FailureKind::RateLimited { until: self.until },
            // The gateway does not reach the service.
            408 | 502..=504 | 520..=526 => FailureKind::Network,
            _ => return None,
        })
    }
}

/// The text on one line, cut to [`MESSAGE`] bytes.
fn short(text: &str) -> String {
    let text = head(text, MESSAGE);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace(char::is_control, "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(status: u16, body: &str) -> FailureKind {
        ServiceRefusal::of_body(status, body.as_bytes()).class(false)
    }

    #[test]
    fn service_errors_are_classified() {
        use FailureKind::*;
        let limited = RateLimited { until: None };
        let openai = |code: &str, kind: &str, message: &str| {
            json!({"error": {"message": message, "type": kind, "code": code}}).to_string()
        };
        let anthropic = |kind: &str, message: &str| {
            json!({"type": "error", "error": {"type": kind, "message": message}}).to_string()
        };
        let table = [
            (
                401,
                openai("invalid_api_key", "invalid_request_error", "Incorrect"),
                AuthRequired,
            ),
            (
                429,
                openai("rate_limit_exceeded", "requests", "Rate limit"),
                limited,
            ),
            (
                429,
                openai("insufficient_quota", "insufficient_quota", "quota"),
                AuthRequired,
            ),
            (402, openai("", "", "Insufficient credits"), AuthRequired),
            (
                404,
                openai("model_not_found", "invalid_request_error", "gone"),
                Missing,
            ),
            (
                400,
                openai("context_length_exceeded", "invalid_request_error", "long"),
                BadInput,
            ),
            (
                400,
                json!({"error": {"code": 400, "message": "x/y is not a valid model ID"}})
                    .to_string(),
                Missing,
            ),
            (
                404,
                json!({"error": {"message": "model \"x\" not found, try pulling it first"}})
                    .to_string(),
                Missing,
            ),
            (404, "404 page not found".to_owned(), Missing),
            (413, "too large".to_owned(), BadInput),
            (422, json!({"detail": "no"}).to_string(), BadInput),
            (529, anthropic("overloaded_error", "Overloaded"), limited),
            (
                400,
                anthropic("invalid_request_error", "Your credit balance is too low"),
                AuthRequired,
            ),
            (403, anthropic("permission_error", "no"), AuthRequired),
            (500, anthropic("api_error", "Internal"), ProviderError),
            (502, "<html>bad gateway</html>".to_owned(), Network),
            (503, "busy".to_owned(), Network),
            (418, String::new(), ProviderError),
        ];
        for (status, body, expected) in table {
            assert_eq!(class(status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_model_that_a_task_named_is_the_tasks_fault() {
        let refusal = ServiceRefusal::of_body(404, br#"{"error":"model 'x' not found"}"#);
        assert_eq!(refusal.class(true), FailureKind::BadInput);
        // A wrong address is not the task's fault.
        let refusal = ServiceRefusal::of_body(404, b"nothing here");
        assert_eq!(refusal.class(true), FailureKind::Missing);
    }

    #[test]
    fn loading_is_not_a_failure() {
        let body =
            br#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#;
        assert!(ServiceRefusal::of_body(503, body).is_loading());
        assert!(!ServiceRefusal::of_body(500, body).is_loading());
    }

    #[test]
    fn errors_in_the_middle_of_a_stream_have_no_status() {
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        let class = ServiceRefusal::of(None, &error).class(false);
        assert_eq!(class, FailureKind::RateLimited { until: None });
        let error = json!({"error": {"code": 429, "message": "slow down"}});
        let class = ServiceRefusal::of(None, &error).class(false);
        assert_eq!(class, FailureKind::RateLimited { until: None });
    }
}
