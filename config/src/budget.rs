//! Budgets: `[budget]` of the whole hub, and `budget = { ... }` of a pool or a provider.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::with_nearest;

const KEYS: &[&str] = &["tokens", "usd", "per"];
const DAY: Duration = Duration::from_secs(86_400);
/// Most tokens that a budget can name.
pub(crate) const MOST_TOKENS: u64 = 1_000_000_000_000_000;
/// Most dollars that a budget can name.
pub(crate) const MOST_USD: f64 = 1e9;

/// How much may be used in a length of time. What is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Tokens that no cache served.
    pub tokens: Option<u64>,
    /// US dollars.
    pub usd: Option<f64>,
    /// A length of time that divides a day: the budget is full again at midnight UTC, and so often after it.
    #[serde(with = "humantime_serde")]
    pub per: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            tokens: None,
            usd: None,
            per: DAY,
        }
    }
}

/// What is wrong with a length of time that budgets are filled after, if something is.
pub(crate) fn per_fault(per: Duration) -> Option<&'static str> {
    let whole = per.subsec_nanos() == 0 && per <= DAY && !per.is_zero();
    let divides = whole && DAY.as_secs().is_multiple_of(per.as_secs());
    (!divides).then_some("a time is allowed that divides a day, such as \"1h\", \"6h\" or \"1day\"")
}

impl Budget {
    /// Whether it limits nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_none() && self.usd.is_none()
    }

    /// Reads the table of a pool or a provider.
    ///
    /// # Errors
    /// Every fault: the key below `budget`, and a sentence.
    pub fn read(table: &Value) -> Result<Self, Vec<(String, String)>> {
        let mut budget = Self::default();
        let mut faults = Vec::new();
        let mut refuse =
            |key: &str, message: &str| faults.push((key.to_owned(), message.to_owned()));
        for (key, value) in table.as_object().into_iter().flatten() {
            match key.as_str() {
                "tokens" => match value.as_u64().filter(|tokens| *tokens <= MOST_TOKENS) {
                    Some(tokens) => budget.tokens = Some(tokens),
                    None => refuse(key, "a whole number of tokens is allowed"),
                },
                "usd" => match value.as_f64().filter(|usd| (0.0..=MOST_USD).contains(usd)) {
                    Some(usd) => budget.usd = Some(usd),
                    None => refuse(key, "a number of dollars is allowed, not below 0"),
                },
                "per" => match time(value) {
                    Ok(per) => budget.per = per,
                    Err(why) => refuse(key, why),
                },
                _ => refuse(key, &with_nearest("unknown key", key, KEYS.iter().copied())),
            }
        }
        if faults.is_empty() && budget.is_empty() {
            faults.push((
                String::new(),
                "it limits nothing: give tokens or usd".to_owned(),
            ));
        }
        match faults.is_empty() {
            true => Ok(budget),
            false => Err(faults),
        }
    }
}

fn time(value: &Value) -> Result<Duration, &'static str> {
    let read = value
        .as_str()
        .and_then(|text| humantime::parse_duration(text.trim()).ok());
    let per = read.unwrap_or_default();
    per_fault(per).map_or(Ok(per), Err)
}
