//! One rule, and whether it fits a call.

use std::collections::BTreeMap;

use kirosu_protocol::approval::canonical;
use kirosu_providers::PermissionRequest;
use serde_json::Value;

use super::pattern::{Glob, Whole};

/// What a rule does with the calls that it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// They run.
    Allow,
    /// They do not.
    Deny,
    /// A person decides, whatever the rules behind say.
    Ask,
}

/// What a rule wants of the arguments, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgsText {
    /// A regular expression for all of them, as JSON with sorted keys and without blanks.
    All(String),
    /// One for each of these values, by JSON pointers; a value that is no text is taken as JSON.
    Each(BTreeMap<String, String>),
}

/// A rule as written. What is not given fits everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// Its name, for the record.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// A glob for the tool's name.
    pub tool: Option<String>,
    /// A glob for what sort of thing the tool does.
    pub kind: Option<String>,
    /// A glob for the pool's name.
    pub pool: Option<String>,
    /// What the arguments must look like.
    pub args: Option<ArgsText>,
}

/// A rule that can be asked.
#[derive(Debug, Clone)]
pub struct Rule {
    name: String,
    action: Action,
    tool: Option<Glob>,
    kind: Option<Glob>,
    pool: Option<Glob>,
    args: Option<Args>,
}

#[derive(Debug, Clone)]
enum Args {
    All(Whole),
    Each(Vec<(String, Whole)>),
}

/// Whether a rule fits a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// The agent does not state what the rule wants to look at.
    Unknown,
}

impl Rule {
    /// Reads the patterns.
    ///
    /// # Errors
    /// The key and what is wrong with it, as `args: is no regular expression: ...`.
    pub fn new(text: RuleText) -> Result<Self, String> {
        let glob = |key: &str, text: Option<String>| {
            text.map(|text| Glob::new(&text).map_err(|why| format!("{key}: {why}")))
                .transpose()
        };
        let careful = text.action == Action::Allow;
        Ok(Self {
            tool: glob("tool", text.tool)?,
            kind: glob("kind", text.kind)?,
            pool: glob("pool", text.pool)?,
            args: text.args.map(|args| Args::new(args, careful)).transpose()?,
            name: text.name,
            action: text.action,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn action(&self) -> Action {
        self.action
    }

    pub(super) fn judge(&self, pool: &str, ask: &PermissionRequest) -> Fit {
        let misses =
            |glob: &Option<Glob>, name: &str| glob.as_ref().is_some_and(|glob| !glob.matches(name));
        if misses(&self.pool, pool) || misses(&self.tool, &ask.tool) {
            return Fit::No;
        }
        let kind = match (&self.kind, &ask.kind) {
            (None, _) => Fit::Yes,
            (Some(glob), Some(kind)) if glob.matches(kind) => Fit::Yes,
            (Some(_), Some(_)) => return Fit::No,
            (Some(_), None) => self.unstated(),
        };
        let args = match (&self.args, &ask.input) {
            (None, _) => Fit::Yes,
            (Some(_), None) => Fit::Unknown,
            (Some(args), Some(input)) => args.judge(input).unwrap_or(self.unstated()),
        };
        match (kind, args) {
            (Fit::No, _) | (_, Fit::No) => Fit::No,
            (Fit::Unknown, _) | (_, Fit::Unknown) => Fit::Unknown,
            _ => Fit::Yes,
        }
    }

    /// What cannot be looked at is not allowed by this rule; but one that would stop it cannot be passed by either.
    fn unstated(&self) -> Fit {
        match self.action {
            Action::Allow => Fit::No,
            Action::Deny | Action::Ask => Fit::Unknown,
        }
    }
}

impl Args {
    fn new(text: ArgsText, careful: bool) -> Result<Self, String> {
        let whole = |key: &str, source: &str| {
            Whole::new(source, careful).map_err(|why| format!("{key}: {why}"))
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

    /// `None`: a value that a pattern wants to look at is not there.
    fn judge(&self, input: &Value) -> Option<Fit> {
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
        Some(if fits { Fit::Yes } else { Fit::No })
    }
}

fn fits(pattern: &Whole, text: &str, value: &Value) -> bool {
    let mut said = Vec::new();
    texts(value, &mut said);
    pattern.matches(text, said.into_iter())
}

/// Every text within a value, names of members included.
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
