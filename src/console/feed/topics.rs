//! Topics: parts of the model that may be out of date, and their refreshers.

use super::{FeedContext, fetch};
use crate::cli::HubClient;
use crate::console::messages::{Interest, Update};
use crate::console::model::View;
use kirosu_protocol::client::CallError;
use kirosu_protocol::{Event, EventKind, TaskId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// One mark per part of the model.
#[derive(Debug, Default)]
pub(super) struct Topics {
    tasks: Topic,
    task: Topic,
    agents: Topic,
    tree: Topic,
    inbox: Topic,
    runs: Topic,
}

/// The mark of one topic.
#[derive(Debug, Default)]
struct Topic {
    /// The topic may have changed.
    changed: Notify,
    /// The screen shows other data of this topic now; the pause ends.
    interest_changed: Notify,
}

impl Topics {
    fn all(&self) -> [&Topic; 6] {
        [
            &self.tasks,
            &self.task,
            &self.agents,
            &self.tree,
            &self.inbox,
            &self.runs,
        ]
    }

    /// Marks all topics.
    pub(super) fn mark_all(&self) {
        self.all()
            .iter()
            .for_each(|topic| topic.changed.notify_one());
    }

    /// Marks the topics that an event may have changed; `task` is the one on the screen.
    pub(super) fn mark(&self, event: &Event, task: Option<TaskId>) {
        let chosen = |id: &TaskId| Some(*id) == task;
        match &event.what {
            EventKind::Task {
                task_id, reason, ..
            } => {
                if chosen(task_id) {
                    self.task.changed.notify_one();
                }
                for topic in [&self.tasks, &self.agents, &self.tree, &self.inbox] {
                    topic.changed.notify_one();
                }
                // A run that has not begun has no other events.
                if matches!(reason.as_str(), "enqueued" | "cancelled" | "rejected") {
                    self.runs.changed.notify_one();
                }
            }
            EventKind::Run { .. } | EventKind::Step { .. } => self.runs.changed.notify_one(),
            EventKind::Approval { task_id, .. } => {
                if chosen(task_id) {
                    self.task.changed.notify_one();
                }
                self.inbox.changed.notify_one();
            }
            EventKind::Progress { task_id, .. } if chosen(task_id) => {
                self.task.changed.notify_one()
            }
            EventKind::Progress { .. } | EventKind::Output { .. } => {}
            _ => self.mark_all(),
        }
    }
}

/// Starts one refresher per topic.
pub(super) fn start_refreshers(
    feed: &FeedContext,
    hub: &HubClient,
    topics: &Arc<Topics>,
    interest: &watch::Receiver<Interest>,
) {
    let millis = Duration::from_millis;
    macro_rules! refresher {
        ($topic:ident, $rest:expr) => {
            let (feed, client) = (feed.clone(), hub.client.clone());
            let (topics, interest) = (topics.clone(), interest.clone());
            tokio::spawn(async move {
                let fetch_now = || async {
                    let now = interest.borrow().clone();
                    let outcome = fetch::$topic(&client, &now).await;
                    send_updates(&feed, &now, outcome).await;
                };
                refresher(&topics.$topic, $rest, fetch_now).await;
            });
        };
    }
    refresher!(tasks, millis(100));
    refresher!(task, millis(50));
    refresher!(agents, millis(200));
    refresher!(tree, millis(500));
    refresher!(inbox, millis(100));
    refresher!(runs, millis(250));
    let (topics, mut interest) = (topics.clone(), interest.clone());
    tokio::spawn(async move {
        while interest.changed().await.is_ok() {
            topics
                .all()
                .iter()
                .for_each(|topic| topic.interest_changed.notify_one());
        }
    });
}

/// Sends a request when the topic is marked, then pauses.
async fn refresher<F: Future<Output = ()>>(
    topic: &Topic,
    rest: Duration,
    fetch_now: impl Fn() -> F,
) {
    let mut now = false;
    loop {
        if !now {
            tokio::select! {
                () = topic.changed.notified() => {}
                () = topic.interest_changed.notified() => {}
            }
        }
        let begun = Instant::now();
        now = tokio::select! {
            () = fetch_now() => false,
            () = topic.interest_changed.notified() => true,
        };
        if !now {
            now = tokio::select! {
                () = sleep(rest.max(begun.elapsed() * 4)) => false,
                () = topic.interest_changed.notified() => true,
            };
        }
    }
}

async fn send_updates(
    feed: &FeedContext,
    interest: &Interest,
    outcome: Result<Vec<Update>, CallError>,
) {
    match outcome {
        Ok(updates) => {
            for update in updates {
                feed.update(update).await;
            }
        }
        Err(why @ (CallError::Refused(_) | CallError::BadAnswer { .. })) => {
            let task = interest
                .task
                .filter(|_| interest.view == View::Task)
                .unwrap_or(0);
            let update = Update::Failed(interest.view, task, why.to_string());
            feed.update(update).await;
        }
        // The link task reports broken connections. After a reconnect all topics are marked.
        Err(_) => {}
    }
}
