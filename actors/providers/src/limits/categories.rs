//! The category of an error from its codes, words and HTTP status.

use kirosu_protocol::text::{head, tail};

use super::vocabulary::{
    AUTH, CODES, CONTEXT, LIMIT, LIMIT_NAMES, LIMIT_NEAR, LIMIT_PAIRS, LIMIT_WORDS, NEAR, NETWORK,
    NO_MODEL, OVERLOAD,
};

/// The categories of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCategory {
    /// A rate limit, a quota, missing credit.
    Limit,
    /// The service has no capacity now.
    Overload,
    /// A login or key is missing or no longer valid.
    Auth,
    /// The prompt does not fit the model.
    Context,
    /// The model does not exist for this account.
    Model,
    /// The service rejects the request.
    Request,
    /// The service cannot be reached.
    Network,
}

/// The text in lower case, with plain apostrophes and spaces.
pub(super) fn normal(text: &str) -> String {
    text.to_lowercase()
        .replace(['\u{2019}', '\u{2018}'], "'")
        .replace(['\u{a0}', '\u{202f}', '\u{2009}'], " ")
}

pub(super) fn by_codes(codes: &[String]) -> Option<ErrorCategory> {
    CODES.iter().find_map(|(kind, known)| {
        let found = codes.iter().any(|code| known.contains(&code.as_str()));
        found.then_some(*kind)
    })
}

/// The category from words in a normalised text. A stated status excludes contradictory categories: a 401 is about a login
/// whatever its words. Only a client error status, no status, or the 500 that servers and agents send for errors of every
/// kind can be about the prompt or the model.
pub(super) fn by_text(text: &str, status: Option<u16>) -> Option<ErrorCategory> {
    let has = |words: &[&str]| words.iter().any(|it| text.contains(it));
    let may_be_bad = matches!(status, None | Some(400 | 404 | 413 | 422 | 500));
    if status.or_else(|| status_in(text)) == Some(401) {
        return Some(ErrorCategory::Auth);
    }
    if may_be_bad && (has(CONTEXT) || text.contains("ran out of room")) {
        return Some(ErrorCategory::Context);
    }
    let is_of_this_machine = text.contains("disk quota");
    if ((has(LIMIT) || states_limit(text)) && !is_of_this_machine)
        || LIMIT_PAIRS.iter().any(|(a, b)| near(text, a, &[b]))
    {
        return Some(ErrorCategory::Limit);
    }
    if has(OVERLOAD) {
        return Some(ErrorCategory::Overload);
    }
    if may_be_bad && names_no_model(text) {
        return Some(ErrorCategory::Model);
    }
    if has(AUTH) {
        return Some(ErrorCategory::Auth);
    }
    has(NETWORK).then_some(ErrorCategory::Network)
}

/// The category from an HTTP status. A plain 500 and similar statuses have none.
pub(super) const fn by_status(status: u16) -> Option<ErrorCategory> {
    match status {
        401 | 403 => Some(ErrorCategory::Auth),
        402 | 429 => Some(ErrorCategory::Limit),
        503 | 529 => Some(ErrorCategory::Overload),
        400 | 413 | 422 => Some(ErrorCategory::Request),
        408 | 502 | 504 | 520..=526 => Some(ErrorCategory::Network),
        _ => None,
    }
}

/// The status in a text: `unexpected status 401`, `API Error: 529`, `(429)`, `HTTP 503`, `429 Too Many Requests`.
pub(super) fn status_in(text: &str) -> Option<u16> {
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut before = "";
    for (index, word) in words.enumerate() {
        let names_one = index == 0 || ["status", "error", "code", "http"].contains(&before);
        if (names_one || text.contains(&format!("({word})"))) && word.len() == 3 {
            let status = word.parse().ok().filter(|it| (400..600).contains(it));
            if status.is_some() {
                return status;
            }
        }
        before = word;
    }
    None
}

/// Whether the text names a limit and states that it is reached.
fn states_limit(text: &str) -> bool {
    text.lines().any(|line| {
        LIMIT_NAMES.iter().any(|name| {
            line.match_indices(name).any(|(at, name)| {
                let before = tail(&line[..at], LIMIT_NEAR);
                let end = at + name.len();
                let rest = &line[end..];
                // "quota.rs", "rate limiter": another word.
                let is_longer_word = rest.starts_with(['_', '(', '/'])
                    || rest.starts_with("er")
                    || rest
                        .strip_prefix('.')
                        .is_some_and(|it| it.starts_with(char::is_alphanumeric));
                let after = head(rest, LIMIT_NEAR);
                let mut words = before.split(' ').chain(after.split(' '));
                !is_longer_word
                    && words.any(|word| {
                        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
                        LIMIT_WORDS.iter().any(|it| word.starts_with(it))
                    })
            })
        })
    })
}

fn names_no_model(text: &str) -> bool {
    [
        "unknown model",
        "invalid model",
        "unsupported model",
        "no such model",
        "no model named",
        "modelnotfound",
        "unrecognized model",
        "not a valid model",
        "no access to model",
        "not have access to model",
        "not have access to the model",
        "not supported model",
    ]
    .iter()
    .any(|it| text.contains(it))
        || near(text, "model", NO_MODEL)
}

/// Whether one of `others` closely follows `first`, anywhere in the text.
fn near(text: &str, first: &str, others: &[&str]) -> bool {
    text.match_indices(first).any(|(at, _)| {
        let rest = &text[at + first.len()..];
        let rest = head(rest, NEAR);
        others.iter().any(|it| rest.contains(it))
    })
}
