//! The wait for a task: parked in the hub, told of what happens meanwhile, through a restart of the hub.
//!
//! A wait has a connection of its own. Its watch is then for its task alone, and ends with it; and waits cannot use up
//! what one connection may have under way, which every other tool needs.

use super::progress::Teller;
use super::refusal::Refusal;
use crate::link::{AskError, HubLink, Slot};
use kirosu_protocol::client::{CallError, Client, ConnectionState, Notification};
use kirosu_protocol::verbs::get::GetParams;
use kirosu_protocol::verbs::wait::{WaitAnswer, WaitParams, WaitTarget};
use kirosu_protocol::verbs::watch::WatchParams;
use kirosu_protocol::{Error, ErrorCode, Notice, Task, TaskId};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;

/// Most waits at once.
const WAITS: usize = 256;
/// The longest wait that is parked in the hub at once. A hub cannot tell a client that has gone from one that only has
/// nothing more to ask, so a wait that was given up costs it a connection that long.
const SLICE: Duration = Duration::from_secs(5);
/// How long a hub that went away in the middle may take to come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// The waits under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    taken: Arc<AtomicUsize>,
    over: watch::Sender<bool>,
}

impl Waits {
    /// Ends all waits, those to come too: the client has gone.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Resolves when all waits are ended.
    pub(super) async fn ended(&self) {
        // Fails only without a sender, and here is one.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Waits until the task has ended or the time is over; the task as it then stands. To drop the future ends the wait.
    pub(super) async fn wait(
        &self,
        hub: &HubLink,
        task_id: TaskId,
        longest: Duration,
        teller: Option<Teller>,
    ) -> Result<Task, Refusal> {
        let busy = || {
            let text = format!("{WAITS} waits are under way, the limit; try again later");
            Error::new(ErrorCode::Busy, text)
        };
        let _slot = Slot::take(&self.taken, WAITS).ok_or_else(busy)?;
        // Says at once, and in words, when the hub is away.
        hub.connected().await?;
        let client = hub.another();
        let notifications = client.notifications();
        let wait = Wait {
            client,
            notifications,
            task_id,
            end: Instant::now() + longest,
            teller,
        };
        wait.run().await
    }
}

struct Wait {
    client: Client,
    notifications: Receiver<Arc<Notification>>,
    task_id: TaskId,
    end: Instant,
    teller: Option<Teller>,
}

impl Wait {
    async fn run(mut self) -> Result<Task, Refusal> {
        loop {
            match self.once().await {
                Ok(task) => return Ok(task),
                Err(CallError::Disconnected { .. }) if Instant::now() < self.end => {
                    if let Some(teller) = &mut self.teller {
                        let lost = "the connection to the hub broke; waiting for it to come back";
                        teller.tell(lost.to_owned()).await;
                    }
                    self.returned().await?;
                }
                Err(error) => return Err(AskError::from(error).into()),
            }
        }
    }

    /// One connection's part of the wait.
    async fn once(&mut self) -> Result<Task, CallError> {
        if self.teller.is_some() {
            let watch = WatchParams {
                task_id: Some(self.task_id),
                kinds: vec!["task".to_owned(), "progress".to_owned()],
                ..WatchParams::default()
            };
            self.client.request(&watch).await?;
        }
        // Looked at before it is waited for: an unknown task is refused at once, and the client hears where it begins.
        let look = GetParams {
            task_id: self.task_id,
            ..GetParams::default()
        };
        let task = self.client.request(&look).await?.task;
        if task.status.is_final() {
            return Ok(task);
        }
        if let Some(teller) = &mut self.teller {
            let beginning = format!("{} at the beginning", task.status);
            teller.tell(beginning).await;
        }
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            let (task, finished) = self.ask(left.min(SLICE)).await?;
            if finished || left <= SLICE {
                return Ok(task);
            }
        }
    }

    /// Waits in the hub, and tells what happens meanwhile.
    async fn ask(&mut self, time: Duration) -> Result<(Task, bool), CallError> {
        let ask = WaitParams {
            target: WaitTarget::Tasks(vec![self.task_id]),
            timeout_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        };
        let client = self.client.clone();
        let answer = client.request(&ask);
        let Some(teller) = &mut self.teller else {
            return self.task(answer.await?);
        };
        let answer = telling(answer, teller, &mut self.notifications).await?;
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

    /// Waits for the hub to come back.
    async fn returned(&self) -> Result<(), Refusal> {
        let mut state = self.client.state();
        let stands = state.wait_for(|state| matches!(state, ConnectionState::Connected(_)));
        let patience = self.end.min(Instant::now() + PATIENCE);
        match tokio::time::timeout_at(patience, stands).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Refusal(format!(
                "the hub at {} went away during the wait and has not come back; the task is kept, call wait_for_task again later",
                self.client.endpoint()
            ))),
        }
    }
}

/// Tells what happens until the answer is there, and what was heard before it.
async fn telling(
    answer: impl Future<Output = Result<WaitAnswer, CallError>>,
    teller: &mut Teller,
    notifications: &mut Receiver<Arc<Notification>>,
) -> Result<WaitAnswer, CallError> {
    tokio::pin!(answer);
    let mut listening = true;
    loop {
        tokio::select! {
            biased;
            heard = notifications.recv(), if listening => match heard {
                Ok(heard) => if let Some(Notice::Event(event)) = heard.notice() {
                    teller.hear(&event.what).await;
                },
                // Progress is for show: what was missed is not told.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => listening = false,
            },
            answer = &mut answer => return answer,
            () = teller.due() => teller.catch_up().await,
        }
    }
}
