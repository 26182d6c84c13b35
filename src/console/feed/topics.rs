//! Topics: what may have changed, and who asks the hub about it.

use super::{Line, Told, fetch};
use crate::cli::connect::Hub;
use crate::console::model::View;
use crate::console::news::{News, Want};
use kirosu_protocol::client::CallError;
use kirosu_protocol::{Event, EventKind, TaskId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// What may have changed.
#[derive(Debug, Default)]
pub(super) struct Topics {
    tasks: Topic,
    task: Topic,
    agents: Topic,
    tree: Topic,
    inbox: Topic,
}

/// One mark.
#[derive(Debug, Default)]
struct Topic {
    /// It may have changed.
    changed: Notify,
    /// Something else is wanted of it: now.
    wanted: Notify,
}

impl Topics {
    fn all(&self) -> [&Topic; 5] {
        [
            &self.tasks,
            &self.task,
            &self.agents,
            &self.tree,
            &self.inbox,
        ]
    }

    /// Anything may have changed.
    pub(super) fn mark_all(&self) {
        self.all()
            .iter()
            .for_each(|topic| topic.changed.notify_one());
    }

    /// Marks what an event may have changed; `task` is the chosen one.
    pub(super) fn mark(&self, event: &Event, task: Option<TaskId>) {
        let chosen = |id: &TaskId| Some(*id) == task;
        match &event.what {
            EventKind::Task { task_id, .. } => {
                if chosen(task_id) {
                    self.task.changed.notify_one();
                }
                for topic in [&self.tasks, &self.agents, &self.tree, &self.inbox] {
                    topic.changed.notify_one();
                }
            }
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

/// Starts the keepers.
pub(super) fn keep(line: &Line, hub: &Hub, topics: &Arc<Topics>, want: &watch::Receiver<Want>) {
    let millis = Duration::from_millis;
    macro_rules! keeper {
        ($topic:ident, $rest:expr) => {
            let (line, client) = (line.clone(), hub.client.clone());
            let (topics, want) = (topics.clone(), want.clone());
            tokio::spawn(async move {
                let ask = || async {
                    let now = want.borrow().clone();
                    let outcome = fetch::$topic(&client, &now).await;
                    answered(&line, &now, outcome).await;
                };
                keeper(&topics.$topic, $rest, ask).await;
            });
        };
    }
    keeper!(tasks, millis(100));
    keeper!(task, millis(50));
    keeper!(agents, millis(200));
    keeper!(tree, millis(500));
    keeper!(inbox, millis(100));
    let (topics, mut want) = (topics.clone(), want.clone());
    tokio::spawn(async move {
        while want.changed().await.is_ok() {
            topics
                .all()
                .iter()
                .for_each(|topic| topic.wanted.notify_one());
        }
    });
}

/// Asks when there is something new, and rests.
async fn keeper<F: Future<Output = ()>>(topic: &Topic, rest: Duration, ask: impl Fn() -> F) {
    let mut now = false;
    loop {
        if !now {
            tokio::select! {
                () = topic.changed.notified() => {}
                () = topic.wanted.notified() => {}
            }
        }
        let begun = Instant::now();
        now = tokio::select! {
            () = ask() => false,
            () = topic.wanted.notified() => true,
        };
        if !now {
            now = tokio::select! {
                () = sleep(rest.max(begun.elapsed() * 4)) => false,
                () = topic.wanted.notified() => true,
            };
        }
    }
}

async fn answered(line: &Line, want: &Want, outcome: Result<Vec<News>, CallError>) {
    match outcome {
        Ok(news) => {
            for news in news {
                line.tell(Told::News(news.into())).await;
            }
        }
        Err(why @ (CallError::Refused(_) | CallError::BadAnswer { .. })) => {
            let task = want.task.filter(|_| want.view == View::Task).unwrap_or(0);
            let news = News::Trouble(want.view, task, why.to_string());
            line.tell(Told::News(news.into())).await;
        }
        // The link tells of a broken connection, and everything is asked for again when it stands.
        Err(_) => {}
    }
}
