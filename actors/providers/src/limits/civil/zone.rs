//! Time zones in text: abbreviations, offsets, IANA names, regions.

use jiff::tz::{Offset, TimeZone};

/// Common abbreviations, mapped to zones with known daylight saving.
const ZONES: &[(&str, &str)] = &[
    ("utc", "UTC"),
    ("gmt", "UTC"),
    ("z", "UTC"),
    ("pst", "America/Los_Angeles"),
    ("pdt", "America/Los_Angeles"),
    ("pt", "America/Los_Angeles"),
    ("pacific", "America/Los_Angeles"),
    ("mst", "America/Denver"),
    ("mdt", "America/Denver"),
    ("cst", "America/Chicago"),
    ("cdt", "America/Chicago"),
    ("est", "America/New_York"),
    ("edt", "America/New_York"),
    ("et", "America/New_York"),
    ("eastern", "America/New_York"),
    ("bst", "Europe/London"),
    ("cet", "Europe/Paris"),
    ("cest", "Europe/Paris"),
    ("ist", "Asia/Kolkata"),
    ("jst", "Asia/Tokyo"),
    ("ct", "America/Chicago"),
    ("central", "America/Chicago"),
    ("mt", "America/Denver"),
    ("mountain", "America/Denver"),
    ("akst", "America/Anchorage"),
    ("hst", "Pacific/Honolulu"),
    ("brt", "America/Sao_Paulo"),
    ("wet", "Europe/Lisbon"),
    ("mez", "Europe/Berlin"),
    ("mesz", "Europe/Berlin"),
    ("eet", "Europe/Helsinki"),
    ("eest", "Europe/Helsinki"),
    ("msk", "Europe/Moscow"),
    ("sgt", "Asia/Singapore"),
    ("hkt", "Asia/Hong_Kong"),
    ("kst", "Asia/Seoul"),
    ("aest", "Australia/Sydney"),
    ("aedt", "Australia/Sydney"),
    ("nzst", "Pacific/Auckland"),
    ("nzdt", "Pacific/Auckland"),
];

/// Words that follow a time and are not zones.
const NOT_ZONES: &[&str] = &[
    "a", "after", "again", "all", "also", "an", "and", "any", "are", "as", "at", "be", "but", "by",
    "can", "daily", "due", "each", "every", "for", "from", "get", "has", "if", "in", "is", "it",
    "its", "just", "not", "now", "of", "off", "on", "once", "only", "or", "our", "please", "see",
    "sharp", "since", "so", "that", "the", "then", "there", "this", "to", "today", "unless",
    "until", "up", "use", "via", "was", "we", "when", "which", "while", "will", "with", "you",
    "your",
];
/// Words before "time" that mean the zone of this machine.
const LOCAL: &[&str] = &[
    "local", "your", "this", "that", "same", "the", "current", "system",
];

/// The zone that words after a time state.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ZoneMatch {
    /// This zone, and the number of words that state it.
    Zone(TimeZone, usize),
    /// The zone of this machine, and the number of words that state it.
    Local(usize),
    /// An unknown zone, so the time is unknown too.
    Unknown,
    /// No zone.
    Nothing,
}

/// Reads the zone at the beginning of `words`, which follow a time. `is_apart`: punctuation separates them from the time, so
/// an unknown word need not be a zone. `is_enclosed`: the first word is in parentheses.
pub(super) fn after_time(words: &[&str], is_apart: bool, is_enclosed: bool) -> ZoneMatch {
    let Some(&word) = words.first() else {
        return ZoneMatch::Nothing;
    };
    if let Some((zone, taken)) = zone(word, words.get(1).copied().unwrap_or_default()) {
        return ZoneMatch::Zone(zone, taken);
    }
    let named = |count: usize| -> Option<&str> {
        let is_time = words.get(count).is_some_and(|it| *it == "time");
        is_time.then(|| words.get(count - 1).copied()).flatten()
    };
    // "local time", "Berlin time", "Pacific Standard Time", "Central European Time".
    for count in 1..=3 {
        let Some(last) = named(count) else { continue };
        if count == 1 && LOCAL.contains(&last) {
            return ZoneMatch::Local(2);
        }
        let is_sort = matches!(last, "standard" | "daylight" | "summer");
        let region = &words[..if is_sort { count - 1 } else { count }];
        return match named_zone(&region.join(" ")) {
            Some(zone) => ZoneMatch::Zone(zone, count + 1),
            None => ZoneMatch::Unknown,
        };
    }
    if is_enclosed && let Some(zone) = city(word) {
        return ZoneMatch::Zone(zone, 1);
    }
    let is_unknown = !NOT_ZONES.contains(&word)
        && match is_enclosed {
            true => word.starts_with(|c: char| c.is_ascii_alphabetic()),
            false => !is_apart && is_zone_like(word),
        };
    if is_unknown {
        ZoneMatch::Unknown
    } else {
        ZoneMatch::Nothing
    }
}

/// Whether a word after a time has the form of a zone: `npt`, `chst`, `utc+99`, `Area/City`.
fn is_zone_like(word: &str) -> bool {
    let is_word =
        |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    match word.split_once('/') {
        Some((area, city)) => is_word(area) && city.split('/').all(is_word),
        None => {
            let is_offset = word.starts_with("utc") || word.starts_with("gmt");
            is_offset || (2..=5).contains(&word.len()) && is_word(word)
        }
    }
}

/// The zone of a region: `pacific`, `central european`, `berlin`.
fn named_zone(region: &str) -> Option<TimeZone> {
    let known = match region {
        "central european" => "Europe/Paris",
        "eastern european" => "Europe/Helsinki",
        "western european" => "Europe/Lisbon",
        "british" => "Europe/London",
        "india" | "indian" => "Asia/Kolkata",
        "japan" => "Asia/Tokyo",
        "china" | "beijing" => "Asia/Shanghai",
        "korea" => "Asia/Seoul",
        "coordinated universal" | "universal" | "greenwich mean" => "UTC",
        _ => {
            let short = |it: &str| ZONES.iter().find(|(short, _)| *short == it);
            return match short(region) {
                Some((_, name)) => TimeZone::get(name).ok(),
                None => city(region),
            };
        }
    };
    TimeZone::get(known).ok()
}

/// The zone whose IANA name ends with this city.
fn city(name: &str) -> Option<TimeZone> {
    let wanted = name.replace(' ', "_");
    let names = jiff::tz::db().available();
    let is_it = |it: &str| {
        let last = it.rsplit('/').next().unwrap_or(it);
        last.eq_ignore_ascii_case(&wanted)
    };
    let found = names.into_iter().find(|it| is_it(it.as_str()))?;
    TimeZone::get(found.as_str()).ok()
}

/// Reads an IANA name, an abbreviation, or an offset, which may be separated from its base: `utc+2`, `+02:00`, `gmt -5`.
/// Returns the zone and the number of words that state it.
pub(super) fn zone(word: &str, next: &str) -> Option<(TimeZone, usize)> {
    let is_base = matches!(word, "utc" | "gmt");
    if is_base && next.starts_with(['+', '-', '\u{2212}']) {
        return Some((offset(next)?, 2));
    }
    if let Some((_, name)) = ZONES.iter().find(|(short, _)| *short == word) {
        return Some((TimeZone::get(name).ok()?, 1));
    }
    let stated = word
        .strip_prefix("utc")
        .or_else(|| word.strip_prefix("gmt"))
        .unwrap_or(word);
    if stated.starts_with(['+', '-', '\u{2212}']) {
        return Some((offset(stated)?, 1));
    }
    let is_name = word.contains('/') && !word.starts_with('/');
    is_name.then(|| Some((TimeZone::get(word).ok()?, 1)))?
}

/// `+2`, `-05:00`, `+0530`.
fn offset(text: &str) -> Option<TimeZone> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' | '\u{2212}' => -1,
        _ => return None,
    };
    let digits = &text[text.chars().next()?.len_utf8()..];
    // `+0530`
    let digits = match digits.len() == 4 && digits.bytes().all(|it| it.is_ascii_digit()) {
        true => format!("{}:{}", &digits[..2], &digits[2..]),
        false => digits.to_owned(),
    };
    let mut parts = digits.split(':');
    let hours: i32 = parts.next()?.parse().ok().filter(|it| *it <= 14)?;
    let minutes: i32 = parts
        .next()
        .unwrap_or("0")
        .parse()
        .ok()
        .filter(|it| *it < 60)?;
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(offset.to_time_zone())
}
