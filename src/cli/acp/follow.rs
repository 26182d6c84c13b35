//! Follows the task of a turn: its output, the tasks below it, the steps of a run, questions to the person, and its end.

use super::asks::Asked;
use super::feed::Feed;
use super::hub::insist;
use super::printed::{PrintedPiece, Splitter};
use super::request_error::RequestError;
use super::tree::TaskTree;
use super::turn::{PromptEnd, PromptTurn};
use super::{ending, updates};
use crate::cli::logs::{ChunkOrder, OutputPosition};
use crate::cli::{Failure, StreamItem};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use kirosu_plan::Plan;
use kirosu_protocol::{
    AttemptOutput, EventKind, GetAnswer, GetParams, PermissionState, Status, Subject, Task, TaskId,
    WaitReason,
};
use kirosu_providers::rpc::INTERNAL_ERROR;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The pause after questions about tasks below: changes of this time are read together.
const PAUSE: Duration = Duration::from_millis(250);
/// Time for a cancel.
const CANCEL_TIME: Duration = Duration::from_secs(10);

/// A question to the person that is open.
pub struct OpenAsk {
    pub(super) subject: Subject,
    pub(super) task_id: TaskId,
    pub(super) over: oneshot::Sender<String>,
}

/// The task of a turn, and all that is known of it.
pub struct Follow<'t> {
    pub(super) turn: &'t PromptTurn,
    pub(super) root: TaskId,
    own: Feed,
    all: Feed,
    pub(super) tree: TaskTree,
    /// Whether the hub is to be asked about tasks, and about the steps.
    pub(super) is_tree_stale: bool,
    pub(super) is_run_stale: bool,
    pub(super) read_at: Instant,
    /// The plan of a run, if it is known; `None` for a task.
    pub(super) plan: Option<Option<Plan>>,
    pub(super) shown_plan: Value,
    at: OutputPosition,
    splitter: Splitter,
    pub(super) asks: FuturesUnordered<LocalBoxFuture<'static, Asked>>,
    pub(super) open_asks: HashMap<String, OpenAsk>,
    pub(super) asked: HashSet<String>,
    is_cancelled: bool,
    /// Whether the person has rejected something in the editor.
    is_rejected: bool,
}

impl<'t> Follow<'t> {
    /// Begins to follow a task. `plan`: that of a run, if it is known. `all`: a stream that began before the task, or that is to be
    /// completed by reading the tree.
    ///
    /// # Errors
    /// The hub cannot be reached or refuses.
    pub async fn start(
        turn: &'t PromptTurn,
        root: TaskId,
        plan: Option<Option<Plan>>,
        all: Feed,
    ) -> Result<Follow<'t>, Failure> {
        let own = Feed::of_task(&turn.agent.hub, root).await?;
        Ok(Follow {
            turn,
            root,
            own,
            all,
            tree: TaskTree::new(root),
            is_tree_stale: false,
            is_run_stale: plan.is_some(),
            read_at: Instant::now(),
            plan,
            shown_plan: Value::Null,
            at: OutputPosition::default(),
            splitter: Splitter::default(),
            asks: FuturesUnordered::new(),
            open_asks: HashMap::new(),
            asked: HashSet::new(),
            is_cancelled: false,
            is_rejected: false,
        })
    }

    /// Shows what happens until the task has ended.
    ///
    /// # Errors
    /// It failed, or the hub does not come back.
    pub async fn until_end(&mut self) -> Result<PromptEnd, RequestError> {
        let mut got = self.catch_up().await?;
        self.tell_why_it_waits(&got.task).await;
        self.read_tree().await?;
        self.refresh().await?;
        let mut cancel = self.turn.cancel.clone();
        while !got.task.status.is_final() {
            let read_at = self.read_at + PAUSE;
            let is_stale = self.is_tree_stale || self.is_run_stale;
            let mut is_known = true;
            tokio::select! {
                wish = cancel.wait_for(|wish| *wish), if !self.is_cancelled => {
                    self.is_cancelled = true;
                    if wish.is_ok() {
                        self.cancel().await?;
                    }
                }
                item = self.own.next() => is_known = self.own_item(item?).await,
                item = self.all.next() => self.any_item(item?).await?,
                Some(asked) = self.asks.next(), if !self.asks.is_empty() => {
                    self.open_asks.remove(&asked.key);
                    self.is_rejected |= asked.is_rejected;
                }
                () = tokio::time::sleep_until(read_at), if is_stale => self.refresh().await?,
            }
            if !is_known {
                got = self.catch_up().await?;
            }
        }
        self.read_last().await?;
        self.show(Splitter::finish).await;
        self.close().await;
        let end = ending::EndedTurn {
            turn: self.turn,
            printed: &self.splitter,
            is_cancelled: self.is_cancelled,
            is_rejected: self.is_rejected,
        };
        end.of(&got).await
    }

    /// Ends the questions that are open.
    pub async fn close(&mut self) {
        for (_, ask) in self.open_asks.drain() {
            let _ = ask.over.send("The turn is over.".to_owned());
        }
        while let Some(asked) = self.asks.next().await {
            self.is_rejected |= asked.is_rejected;
        }
    }

    /// Handles an event of the task. Returns whether it is complete: else the task must be read.
    async fn own_item(&mut self, item: StreamItem) -> bool {
        let StreamItem::Event(event) = item else {
            self.is_run_stale = self.plan.is_some();
            return false;
        };
        match event.what {
            EventKind::Output {
                fence, chunk, text, ..
            } => {
                match self.at.compare(fence, chunk) {
                    ChunkOrder::Known => return true,
                    ChunkOrder::Gap => return false,
                    ChunkOrder::NewAttempt => self.begin_attempt(fence).await,
                    ChunkOrder::Next => {}
                }
                self.at.bytes += text.len();
                self.at.chunk = chunk + 1;
                self.show(|splitter| splitter.push(&text)).await;
                true
            }
            EventKind::Task { status, .. } => !status.is_final(),
            EventKind::Run { .. } | EventKind::Step { .. } => {
                self.is_run_stale = true;
                true
            }
            _ => true,
        }
    }

    /// Handles an event of any task.
    async fn any_item(&mut self, item: StreamItem) -> Result<(), Failure> {
        let StreamItem::Event(event) = item else {
            return self.read_tree().await;
        };
        self.is_tree_stale |= self.tree.note(&event.what);
        match &event.what {
            EventKind::Approval {
                approval_id,
                state,
                by,
                ..
            } if *state != PermissionState::Open => {
                let how = match by {
                    Some(by) => format!("{state} by {by}"),
                    None => state.to_string(),
                };
                self.settle(Subject::Approval(*approval_id), &how);
            }
            EventKind::Task {
                task_id,
                status,
                reason,
                by,
                ..
            } if !matches!(status, Status::AwaitingApproval | Status::Queued) => {
                let how = match by {
                    Some(by) => format!("{reason} by {by}"),
                    None => reason.clone(),
                };
                self.settle(Subject::Task(*task_id), &how);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the task, and shows the new part of its output.
    async fn catch_up(&mut self) -> Result<GetAnswer, Failure> {
        let params = GetParams {
            task_id: self.root,
            output: true,
            attempt: None,
        };
        let got = insist(&self.turn.hub, &params).await?;
        for output in got.output.as_deref().unwrap_or_default() {
            self.attempt(output).await;
        }
        Ok(got)
    }

    async fn attempt(&mut self, output: &AttemptOutput) {
        if output.fence < self.at.fence {
            return;
        }
        if output.fence > self.at.fence {
            self.begin_attempt(output.fence).await;
        }
        let fresh = output.text.get(self.at.bytes..).unwrap_or_default();
        self.at.bytes = self.at.bytes.max(output.text.len());
        self.at.chunk = self.at.chunk.max(output.next_chunk.unwrap_or(0));
        self.show(|splitter| splitter.push(fresh)).await;
    }

    async fn begin_attempt(&mut self, fence: i64) {
        if self.at.fence > 0 {
            self.show(Splitter::finish).await;
            self.turn
                .note(&format!("task {} runs again", self.root))
                .await;
        }
        self.at = OutputPosition {
            fence,
            ..OutputPosition::default()
        };
        self.splitter = Splitter::default();
    }

    async fn show(&mut self, pieces: impl FnOnce(&mut Splitter) -> Vec<PrintedPiece>) {
        let message = format!("task-{}-{}", self.root, self.at.fence);
        for piece in pieces(&mut self.splitter) {
            let update = match piece {
                PrintedPiece::Answer(text) => updates::answer(&message, &text),
                PrintedPiece::Aside(text) => updates::thought(&format!("{message}-aside"), &text),
            };
            self.turn.update(update).await;
        }
    }

    /// Shows why the task does not begin, unless it only waits for its turn.
    async fn tell_why_it_waits(&self, task: &Task) {
        let Some(waiting) = &task.waiting else { return };
        if !matches!(waiting.reason, WaitReason::Next) {
            self.turn.note(&waiting.message).await;
        }
    }

    /// Cancels the task and the open tasks below it.
    async fn cancel(&mut self) -> Result<(), RequestError> {
        let id = self.root;
        match tokio::time::timeout(CANCEL_TIME, self.cancel_all()).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(RequestError::new(
                INTERNAL_ERROR,
                format!(
                    "the hub is away, so task {id} is not cancelled; once it is back: kirosu cancel {id}"
                ),
            )),
        }
    }
}
