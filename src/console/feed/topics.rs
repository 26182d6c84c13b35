//! Topics: parts of the model that may be out of date, and their refreshers.

use super::{FeedContext, fetch};
use crate::cli::HubClient;
use crate::console::messages::{Interest, Update};
use crate::console::view::View;
use crate::terminal::time;
use kirosu_protocol::client::CallError;
use kirosu_protocol::{Event, EventKind, TaskId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// One mark per part of the model.
#[derive(Debug, Default)]
pub(super) struct Topics {
    tasks: Topic,
    task: Topic,
    pools: Topic,
    tree: Topic,
    inbox: Topic,
    runs: Topic,
    items: Topic,
    schedules: Topic,
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
    fn all(&self) -> [&Topic; 8] {
        [
            &self.tasks,
            &self.task,
            &self.pools,
            &self.tree,
            &self.inbox,
            &self.runs,
            &self.items,
            &self.schedules,
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
                task_id,
                reason,
                status,
                ..
            } => {
                if chosen(task_id) {
                    self.task.changed.notify_one();
                }
                for topic in [&self.tasks, &self.pools, &self.tree, &self.inbox] {
                    topic.changed.notify_one();
                }
                // A run that has not begun has no other events.
                if matches!(reason.as_str(), "enqueued" | "cancelled" | "rejected") {
                    self.runs.changed.notify_one();
                }
                // The status of the newest task of a schedule.
                if status.is_final() || reason == "leased" {
                    self.schedules.changed.notify_one();
                }
            }
            EventKind::Run { .. } | EventKind::Step { .. } => {
                self.runs.changed.notify_one();
                self.items.changed.notify_one();
            }
            EventKind::Schedule { .. } => self.schedules.changed.notify_one(),
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
                    let again = outcome.as_deref().ok().and_then(changes_in);
                    send_updates(&feed, &now, outcome).await;
                    again
                };
                refresher(&topics.$topic, $rest, fetch_now).await;
            });
        };
    }
    refresher!(tasks, millis(100));
    refresher!(task, millis(50));
    refresher!(pools, millis(200));
    refresher!(tree, millis(500));
    refresher!(inbox, millis(100));
    refresher!(runs, millis(250));
    refresher!(items, millis(250));
    refresher!(schedules, millis(250));
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

/// The time after which an answer is out of date without an event: an account that is parked may be used again then.
fn changes_in(updates: &[Update]) -> Option<Duration> {
    let pools = updates.iter().find_map(|update| match update {
        Update::Pools(pools) => Some(pools),
        _ => None,
    })?;
    let lanes = pools.iter().flat_map(|pool| &pool.lanes);
    let left = lanes.filter_map(|lane| Some(lane.until? as f64 - time::now()));
    let first = left.filter(|left| *left > 0.0).min_by(f64::total_cmp)?;
    // The hub must have noticed it, too.
    Duration::try_from_secs_f64(first + 1.0).ok()
}

/// Sends a request when the topic is marked, or after the time that the answer before names, then pauses.
async fn refresher<F: Future<Output = Option<Duration>>>(
    topic: &Topic,
    rest: Duration,
    fetch_now: impl Fn() -> F,
) {
    let mut now = false;
    let mut again: Option<Instant> = None;
    loop {
        if !now {
            tokio::select! {
                () = topic.changed.notified() => {}
                () = topic.interest_changed.notified() => {}
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
            }
        }
        let begun = Instant::now();
        now = tokio::select! {
            left = fetch_now() => {
                again = left.and_then(|left| begun.checked_add(left));
                false
            }
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
