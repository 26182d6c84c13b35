//! The wait for tasks: parked in the hub, with notifications of a single task's events, and across a restart of the hub.
//!
//! A wait has a connection of its own. So its subscription is limited to its task and ends with it, and waits do not count
//! against the limit of requests of the connection that all other tools use. Subscriptions to resources share the limit of
//! waits, because each holds a connection, too.

use super::error::ToolError;
use super::progress::ProgressReporter;
use crate::link::{HubError, HubLink, RequestSlot};
use kirosu_protocol::client::{CallError, Client, ConnectionState, Notification};
use kirosu_protocol::{
    Error, ErrorCode, Notice, Task, TaskId, WaitAnswer, WaitParams, WaitTarget, WatchParams, millis,
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

    /// Takes one of the places for waits. Its drop gives it back.
    ///
    /// # Errors
    /// All are taken.
    pub(super) fn slot(&self) -> Result<RequestSlot, ToolError> {
        let busy = || {
            let text = format!(
                "the gateway has {WAITS} waits and subscriptions, its limit; try again later"
            );
            Error::new(ErrorCode::Busy, text).into()
        };
        RequestSlot::take(&self.taken, WAITS).ok_or_else(busy)
    }

    /// Waits until the tasks, different ones, have ended or the time is over, and returns them in the same order. The drop of
    /// the future ends the wait.
    ///
    /// # Errors
    /// A task is unknown, the hub is unreachable, or the limit of waits is reached.
    pub(super) async fn wait(
        &self,
        hub: &HubLink,
        task_ids: Vec<TaskId>,
        longest: Duration,
        reporter: Option<ProgressReporter>,
    ) -> Result<Vec<Task>, ToolError> {
        let _slot = self.slot()?;
        // Fails immediately with a sentence when the hub is unreachable.
        hub.connected().await?;
        let client = hub.new_client();
        let notifications = client.notifications();
        let wait = TaskWait {
            client,
            notifications,
            task_ids,
            end: Instant::now() + longest,
            reporter,
        };
        wait.run().await
    }
}

struct TaskWait {
    client: Client,
    notifications: Receiver<Arc<Notification>>,
    task_ids: Vec<TaskId>,
    end: Instant,
    reporter: Option<ProgressReporter>,
}

impl TaskWait {
    async fn run(mut self) -> Result<Vec<Task>, ToolError> {
        loop {
            match self.once().await {
                Ok(tasks) => return Ok(tasks),
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
    async fn once(&mut self) -> Result<Vec<Task>, CallError> {
        if let (Some(_), [task_id]) = (&self.reporter, self.task_ids.as_slice()) {
            let watch = WatchParams {
                task_id: Some(*task_id),
                kinds: vec!["task".to_owned(), "progress".to_owned()],
                ..WatchParams::default()
            };
            self.client.request(&watch).await?;
        }
        // At first without a pause, so that an unknown task is refused immediately and the client receives the initial status.
        let (tasks, finished) = self.ask(Duration::ZERO).await?;
        if finished {
            return Ok(tasks);
        }
        let mut told = state_text(&tasks);
        if let Some(reporter) = &mut self.reporter {
            reporter.send(format!("{told} at the beginning")).await;
        }
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            let (tasks, finished) = self.ask(left.min(SLICE)).await?;
            if finished || left <= SLICE {
                return Ok(tasks);
            }
            let now = state_text(&tasks);
            if let (Some(reporter), true) = (&mut self.reporter, tasks.len() > 1 && now != told) {
                reporter.send(now.clone()).await;
                told = now;
            }
        }
    }

    /// Parks one request in the hub, and reports events meanwhile.
    async fn ask(&mut self, time: Duration) -> Result<(Vec<Task>, bool), CallError> {
        let ask = WaitParams {
            target: WaitTarget::Tasks(self.task_ids.clone()),
            timeout_ms: millis(time),
        };
        let client = self.client.clone();
        let answer = client.request(&ask);
        let answer = match &mut self.reporter {
            None => answer.await?,
            Some(reporter) => telling(answer, reporter, &mut self.notifications).await?,
        };
        let gone = |id: &&TaskId| !answer.tasks.iter().any(|task| task.task_id == **id);
        match self.task_ids.iter().find(gone) {
            None => Ok((answer.tasks, answer.finished)),
            Some(id) => {
                let text = format!("task {id} was pruned during the wait");
                let error = Error::new(ErrorCode::UnknownTask, text);
                Err(CallError::Refused(error))
            }
        }
    }

    /// Waits until the client has reconnected.
    async fn returned(&self) -> Result<(), ToolError> {
        let mut state = self.client.state();
        let connected = state.wait_for(|state| matches!(state, ConnectionState::Connected(_)));
        let timeout = self.end.min(Instant::now() + RECONNECT_TIMEOUT);
        match tokio::time::timeout_at(timeout, connected).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(ToolError(format!(
                "the connection to the hub at {} was lost during the wait; the tasks are kept, call the tool again later",
                self.client.endpoint()
            ))),
        }
    }
}

/// The status of a single task, or how many of several have ended.
fn state_text(tasks: &[Task]) -> String {
    match tasks {
        [task] => task.status.to_string(),
        tasks => {
            let ended = tasks.iter().filter(|task| task.status.is_final()).count();
            format!("{ended} of {} tasks have ended", tasks.len())
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
