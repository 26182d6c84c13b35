//! The wait for a task: parked in the hub, with notifications of the task's events, and across a restart of the hub.
//!
//! A wait has a connection of its own. So its subscription is limited to its task and ends with it, and waits do not count
//! against the limit of requests of the connection that all other tools use.

use super::error::ToolError;
use super::progress::ProgressReporter;
use crate::link::{HubError, HubLink, RequestSlot};
use kirosu_protocol::client::{CallError, Client, ConnectionState, Notification};
use kirosu_protocol::{
    Error, ErrorCode, GetParams, Notice, Task, TaskId, WaitAnswer, WaitParams, WaitTarget,
    WatchParams, millis,
};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;

/// Maximum number of concurrent waits.
const WAITS: usize = 256;
/// Maximum time for which one request is parked in the hub. The hub cannot distinguish a disconnected client from one
/// that only waits, so a cancelled wait occupies a connection that long.
const SLICE: Duration = Duration::from_secs(5);
/// Maximum wait for the return of a hub that was lost during a wait.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The current waits.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskWaits {
    taken: Arc<AtomicUsize>,
    over: watch::Sender<bool>,
}

impl TaskWaits {
    /// Ends all current and future waits, because the client has disconnected.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Resolves when all waits are ended.
    pub(super) async fn ended(&self) {
        // Fails only without a sender, which `self` holds.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Waits until the task has ended or the time is over, and returns the task. The drop of the future ends the wait.
    ///
    /// # Errors
    /// The task is unknown, the hub is unreachable, or the limit of waits is reached.
    pub(super) async fn wait(
        &self,
        hub: &HubLink,
        task_id: TaskId,
        longest: Duration,
        reporter: Option<ProgressReporter>,
    ) -> Result<Task, ToolError> {
        let busy = || {
            let text = format!("the gateway has {WAITS} waits, its limit; try again later");
            Error::new(ErrorCode::Busy, text)
        };
        let _slot = RequestSlot::take(&self.taken, WAITS).ok_or_else(busy)?;
        // Fails immediately with a sentence when the hub is unreachable.
        hub.connected().await?;
        let client = hub.new_client();
        let notifications = client.notifications();
        let wait = TaskWait {
            client,
            notifications,
            task_id,
            end: Instant::now() + longest,
            reporter,
        };
        wait.run().await
    }
}

struct TaskWait {
    client: Client,
    notifications: Receiver<Arc<Notification>>,
    task_id: TaskId,
    end: Instant,
    reporter: Option<ProgressReporter>,
}

impl TaskWait {
    async fn run(mut self) -> Result<Task, ToolError> {
        loop {
            match self.once().await {
                Ok(task) => return Ok(task),
                Err(CallError::Disconnected { .. }) if Instant::now() < self.end => {
                    if let Some(reporter) = &mut self.reporter {
                        let lost = "the connection to the hub broke; waiting to reconnect";
                        reporter.send(lost.to_owned()).await;
                    }
                    self.returned().await?;
                }
                Err(error) => return Err(HubError::from(error).into()),
            }
        }
    }

    /// The part of the wait over one connection.
    async fn once(&mut self) -> Result<Task, CallError> {
        if self.reporter.is_some() {
            let watch = WatchParams {
                task_id: Some(self.task_id),
                kinds: vec!["task".to_owned(), "progress".to_owned()],
                ..WatchParams::default()
            };
            self.client.request(&watch).await?;
        }
        // Before the wait, so that an unknown task is refused immediately and the client receives the initial status.
        let get = GetParams {
            task_id: self.task_id,
            ..GetParams::default()
        };
        let task = self.client.request(&get).await?.task;
        if task.status.is_final() {
            return Ok(task);
        }
        if let Some(reporter) = &mut self.reporter {
            let beginning = format!("{} at the beginning", task.status);
            reporter.send(beginning).await;
        }
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            let (task, finished) = self.ask(left.min(SLICE)).await?;
            if finished || left <= SLICE {
                return Ok(task);
            }
        }
    }

    /// Parks one request in the hub, and reports events meanwhile.
    async fn ask(&mut self, time: Duration) -> Result<(Task, bool), CallError> {
        let ask = WaitParams {
            target: WaitTarget::Tasks(vec![self.task_id]),
            timeout_ms: millis(time),
        };
        let client = self.client.clone();
        let answer = client.request(&ask);
        let Some(reporter) = &mut self.reporter else {
            return self.task(answer.await?);
        };
        let answer = telling(answer, reporter, &mut self.notifications).await?;
        self.task(answer)
    }

    fn task(&self, answer: WaitAnswer) -> Result<(Task, bool), CallError> {
        let finished = answer.finished;
        let task = answer.tasks.into_iter().next();
        let task = task.ok_or_else(|| {
            let text = format!("task {} was pruned during the wait", self.task_id);
            CallError::Refused(Error::new(ErrorCode::UnknownTask, text))
        })?;
        Ok((task, finished))
    }

    /// Waits until the client has reconnected.
    async fn returned(&self) -> Result<(), ToolError> {
        let mut state = self.client.state();
        let connected = state.wait_for(|state| matches!(state, ConnectionState::Connected(_)));
        let timeout = self.end.min(Instant::now() + RECONNECT_TIMEOUT);
        match tokio::time::timeout_at(timeout, connected).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(ToolError(format!(
                "the connection to the hub at {} was lost during the wait; the task is kept, call wait_for_task again later",
                self.client.endpoint()
            ))),
        }
    }
}

/// Waits for the answer and reports events meanwhile, those received before the answer included.
async fn telling(
    answer: impl Future<Output = Result<WaitAnswer, CallError>>,
    reporter: &mut ProgressReporter,
    notifications: &mut Receiver<Arc<Notification>>,
) -> Result<WaitAnswer, CallError> {
    tokio::pin!(answer);
    let mut listening = true;
    loop {
        tokio::select! {
            biased;
            received = notifications.recv(), if listening => match received {
                Ok(received) => if let Some(Notice::Event(event)) = received.notice() {
                    reporter.on_event(&event.what).await;
                },
                // Progress is informational: missed events are skipped.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => listening = false,
            },
            answer = &mut answer => return answer,
            () = reporter.due() => reporter.send_due().await,
        }
    }
}
