//! Classification of errors of agents and services, and the end of limits.
//!
//! # Theory of operation
//!
//! This module has no I/O. An error has up to three parts: an HTTP status, structured data (a JSON value of its own, or
//! JSON inside the message), and words for people. Structured data is exact and read first ([`structure`]). Words are
//! matched with a vocabulary that all agents share ([`categories`], [`vocabulary`]). A definition may add words of its own,
//! which the caller tries before this module.
//!
//! The end of a limit is read from the same parts ([`until`]). Only a time that is in the future, and not further ahead
//! than any known limit, is accepted; without one the account's own backoff decides. A time of day is read in the zone that
//! the text states, else in the local one, and means its next occurrence.

mod categories;
mod civil;
mod length;
mod notice;
mod structure;
#[cfg(test)]
mod tests;
mod until;
mod vocabulary;
mod windows;

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::outcome::FailureKind;
pub(crate) use length::whole as length;
pub(crate) use notice::{WorkDone, is_fatal, is_notice};

/// The longest accepted time ahead. Monthly limits are the longest known ones.
pub(crate) const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// The time and zone that relative times in an error refer to.
#[derive(Debug, Clone)]
pub(crate) struct ReferenceTime {
    /// The time at which the error was read.
    pub(crate) at: SystemTime,
    /// The zone of a time of day without a zone.
    pub(crate) zone: TimeZone,
}

impl ReferenceTime {
    /// Now, in the zone of this machine.
    pub(crate) fn now() -> Self {
        Self {
            at: SystemTime::now(),
            zone: TimeZone::system(),
        }
    }
}

/// An error as a program or a service states it. Every part may be missing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReportedError<'a> {
    /// The HTTP status, where it is stated separately.
    pub(crate) status: Option<u16>,
    /// The words for people. JSON in them is read as data.
    pub(crate) text: &'a str,
    /// Structured data: an error's `data`, or the whole error frame.
    pub(crate) data: Option<&'a Value>,
}

impl<'a> ReportedError<'a> {
    /// An error that consists of words.
    pub(crate) const fn of_text(text: &'a str) -> Self {
        Self {
            status: None,
            text,
            data: None,
        }
    }
}

/// The failure kind of an error, with the end of a limit where one is stated. `None` for an unknown error.
///
/// - `RateLimited`: a rate limit, a used-up quota or plan, missing credit, an overloaded service.
/// - `AuthRequired`: a login or key is missing or no longer good.
/// - `BadInput`: the prompt does not fit the model, the model does not exist, the service calls the request bad.
/// - `Network`: the service cannot be reached.
pub(crate) fn classify(
    complaint: &ReportedError<'_>,
    moment: &ReferenceTime,
) -> Option<FailureKind> {
    let facts = structure::ErrorFacts::of(complaint.data, complaint.text);
    let text = categories::normal(complaint.text);
    let more = categories::normal(&facts.words);
    let status = complaint.status.or(facts.status);
    let kind = categories::by_codes(&facts.codes)
        .or_else(|| categories::by_text(&text, status))
        .or_else(|| categories::by_status(status.or_else(|| categories::status_in(&text))?))
        // Some services put their words only into the data.
        .or_else(|| categories::by_text(&more, status))
        .or_else(|| categories::by_status(categories::status_in(&more)?))?;
    Some(match kind {
        categories::ErrorCategory::Limit | categories::ErrorCategory::Overload => {
            FailureKind::RateLimited {
                until: until::of(&facts, &text, moment)
                    .or_else(|| until::of(&facts, &more, moment)),
            }
        }
        categories::ErrorCategory::Auth => FailureKind::AuthRequired,
        categories::ErrorCategory::Context
        | categories::ErrorCategory::Model
        | categories::ErrorCategory::Request => FailureKind::BadInput,
        categories::ErrorCategory::Network => FailureKind::Network,
    })
}

/// The end of a limit, where the error states an acceptable time.
pub(crate) fn until(complaint: &ReportedError<'_>, moment: &ReferenceTime) -> Option<SystemTime> {
    let facts = structure::ErrorFacts::of(complaint.data, complaint.text);
    until::of(&facts, &categories::normal(complaint.text), moment)
        .or_else(|| until::of(&facts, &categories::normal(&facts.words), moment))
}

/// The pause that a program announces before its next attempt: the longest time in its words or data.
pub(crate) fn pause(complaint: &ReportedError<'_>) -> Option<Duration> {
    let facts = structure::ErrorFacts::of(complaint.data, complaint.text);
    let stated = facts.ends.iter().filter_map(|end| match end {
        structure::LimitEnd::After(wait) => Some(*wait),
        structure::LimitEnd::At(_) => None,
    });
    stated
        .chain(length::longest_of_all(&categories::normal(complaint.text)))
        .max()
}

/// Whether an error has a server status (500 or above), so that it may be temporary.
pub(crate) fn is_server_error(complaint: &ReportedError<'_>) -> bool {
    let facts = structure::ErrorFacts::of(complaint.data, complaint.text);
    let in_words = || categories::status_in(&categories::normal(complaint.text));
    let status = complaint.status.or(facts.status).or_else(in_words);
    status.is_some_and(|it| it >= 500)
}

/// Advice for a person about an error that a retry does not fix, as the end of a sentence. Empty for other errors.
pub(crate) fn advice(complaint: &ReportedError<'_>) -> &'static str {
    let facts = structure::ErrorFacts::of(complaint.data, complaint.text);
    let text = categories::normal(complaint.text);
    let status = complaint.status.or(facts.status);
    let kind = categories::by_codes(&facts.codes).or_else(|| categories::by_text(&text, status));
    match kind {
        Some(categories::ErrorCategory::Context) => {
            "; the prompt and its conversation do not fit the model: shorten the prompt, split the task, or name a model with a larger context"
        }
        Some(categories::ErrorCategory::Model) => {
            "; name a model that the account has (model = of the task or the pool, --model)"
        }
        Some(categories::ErrorCategory::Auth) if text.contains("environment variable") => {
            "; let the variable through: list it in env_pass of the provider"
        }
        _ => "",
    }
}
