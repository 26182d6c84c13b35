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
mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kirosu_providers::PermissionRequest;

pub(crate) use pattern::Glob;
pub use rule::{ArgsText, PermissionRule, RuleAction, RuleText};

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
                rule::RuleMatch::No => {}
                rule::RuleMatch::Unknown => return Ruling::Ask,
                rule::RuleMatch::Yes => {
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
