//! The limits of a key within its role.

use crate::schedule::SCHEDULE_LABEL;
use crate::{AccessRole, Error, Limits, Params};
use serde::{Deserialize, Serialize};

/// The limits of a key. An empty list means no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccessScope {
    /// Queues in which it may add, cancel, retry or lease tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Types of tasks that it may add, cancel, retry or lease.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Labels: each task that it adds, cancels or retries has at least one of them and no others, but for `schedule:NAME`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Pools for which it may reserve budget and request permissions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<String>,
    /// Whether it may add tasks of type `python`, which run any code, if the hub allows them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub python: bool,
}

impl AccessScope {
    /// Reads the parameters `queues`, `types`, `labels`, `pools` and `python`.
    ///
    /// # Errors
    /// `invalid_params` for a parameter of another type.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<AccessScope, Error> {
        Ok(AccessScope {
            queues: params.names("queues", limits)?,
            types: params.names("types", limits)?,
            labels: params.names("labels", limits)?,
            pools: params.names("pools", limits)?,
            python: params.flag("python", false)?,
        })
    }

    /// The name of the limit that a task is beyond. `None` means that it is within all of them.
    pub fn excludes(
        &self,
        queue: &str,
        task_type: &str,
        labels: &[String],
    ) -> Option<&'static str> {
        let allows = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|allowed| allowed == name)
        };
        if !allows(&self.queues, queue) {
            return Some("queues");
        }
        if !allows(&self.types, task_type) {
            return Some("types");
        }
        let is_own = |label: &String| self.labels.contains(label);
        // The label that a schedule adds says where a task comes from.
        let is_usual = |label: &String| is_own(label) || label.starts_with(SCHEDULE_LABEL);
        let is_labelled =
            self.labels.is_empty() || labels.iter().any(is_own) && labels.iter().all(is_usual);
        (!is_labelled).then_some("labels")
    }

    /// The name of a limit that has no meaning for a role.
    pub fn foreign_to(&self, role: AccessRole) -> Option<&'static str> {
        let given = [
            ("queues", !self.queues.is_empty()),
            ("types", !self.types.is_empty()),
            ("labels", !self.labels.is_empty()),
            ("pools", !self.pools.is_empty()),
            ("python", self.python),
        ];
        let known: &[&str] = match role {
            AccessRole::Enqueue => &["queues", "types", "labels", "python"],
            AccessRole::Work => &["queues", "types", "pools"],
            AccessRole::Admin => &["python"],
            AccessRole::Observe | AccessRole::Person => &[],
        };
        let foreign = given
            .into_iter()
            .find(|(name, given)| *given && !known.contains(name));
        foreign.map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_without_meaning_for_the_role_is_named() {
        let scope = AccessScope {
            queues: vec!["a".into()],
            python: true,
            ..AccessScope::default()
        };
        let foreign = |role| scope.foreign_to(role);
        assert_eq!(foreign(AccessRole::Enqueue), None);
        assert_eq!(foreign(AccessRole::Work), Some("python"));
        assert_eq!(foreign(AccessRole::Person), Some("queues"));
        assert_eq!(foreign(AccessRole::Admin), Some("queues"));
    }

    #[test]
    fn a_task_is_within_all_limits_or_the_first_that_it_is_beyond_is_named() {
        let scope = AccessScope {
            queues: vec!["a".into(), "b".into()],
            types: vec!["chat".into()],
            labels: vec!["team".into(), "night".into()],
            ..AccessScope::default()
        };
        let labels = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let both = labels(&["team", "night"]);
        assert_eq!(scope.excludes("b", "chat", &both), None);
        assert_eq!(scope.excludes("c", "chat", &both), Some("queues"));
        assert_eq!(scope.excludes("a", "human", &both), Some("types"));
        let scheduled = labels(&["team", "schedule:nightly"]);
        assert_eq!(scope.excludes("a", "chat", &scheduled), None);
        let foreign = [&["team", "other"][..], &["schedule:nightly"], &[]];
        for foreign in foreign.map(labels) {
            assert_eq!(scope.excludes("a", "chat", &foreign), Some("labels"));
        }
        let none = AccessScope::default();
        assert_eq!(none.excludes("c", "human", &[]), None);
    }

    #[test]
    fn empty_limits_are_left_out_of_the_json_and_read_again() {
        let scope = AccessScope {
            labels: vec!["team".into()],
            ..AccessScope::default()
        };
        let text = serde_json::to_string(&scope).unwrap();
        assert_eq!(text, r#"{"labels":["team"]}"#);
        assert_eq!(serde_json::from_str::<AccessScope>(&text).unwrap(), scope);
        assert_eq!(
            serde_json::from_str::<AccessScope>("{}").unwrap(),
            AccessScope::default()
        );
    }
}
