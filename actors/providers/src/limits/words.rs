//! The vocabulary of errors that agents and services share: codes, words and HTTP statuses.

/// The kinds of errors that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A rate limit, a quota, missing credit.
    Limit,
    /// The service has no room now.
    Overload,
    /// A login or key is missing or no longer good.
    Auth,
    /// The prompt does not fit the model.
    Context,
    /// The model does not exist for this account.
    Model,
    /// The service calls the request bad.
    Request,
    /// The service cannot be reached.
    Network,
}

/// Codes without `_`, `-` and capitals.
const CODES: &[(Kind, &[&str])] = &[
    (
        Kind::Context,
        &[
            "contextlengthexceeded",
            "contextwindowexceeded",
            "exceedcontextsizeerror",
            "requesttoolarge",
            "prompttoolong",
            "contextoverflowerror",
        ],
    ),
    (Kind::Model, &["modelnotfound"]),
    (
        Kind::Limit,
        &[
            "ratelimit",
            "ratelimited",
            "ratelimiterror",
            "ratelimitexceeded",
            "usagelimitreached",
            "usagelimitexceeded",
            "usagenotincluded",
            "insufficientquota",
            "quotaexceeded",
            "resourceexhausted",
            "billingerror",
            "billingnotactive",
            "toomanyrequests",
            "throttlingexception",
            "throttled",
        ],
    ),
    (
        Kind::Overload,
        &[
            "overloadederror",
            "overloaded",
            "serveroverloaded",
            "slowdown",
        ],
    ),
    (
        Kind::Auth,
        &[
            "authenticationerror",
            "authenticationfailed",
            "providerautherror",
            "authrequired",
            "permissionerror",
            "invalidapikey",
            "unauthorized",
            "unauthenticated",
            "tokenexpired",
        ],
    ),
    (
        Kind::Network,
        &["httpconnectionfailed", "responsestreamconnectionfailed"],
    ),
];

const CONTEXT: &[&str] = &[
    "prompt is too long",
    "prompt too long",
    "prompt as too long",
    "input is too long",
    "context window",
    "context length",
    "context limit",
    "context size",
    "maximum context",
    "exceeds the maximum number of tokens",
    "exceeds the model's maximum",
    "reduce the length of the messages",
    "maximum prompt length",
    "too many input tokens",
    "exceeds the model's token limit",
];

const LIMIT: &[&str] = &[
    "rate limited",
    "rate-limited",
    "rate_limit_error",
    "rate_limit_exceeded",
    "session limit reached",
    "your session limit",
    "no quota",
    "over quota",
    "quota_exceeded",
    "billing hard limit",
    "reached the limit for",
    "too many requests",
    "resource exhausted",
    "resource_exhausted",
    "exhausted your",
    "out of credits",
    "insufficient credit",
    "insufficient balance",
    "insufficient funds",
    "not enough credit",
    "no credits",
    "credit balance",
    "payment required",
    "billing details",
    "out of extra usage",
    "used all your",
    "used 100% of your",
    "run out of messages",
    "ran out of messages",
    "out of tokens",
    "throttlingexception",
    "allowance has been used up",
    "free tier exhausted",
    "requests are exhausted",
    "no remaining credits",
    "maximum number of requests",
    "exceeded your current plan",
];

/// Names of limits. They also stand in code and in names of files: only with one of the words below near them in the same
/// line is a limit reached.
const LIMIT_NAMES: &[&str] = &[
    "rate limit",
    "rate-limit",
    "ratelimit",
    "usage limit",
    "weekly limit",
    "daily limit",
    "monthly limit",
    "hour limit",
    "request limit",
    "requests limit",
    "concurrency limit",
    "usage cap",
    "spending cap",
    "spending limit",
    "premium request",
    "quota",
];
/// Beginnings of words that say that it is reached, or when it ends.
const LIMIT_WORDS: &[&str] = &[
    "hit",
    "reach",
    "exceed",
    "exhaust",
    "insufficient",
    "used",
    "reset",
    "retry",
    "again",
    "upgrade",
    "wait",
];
/// How far they may be from it, in bytes.
const LIMIT_NEAR: usize = 60;

/// Pairs that stand near each other: "hit your Opus limit", "limit reached ∙ resets 3pm".
const LIMIT_PAIRS: &[(&str, &str)] = &[
    ("hit your", "limit"),
    ("reached your", "limit"),
    ("limit reached", "reset"),
    ("limit reached", "try again"),
];

const OVERLOAD: &[&str] = &[
    "overloaded",
    "at capacity",
    "over capacity",
    "high demand",
    "service unavailable",
    "temporarily unavailable",
    "waiting for api capacity",
    "no capacity",
    "server is busy",
    "full capacity",
    "too busy",
];

const AUTH: &[&str] = &[
    "please run /login",
    "not logged in",
    "not signed in",
    "please log in",
    "please login",
    "please sign in",
    "log in again",
    "sign in again",
    "logged out",
    "invalid api key",
    "incorrect api key",
    "api key not valid",
    "missing api key",
    "no api key",
    "missing environment variable",
    "failed to authenticate",
    "authentication failed",
    "authentication required",
    "authentication error",
    "unauthorized",
    "unauthenticated",
    "not allowed to sample from this model",
    "token has expired",
    "token is expired",
    "token expired",
    "key expired",
    "session expired",
    "session has expired",
    "has been revoked",
    "not authenticated",
    "api key has expired",
    "invalid bearer token",
    "invalid authentication credentials",
    "login required",
    "must be logged in",
    "credentials have expired",
    "invalid_grant",
    "could not resolve authentication method",
    "please authenticate",
    "x-api-key header is required",
    "re-authenticate",
    "access token could not be refreshed",
];

/// Words that follow "model" closely where a model does not exist.
const NO_MODEL: &[&str] = &[
    "not found",
    "not_found",
    "notfound",
    "does not exist",
    "doesn't exist",
    "may not exist",
    "not exist",
    "is not supported",
    "not a valid",
    "is not available",
    "is unknown",
];
/// How far they may be from it, in bytes.
const NEAR: usize = 120;

const NETWORK: &[&str] = &[
    "econnrefused",
    "econnreset",
    "econnaborted",
    "enotfound",
    "etimedout",
    "eai_again",
    "enetunreach",
    "ehostunreach",
    "epipe",
    "connectionrefused",
    "failedtoopensocket",
    "getaddrinfo",
    "fetch failed",
    "connection error",
    "connection refused",
    "connection reset",
    "connection failed",
    "connection closed",
    "connection timed out",
    "unable to connect",
    "could not connect",
    "couldn't connect",
    "cannot connect",
    "failed to connect",
    "error sending request",
    "network error",
    "network is unreachable",
    "network is down",
    "waiting for network",
    "no route to host",
    "dns error",
    "name resolution",
    "could not resolve",
    "socket hang up",
    "stream disconnected",
    "transport error",
    "bad gateway",
    "gateway timeout",
    "request timed out",
    "operation timed out",
    "no such host",
    "i/o timeout",
    "enetdown",
    "und_err_connect_timeout",
    "connect timeout error",
    "unable to reach",
    "could not reach",
    "err_internet_disconnected",
    "upstream connect error",
];

/// In small letters, with plain apostrophes and blanks.
pub(super) fn normal(text: &str) -> String {
    text.to_lowercase()
        .replace(['\u{2019}', '\u{2018}'], "'")
        .replace(['\u{a0}', '\u{202f}', '\u{2009}'], " ")
}

pub(super) fn by_codes(codes: &[String]) -> Option<Kind> {
    CODES.iter().find_map(|(kind, known)| {
        let found = codes.iter().any(|code| known.contains(&code.as_str()));
        found.then_some(*kind)
    })
}

/// From words, in normal form. A stated status excludes what contradicts it: a 401 is about a login whatever its words,
/// and only a bad request can be about the prompt or the model, or what says nothing: no status, or the 500 that servers and
/// agents put before errors of every kind.
pub(super) fn by_text(text: &str, status: Option<u16>) -> Option<Kind> {
    let has = |words: &[&str]| words.iter().any(|it| text.contains(it));
    let may_be_bad = matches!(status, None | Some(400 | 404 | 413 | 422 | 500));
    if status.or_else(|| status_in(text)) == Some(401) {
        return Some(Kind::Auth);
    }
    if may_be_bad && (has(CONTEXT) || text.contains("ran out of room")) {
        return Some(Kind::Context);
    }
    let is_of_this_machine = text.contains("disk quota");
    if ((has(LIMIT) || states_limit(text)) && !is_of_this_machine)
        || LIMIT_PAIRS.iter().any(|(a, b)| near(text, a, &[b]))
    {
        return Some(Kind::Limit);
    }
    if has(OVERLOAD) {
        return Some(Kind::Overload);
    }
    if may_be_bad && names_no_model(text) {
        return Some(Kind::Model);
    }
    if has(AUTH) {
        return Some(Kind::Auth);
    }
    has(NETWORK).then_some(Kind::Network)
}

/// From an HTTP status. Bad requests stay bad, errors of the server may pass: 500 and its like say nothing.
pub(super) const fn by_status(status: u16) -> Option<Kind> {
    match status {
        401 | 403 => Some(Kind::Auth),
        402 | 429 => Some(Kind::Limit),
        503 | 529 => Some(Kind::Overload),
        400 | 413 | 422 => Some(Kind::Request),
        408 | 502 | 504 | 520..=526 => Some(Kind::Network),
        _ => None,
    }
}

/// A status that a text names: `unexpected status 401`, `API Error: 529`, `(429)`, `HTTP 503`, `429 Too Many Requests`.
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

/// Whether a limit is named and said to be reached.
fn states_limit(text: &str) -> bool {
    use crate::invocation::{ceil_boundary, floor_boundary};
    text.lines().any(|line| {
        LIMIT_NAMES.iter().any(|name| {
            line.match_indices(name).any(|(at, name)| {
                let from = ceil_boundary(line, at.saturating_sub(LIMIT_NEAR));
                let end = at + name.len();
                let rest = &line[end..];
                // "quota.rs", "rate limiter": another word.
                let is_name = !rest.starts_with(['_', '(', '/'])
                    && !rest.starts_with("er")
                    && !(rest.starts_with('.') && rest[1..].starts_with(char::is_alphanumeric));
                let after = &rest[..floor_boundary(rest, LIMIT_NEAR)];
                let mut words = line[from..at].split(' ').chain(after.split(' '));
                is_name
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
    ]
    .iter()
    .any(|it| text.contains(it))
        || near(text, "model", NO_MODEL)
}

/// Whether one of `others` follows `first` closely, anywhere in the text.
fn near(text: &str, first: &str, others: &[&str]) -> bool {
    text.match_indices(first).any(|(at, _)| {
        let rest = &text[at + first.len()..];
        let rest = &rest[..crate::invocation::floor_boundary(rest, NEAR)];
        others.iter().any(|it| rest.contains(it))
    })
}
