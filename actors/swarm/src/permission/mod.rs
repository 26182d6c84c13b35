//! Rules that allow or deny an agent's tool calls without a person, as pure functions.
//!
//! The first rule that matches decides; if none does, a person decides. In doubt the rules leave it to a person:
//!
//! - A pattern of arguments must match the whole text, not a part of it.
//! - If the agent does not state what a rule has to check, a rule that allows does not match, and a rule that denies
//!   leaves the decision to a person.
//! - Characters that control a shell (`;`, `|`, `&`, `$`, parentheses, line breaks and the like) are not matched by
//!   the wildcards of a rule that allows; the pattern has to contain them. So `git log .*` does not allow `git log;
//!   rm -rf /`.

mod pattern;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::approval::canonical;
pub use kirosu_protocol::settings::{ArgsText, RuleAction, RuleText};
use kirosu_providers::PermissionRequest;
use serde_json::Value;

use pattern::FullPattern;

pub(crate) use pattern::Glob;

/// Decides permission requests of pools that are not trusted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PermissionPolicy {
    /// Time that a request waits for a person before it is denied; `None` means no limit.
    pub wait: Option<Duration>,
    rules: Arc<[PermissionRule]>,
}

/// The decision of the rules about one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling<'a> {
    /// Allowed, by the rule of this name.
    Allow(&'a str),
    /// Denied, by the rule of this name.
    Deny(&'a str),
    /// A person decides.
    Ask,
}

impl PermissionPolicy {
    /// A policy with these rules, in this order.
    pub fn new(wait: Option<Duration>, rules: impl IntoIterator<Item = PermissionRule>) -> Self {
        Self {
            wait,
            rules: rules.into_iter().collect(),
        }
    }

    /// Decides a call that an agent of this pool wants to make.
    pub(crate) fn rule(&self, pool: &str, request: &PermissionRequest) -> Ruling<'_> {
        for rule in self.rules.iter() {
            match rule.judge(pool, request) {
                RuleMatch::No => {}
                RuleMatch::Unknown => return Ruling::Ask,
                RuleMatch::Yes => {
                    return match rule.action() {
                        RuleAction::Allow => Ruling::Allow(rule.name()),
                        RuleAction::Deny => Ruling::Deny(rule.name()),
                        RuleAction::Ask => Ruling::Ask,
                    };
                }
            }
        }
        Ruling::Ask
    }
}

/// A compiled rule.
#[derive(Debug, Clone)]
pub struct PermissionRule {
    name: String,
    action: RuleAction,
    tool: Option<Glob>,
    kind: Option<Glob>,
    pool: Option<Glob>,
    args: Option<ArgsPattern>,
}

#[derive(Debug, Clone)]
enum ArgsPattern {
    All(FullPattern),
    Each(Vec<(String, FullPattern)>),
}

/// Whether a rule matches a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RuleMatch {
    Yes,
    No,
    /// The agent does not state the data that the rule has to check.
    Unknown,
}

impl PermissionRule {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// The key and the fault, as `args: is no regular expression: ...`.
    pub fn new(text: RuleText) -> Result<Self, String> {
        let glob = |key: &str, text: Option<String>| {
            text.map(|text| Glob::new(&text).map_err(|why| format!("{key}: {why}")))
                .transpose()
        };
        let careful = text.action == RuleAction::Allow;
        Ok(Self {
            tool: glob("tool", text.tool)?,
            kind: glob("kind", text.kind)?,
            pool: glob("pool", text.pool)?,
            args: text
                .args
                .map(|args| ArgsPattern::new(args, careful))
                .transpose()?,
            name: text.name,
            action: text.action,
        })
    }

    fn name(&self) -> &str {
        &self.name
    }

    const fn action(&self) -> RuleAction {
        self.action
    }

    fn judge(&self, pool: &str, request: &PermissionRequest) -> RuleMatch {
        let misses =
            |glob: &Option<Glob>, name: &str| glob.as_ref().is_some_and(|glob| !glob.matches(name));
        if misses(&self.pool, pool) || misses(&self.tool, &request.tool) {
            return RuleMatch::No;
        }
        let kind = match (&self.kind, &request.kind) {
            (None, _) => RuleMatch::Yes,
            (Some(glob), Some(kind)) if glob.matches(kind) => RuleMatch::Yes,
            (Some(_), Some(_)) => return RuleMatch::No,
            (Some(_), None) => self.unstated(),
        };
        let args = match (&self.args, &request.input) {
            (None, _) => RuleMatch::Yes,
            (Some(_), None) => RuleMatch::Unknown,
            (Some(args), Some(input)) => args.judge(input).unwrap_or(self.unstated()),
        };
        match (kind, args) {
            (RuleMatch::No, _) | (_, RuleMatch::No) => RuleMatch::No,
            (RuleMatch::Unknown, _) | (_, RuleMatch::Unknown) => RuleMatch::Unknown,
            _ => RuleMatch::Yes,
        }
    }

    /// Without the data to check, a rule that allows does not match, and one that denies cannot be passed over.
    fn unstated(&self) -> RuleMatch {
        match self.action {
            RuleAction::Allow => RuleMatch::No,
            RuleAction::Deny | RuleAction::Ask => RuleMatch::Unknown,
        }
    }
}

impl ArgsPattern {
    fn new(text: ArgsText, careful: bool) -> Result<Self, String> {
        let whole = |key: &str, source: &str| {
            FullPattern::new(source, careful).map_err(|why| format!("{key}: {why}"))
        };
        Ok(match text {
            ArgsText::All(source) => Self::All(whole("args", &source)?),
            ArgsText::Each(each) => {
                let mut patterns = Vec::with_capacity(each.len());
                for (pointer, source) in each {
                    let key = format!("args.{pointer:?}");
                    if !pointer.is_empty() && !pointer.starts_with('/') {
                        return Err(format!("{key}: is no JSON pointer: it begins with /"));
                    }
                    patterns.push((pointer, whole(&key, &source)?));
                }
                Self::Each(patterns)
            }
        })
    }

    /// Returns `None` if a value that a pattern has to check is missing.
    fn judge(&self, input: &Value) -> Option<RuleMatch> {
        let fits = match self {
            Self::All(pattern) => fits(pattern, &canonical(input), input),
            Self::Each(patterns) => {
                let mut all = true;
                for (pointer, pattern) in patterns {
                    let value = input.pointer(pointer)?;
                    all &= match value {
                        Value::String(text) => fits(pattern, text, value),
                        other => fits(pattern, &canonical(other), other),
                    };
                }
                all
            }
        };
        Some(if fits { RuleMatch::Yes } else { RuleMatch::No })
    }
}

fn fits(pattern: &FullPattern, text: &str, value: &Value) -> bool {
    let mut texts_within = Vec::new();
    texts(value, &mut texts_within);
    pattern.matches(text, texts_within.into_iter())
}

/// Collects every text within a value, including member names.
fn texts<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(members) => {
            for (name, value) in members {
                out.push(name);
                texts(value, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
