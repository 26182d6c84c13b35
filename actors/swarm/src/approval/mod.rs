//! What of an agent's tool calls is allowed or denied without a person: rules, as pure functions.
//!
//! The first rule that matches decides; where none does, a person is asked. Rules err towards the person:
//!
//! - A pattern of arguments must match the whole text, not a part of it.
//! - What a rule cannot judge (arguments that the agent does not state) it does not allow, and a rule that would deny
//!   leaves it to a person.
//! - What steers a shell (`;`, `|`, `&`, `$`, parentheses, line breaks and the like) is not matched by the wildcards of a
//!   rule that allows: the pattern has to spell it. So `git log .*` allows no `git log; rm -rf /`.

mod pattern;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kirosu_providers::PermissionRequest;

pub use rule::{Action, ArgsText, Rule, RuleText};

/// Who decides over tool calls of pools that do not trust all tools. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ApprovalPolicy {
    /// How long a question waits for a person before it is denied; `None`: for ever.
    pub wait: Option<Duration>,
    rules: Arc<[Rule]>,
}

/// What the rules say of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling<'a> {
    /// It may run; the rule's name.
    Allow(&'a str),
    /// It may not; the rule's name.
    Deny(&'a str),
    /// A person decides.
    Ask,
}

impl ApprovalPolicy {
    /// These rules, in this order.
    pub fn new(wait: Option<Duration>, rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            wait,
            rules: rules.into_iter().collect(),
        }
    }

    /// What the rules say of a call that an agent of this pool wants to make.
    pub(crate) fn rule(&self, pool: &str, ask: &PermissionRequest) -> Ruling<'_> {
        for rule in self.rules.iter() {
            match rule.judge(pool, ask) {
                rule::Fit::No => {}
                rule::Fit::Unknown => return Ruling::Ask,
                rule::Fit::Yes => {
                    return match rule.action() {
                        Action::Allow => Ruling::Allow(rule.name()),
                        Action::Deny => Ruling::Deny(rule.name()),
                        Action::Ask => Ruling::Ask,
                    };
                }
            }
        }
        Ruling::Ask
    }
}
