//! Windows in which services count requests and tokens, from their headers: `x-ratelimit-reset-requests: 6m0s`,
//! `anthropic-ratelimit-tokens-reset: 2026-11-30T15:00:00Z`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::structure::{LimitEnd, plain, point, span};

/// The windows of an error, by the common part of their header names.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Windows(BTreeMap<String, Window>);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Window {
    end: Option<LimitEnd>,
    is_used_up: bool,
}

impl Windows {
    /// Takes a field if it is such a header. `name` is in lower case without `_` and `-`.
    pub(super) fn take(&mut self, name: &str, value: &Value) {
        if !name.contains("ratelimit") {
            return;
        }
        let window = |part: &str| name.contains(part).then(|| name.replace(part, ""));
        if let Some(window) = window("reset") {
            let end = point(value)
                .map(LimitEnd::At)
                .or_else(|| span(value, 1.0).map(LimitEnd::After));
            self.0.entry(window).or_default().end = end;
        } else if let Some(window) = window("remaining") {
            let is_used_up = match value {
                Value::String(text) => text.trim() == "0",
                number => number.as_f64() == Some(0.0),
            };
            self.0.entry(window).or_default().is_used_up = is_used_up;
        }
    }

    /// Takes the headers out of a normalised text. Returns the text without them.
    pub(super) fn take_from(&mut self, text: &str) -> String {
        let mut left = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("ratelimit") {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let begin = rest[..at].rfind(|c| !is_name(c)).map_or(0, |it| {
                it + rest[it..].chars().next().map_or(1, char::len_utf8)
            });
            let length = rest[begin..].find(|c| !is_name(c));
            let (name, after) = rest[begin..].split_at(length.unwrap_or(rest.len() - begin));
            let value = after.trim_start_matches(['"', '\'', ' ', '[']);
            let value = value.strip_prefix([':', '=']);
            let is_window = name.contains("reset") || name.contains("remaining");
            left.push_str(&rest[..begin]);
            match value.filter(|_| is_window) {
                Some(value) => {
                    let value = value.trim_start_matches(['"', '\'', ' ', '[']);
                    let end = value.find(|c: char| c.is_whitespace() || ",;\"'}])".contains(c));
                    let (value, after) = value.split_at(end.unwrap_or(value.len()));
                    self.take(&plain(name), &Value::String(value.to_owned()));
                    rest = after;
                }
                None => {
                    left.push_str(name);
                    rest = after;
                }
            }
        }
        left.push_str(rest);
        left
    }

    /// The longest time to the end of a window that is used up; where none is marked so, the shortest time to the end of
    /// any.
    pub(super) fn wait(
        &self,
        now: SystemTime,
        is_believed: impl Fn(&Duration) -> bool,
    ) -> Option<Duration> {
        let waits = |only_used_up: bool| {
            let windows = self.0.values();
            windows
                .filter(move |it| it.is_used_up || !only_used_up)
                .filter_map(|it| match it.end? {
                    LimitEnd::After(wait) => Some(wait),
                    LimitEnd::At(at) => at.duration_since(now).ok(),
                })
                .filter(&is_believed)
        };
        waits(true).max().or_else(|| waits(false).min())
    }
}
