//! Errors of agents and services: their class, and when a limit ends.
//!
//! # Theory of operation
//!
//! Pure. An error reaches us as up to three things: an HTTP status, structured data (a JSON value of its own, or JSON
//! inside the message), and words for people. Structured data is exact and is read first ([`structure`]); words are
//! matched against a vocabulary that all agents share ([`words`], [`vocabulary`]). A definition may name further words of its own, which
//! its caller tries before this module.
//!
//! When a limit ends is read from the same three ([`until`]). Only a time that lies ahead, and not further than any known
//! limit reaches, is believed; without one the account's own backoff decides. A time of day is read in the zone that the
//! text states, else in the local one, and means the next such time.

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

/// The longest time ahead that is believed. Monthly limits are the longest known.
pub(crate) const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// The point in time and the zone by which an error's times are read.
#[derive(Debug, Clone)]
pub(crate) struct ReferenceTime {
    /// When the error was read.
    pub(crate) at: SystemTime,
    /// The zone of a time of day that states none.
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
    /// The HTTP status, where it is stated by itself.
    pub(crate) status: Option<u16>,
    /// The words for people; JSON in them is read as data.
    pub(crate) text: &'a str,
    /// Structured data: an error's `data`, the whole error frame.
    pub(crate) data: Option<&'a Value>,
}

impl<'a> ReportedError<'a> {
    /// Words only.
    pub(crate) const fn of_text(text: &'a str) -> Self {
        Self {
            status: None,
            text,
            data: None,
        }
    }
}

/// The class of an error, with the end of a limit where one is stated; `None` where nothing in it is known.
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
        // Some put their words into the data alone.
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

/// When a limit ends, where the complaint states a time that can be believed.
pub(crate) fn until(complaint: &ReportedError<'_>, moment: &ReferenceTime) -> Option<SystemTime> {
    let facts = structure::ErrorFacts::of(complaint.data, complaint.text);
    until::of(&facts, &categories::normal(complaint.text), moment)
        .or_else(|| until::of(&facts, &categories::normal(&facts.words), moment))
}

/// How long a program says that it pauses before it asks again: the longest time in its words or data.
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

/// Whether an error is one of the service itself, by its status, which may pass.
pub(crate) fn is_server_error(complaint: &ReportedError<'_>) -> bool {
    let facts = structure::ErrorFacts::of(complaint.data, complaint.text);
    let in_words = || categories::status_in(&categories::normal(complaint.text));
    let status = complaint.status.or(facts.status).or_else(in_words);
    status.is_some_and(|it| it >= 500)
}

/// Advice for a person about an error that running again cannot mend, as the end of a sentence; empty for others.
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
