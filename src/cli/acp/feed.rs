//! Streams of events for a turn.

use super::hub::HubAccess;
use crate::cli::{Failure, StreamItem, WatchStream};
use kirosu_protocol::{TaskId, WatchParams};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Events that wait to be handled.
const EVENTS: usize = 1024;

/// A stream of events, read by a task of its own: the stream reconnects, which must not be broken off.
pub struct Feed {
    items: mpsc::Receiver<Result<StreamItem, Failure>>,
    reading: JoinHandle<()>,
}

impl Feed {
    /// The states of all tasks, and permission requests.
    ///
    /// # Errors
    /// The hub cannot be reached or refuses. The same holds for the method below.
    pub async fn of_all(hub: &HubAccess) -> Result<Feed, Failure> {
        Feed::start(hub, None, &["task", "approval"]).await
    }

    /// The state, the output and the steps of a task.
    pub async fn of_task(hub: &HubAccess, task_id: TaskId) -> Result<Feed, Failure> {
        Feed::start(hub, Some(task_id), &["task", "output", "run", "step"]).await
    }

    async fn start(
        hub: &HubAccess,
        task_id: Option<TaskId>,
        kinds: &[&str],
    ) -> Result<Feed, Failure> {
        let params = WatchParams {
            task_id,
            kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
            ..WatchParams::default()
        };
        let mut events = WatchStream::start(&hub.fresh().await?, params).await?;
        let (sender, items) = mpsc::channel(EVENTS);
        let reading = tokio::task::spawn_local(async move {
            loop {
                let item = events.next().await;
                let is_over = item.is_err();
                if sender.send(item).await.is_err() || is_over {
                    return;
                }
            }
        });
        Ok(Feed { items, reading })
    }

    /// The next item.
    ///
    /// # Errors
    /// The hub does not come back.
    pub async fn next(&mut self) -> Result<StreamItem, Failure> {
        let gone = || Failure::Local("the events of the hub have ended".into());
        self.items.recv().await.unwrap_or_else(|| Err(gone()))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
