//! The time zone of the user.

use jiff::tz::TimeZone;
use std::env;

/// The zone of the variable TZ, else of the system, else UTC (as in small containers).
///
/// # Errors
/// TZ is set but is not a known zone.
pub fn local() -> Result<TimeZone, String> {
    let found = TimeZone::try_system()
        .ok()
        .filter(|zone| !zone.is_unknown());
    match (found, env::var_os("TZ")) {
        (Some(zone), _) => Ok(zone),
        (None, Some(set)) if !set.is_empty() => Err(format!(
            "TZ is {set:?}, which is not a known time zone: correct it, or write the offset, as in 2027-01-31T08:00:00+02:00"
        )),
        (None, _) => Ok(TimeZone::UTC),
    }
}
