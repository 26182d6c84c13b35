//! The end of a limit.

use std::time::{Duration, SystemTime};

use super::structure::{ErrorFacts, LimitEnd, instant};
use super::{LONGEST, ReferenceTime, civil, length};

/// A limit of a day or more does not end within this time: a shorter time belongs to another limit.
const SHORTEST_OF_LONG: Duration = Duration::from_secs(5 * 60);
const LONG: &[&str] = &["daily", "weekly", "monthly", "per day", "per month"];

/// The end that data states, else a duration in the words, else a time of day or a date in them, else the end of a window of
/// the service, else any other point in time. Of several, the latest acceptable one.
pub(super) fn of(facts: &ErrorFacts, text: &str, moment: &ReferenceTime) -> Option<SystemTime> {
    let now = moment.at;
    let mut windows = facts.windows.clone();
    let text = &windows.take_from(text);
    let stated = facts.ends.iter().filter_map(|end| match end {
        LimitEnd::After(wait) => Some(*wait),
        LimitEnd::At(at) => at.duration_since(now).ok(),
    });
    let is_long = LONG.iter().any(|it| text.contains(it));
    let least = if is_long {
        SHORTEST_OF_LONG
    } else {
        Duration::ZERO
    };
    let believed = |wait: &Duration| *wait > least && *wait <= LONGEST;
    let wait = stated
        .filter(believed)
        .max()
        .or_else(|| length::after_words(text).filter(believed))
        .or_else(|| civil::after_words(text, moment).filter(believed))
        .or_else(|| windows.wait(now, believed))
        .or_else(|| points(text, now).into_iter().filter(believed).max())?;
    now.checked_add(wait)
}

/// Unix times, and dates with a zone, anywhere in the text.
fn points(text: &str, now: SystemTime) -> Vec<Duration> {
    text.split(|c: char| c.is_whitespace() || "|()[],;\"'".contains(c))
        .filter_map(|word| instant(word.trim_end_matches(['.', '!'])))
        .filter_map(|at| at.duration_since(now).ok())
        .collect()
}
