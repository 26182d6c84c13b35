//! Notifications: events that a hub stores until every target of its settings has them.

use crate::{PermissionId, TaskId};
use serde::{Deserialize, Serialize};

wire_enum! {
    /// The kinds of events about which targets are notified.
    pub enum NoticeKind {
        /// A task or a permission request begins to wait for a person.
        WaitsForPerson,
        /// A task has failed.
        Failed,
        /// A run of a plan has ended.
        RunEnded,
        /// A pool cannot run tasks until a person acts, or its sessions crash too often.
        PoolDown,
        /// A budget is used up.
        BudgetUsedUp,
        /// The hub was asked to drain, and no task is running any more.
        Drained,
        /// A test that a person asked for.
        Test,
    }
}

impl NoticeKind {
    /// The kinds that a target may name in its settings: all but tests.
    pub const EVENTS: &[&str] = &[
        "waits_for_person",
        "failed",
        "run_ended",
        "pool_down",
        "budget_used_up",
        "drained",
    ];

    /// The bit of this kind in a set of kinds.
    pub fn bit(self) -> u32 {
        1 << self as u32
    }
}

wire_enum! {
    /// The ways in which a target is notified.
    pub enum NotifyKind {
        /// A request over HTTP.
        Webhook,
        /// A program.
        Command,
        /// A notification of the desktop.
        Desktop,
    }
}

/// An event for targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NoticeInfo {
    /// Its number in the hub's store; later events have higher numbers.
    pub number: i64,
    /// Its id, which no other event has. Each delivery of the event has the same.
    pub id: String,
    /// The kind.
    pub event: NoticeKind,
    /// Unix seconds.
    pub at: f64,
    /// Its content.
    pub data: NoticeData,
}

/// The content of an event. The fields depend on the kind; none is a prompt or a result.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NoticeData {
    /// The task, or that of a run.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub task_id: Option<TaskId>,
    /// The status of the task, the state of the run, or that of the pool.
    pub status: Option<String>,
    /// The name of the run, the pool or the budget.
    pub name: Option<String>,
    /// The queue of the task.
    pub queue: Option<String>,
    /// The type of the task.
    #[serde(rename = "type")]
    pub task_type: Option<String>,
    /// The labels of the task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The number of attempts of the task.
    pub attempts: Option<u32>,
    /// The error of the task, shortened to 200 characters of its first line; the reason of the run; or advice about the pool.
    pub error: Option<String>,
    /// The permission request.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub approval_id: Option<PermissionId>,
    /// The tool for which the permission is asked.
    pub tool: Option<String>,
}

/// A target of notifications, as the hub knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyTarget {
    /// Its unique name.
    pub name: String,
    /// The way in which it is notified.
    pub kind: NotifyKind,
    /// The set of kinds that it gets, as [`NoticeKind::bit`].
    pub events: u32,
    /// Of events about a task: only of these queues. Empty means any.
    pub queues: Vec<String>,
    /// Of events about a task: only of these types. Empty means any.
    pub types: Vec<String>,
    /// Of events about a task: only those with one of these labels. Empty means any.
    pub labels: Vec<String>,
}

impl NotifyTarget {
    /// Whether it gets an event.
    pub fn wants(&self, event: NoticeKind, data: &NoticeData) -> bool {
        if self.events & event.bit() == 0 {
            return false;
        }
        if data.task_id.is_none() {
            return true;
        }
        let among = |list: &[String], word: &Option<String>| {
            list.is_empty() || word.as_ref().is_some_and(|word| list.contains(word))
        };
        among(&self.queues, &data.queue)
            && among(&self.types, &data.task_type)
            && (self.labels.is_empty() || self.labels.iter().any(|it| data.labels.contains(it)))
    }
}

/// How the deliveries to a target fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotifyFailure {
    /// Unix seconds of the first failed delivery in a row.
    pub since: f64,
    /// The number of failed deliveries in a row.
    pub failures: u64,
    /// The reason of the newest one.
    pub error: String,
    /// Unix seconds of the next try. `None` means that there is none before the settings are read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<f64>,
}

/// A target with the state of its deliveries.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotifyTargetInfo {
    /// Its name.
    pub name: String,
    /// The way in which it is notified.
    pub kind: NotifyKind,
    /// The kinds of events that it gets.
    pub events: Vec<NoticeKind>,
    /// The number of events that it has not got yet.
    pub pending: u64,
    /// The number of its events that were dropped, because they were too old or too many.
    pub lost: u64,
    /// The number of the event that it got last.
    pub delivered: Option<i64>,
    /// Unix seconds of that delivery.
    pub delivered_at: Option<f64>,
    /// Set while its deliveries fail.
    pub failing: Option<NotifyFailure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> NotifyTarget {
        NotifyTarget {
            name: "a".to_owned(),
            kind: NotifyKind::Webhook,
            events: NoticeKind::Failed.bit() | NoticeKind::Drained.bit(),
            queues: vec!["q".to_owned()],
            types: Vec::new(),
            labels: vec!["x".to_owned(), "y".to_owned()],
        }
    }

    #[test]
    fn filters_restrict_events_about_tasks() {
        let data = NoticeData {
            task_id: Some(1),
            queue: Some("q".to_owned()),
            labels: vec!["y".to_owned()],
            ..NoticeData::default()
        };
        assert!(target().wants(NoticeKind::Failed, &data));
        assert!(!target().wants(NoticeKind::RunEnded, &data));
        assert!(target().wants(NoticeKind::Drained, &NoticeData::default()));
        let other = NoticeData {
            queue: Some("r".to_owned()),
            ..data.clone()
        };
        assert!(!target().wants(NoticeKind::Failed, &other));
        let unlabelled = NoticeData {
            labels: Vec::new(),
            ..data
        };
        assert!(!target().wants(NoticeKind::Failed, &unlabelled));
    }

    #[test]
    fn every_kind_but_the_test_is_an_event_of_the_settings() {
        let kinds = NoticeKind::ALL.iter().filter(|it| **it != NoticeKind::Test);
        let names: Vec<&str> = kinds.map(|kind| kind.as_str()).collect();
        assert_eq!(names, NoticeKind::EVENTS);
    }
}
