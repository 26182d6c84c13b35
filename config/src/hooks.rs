//! A pool's `hooks = { ... }`: programs of the operator around each run.

use std::time::Duration;

use serde_json::Value;

use crate::schema::with_nearest;

const KEYS: &[&str] = &["before", "after", "timeout", "after_must_succeed"];
const LONGEST: Duration = Duration::from_secs(86_400);

/// Programs around each run of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// Program and arguments before a run; empty: none.
    pub before: Vec<String>,
    /// Program and arguments after a run; empty: none.
    pub after: Vec<String>,
    /// The longest that each may take, a second to a day.
    pub timeout: Duration,
    /// Whether a run fails when the program after it fails.
    pub after_must_succeed: bool,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            before: Vec::new(),
            after: Vec::new(),
            timeout: Duration::from_secs(60),
            after_must_succeed: false,
        }
    }
}

impl Hooks {
    /// Reads the table.
    ///
    /// # Errors
    /// Every fault: the key below `hooks`, and a sentence.
    pub fn read(table: &Value) -> Result<Self, Vec<(String, String)>> {
        let mut hooks = Self::default();
        let mut faults = Vec::new();
        let mut refuse =
            |key: &str, message: &str| faults.push((key.to_owned(), message.to_owned()));
        for (key, value) in table.as_object().into_iter().flatten() {
            match key.as_str() {
                "before" | "after" => match argv(value) {
                    Some(argv) if key == "before" => hooks.before = argv,
                    Some(argv) => hooks.after = argv,
                    None => refuse(
                        key,
                        "a program and its arguments is allowed: [\"make\", \"deps\"]",
                    ),
                },
                "timeout" => match time(value) {
                    Some(time) => hooks.timeout = time,
                    None => refuse(key, "a time from 1s to 1day is allowed"),
                },
                "after_must_succeed" => match value.as_bool() {
                    Some(value) => hooks.after_must_succeed = value,
                    None => refuse(key, "true or false is allowed"),
                },
                _ => refuse(key, &with_nearest("unknown key", key, KEYS.iter().copied())),
            }
        }
        match faults.is_empty() {
            true => Ok(hooks),
            false => Err(faults),
        }
    }
}

fn argv(value: &Value) -> Option<Vec<String>> {
    let words = value.as_array()?.iter();
    let words: Option<Vec<String>> = words.map(|it| it.as_str().map(str::to_owned)).collect();
    words.filter(|words| {
        let named = words
            .first()
            .is_some_and(|program| !program.trim().is_empty());
        named && !words.iter().any(|word| word.contains('\0'))
    })
}

fn time(value: &Value) -> Option<Duration> {
    let time = match value {
        Value::String(text) => humantime::parse_duration(text.trim()).ok(),
        number => number.as_u64().map(Duration::from_secs),
    };
    time.filter(|time| (Duration::from_secs(1)..=LONGEST).contains(time))
}
