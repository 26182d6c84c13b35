//! What a service says instead of an answer, and which class of failure that is.

use std::time::SystemTime;

use serde_json::Value;

use crate::outcome::FailureKind;
use crate::text::first_bytes;

/// Bytes of a service's own words that are kept.
const MESSAGE: usize = 2 * 1024;

/// An error as a service states it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServiceRefusal {
    /// The status of HTTP; in the middle of a stream what the error itself names, if anything.
    pub(super) status: Option<u16>,
    /// Its code and its type.
    words: Vec<String>,
    /// Its sentence.
    pub(super) message: String,
    /// Before when asking again is useless.
    pub(super) until: Option<SystemTime>,
}

impl ServiceRefusal {
    /// Reads `{"error": {"message", "code", "type"}}` and what comes near it.
    pub(super) fn of(status: Option<u16>, value: &Value) -> Self {
        let error = value.get("error").filter(|it| !it.is_null());
        let error = error.unwrap_or(value);
        let names = ["code", "type", "status"];
        let words = names.iter().filter_map(|name| error.get(name)?.as_str());
        let number = error.get("code").and_then(Value::as_u64);
        let said = ["message", "detail", "error"]
            .iter()
            .find_map(|name| error.get(name)?.as_str())
            .or_else(|| error.as_str());
        let message = said.map_or_else(|| error.to_string(), str::to_owned);
        Self {
            status: status.or_else(|| number.and_then(|it| it.try_into().ok())),
            words: words.map(str::to_owned).collect(),
            message: short(&message),
            until: None,
        }
    }

    /// Reads the body of an answer that is no success.
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

    /// The service is there and not yet ready: it loads its model.
    pub(super) fn is_loading(&self) -> bool {
        self.status == Some(503) && self.says("loading")
    }

    /// What it means. `is_tasks`: the task itself named the model.
    pub(super) fn class(&self, is_tasks: bool) -> FailureKind {
        if self.names_no_model() {
            return match is_tasks {
                true => FailureKind::BadInput,
                false => FailureKind::Missing,
            };
        }
        let by_word = self.words.iter().find_map(|word| self.by_word(word));
        by_word
            .or_else(|| self.by_status())
            .unwrap_or(FailureKind::ProviderError)
    }

    /// What a person can do about a class, as the end of a sentence.
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

    fn says(&self, words: &str) -> bool {
        self.message.to_lowercase().contains(words)
    }

    fn is(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    fn is_about_money(&self) -> bool {
        self.status == Some(402)
            || self.is(&["insufficient_quota", "billing_error", "billing_not_active"])
            || self.says("credit balance is too low")
    }

    fn names_no_model(&self) -> bool {
        let may_be = matches!(self.status, None | Some(400 | 404));
        let says = self.says("model")
            && (self.says("not found") || self.says("does not exist") || self.says("not a valid"));
        let is_404 = self.status == Some(404) && self.says("model");
        self.is(&["model_not_found"]) || is_404 || (may_be && says)
    }

    fn by_word(&self, word: &str) -> Option<FailureKind> {
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
            // A status says more than this word, which some use for everything.
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
            // It says when it is back.
            503 if self.until.is_some() => FailureKind::RateLimited { until: self.until },
            // Nobody is there behind the gateway.
            408 | 502..=504 | 520..=526 => FailureKind::Network,
            _ => return None,
        })
    }
}

/// One line, bounded.
fn short(text: &str) -> String {
    let text = first_bytes(text, MESSAGE);
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
    fn what_services_answer() {
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
        // A wrong address is not.
        let refusal = ServiceRefusal::of_body(404, b"nothing here");
        assert_eq!(refusal.class(true), FailureKind::Missing);
    }

    #[test]
    fn loading_is_no_failure() {
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
