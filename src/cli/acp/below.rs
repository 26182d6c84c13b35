//! The tasks below the task of a turn: read from the hub, shown, asked about and cancelled.

use super::asks::{Asker, call_id, subject};
use super::follow::{Follow, OpenAsk};
use super::hub::insist;
use super::steps;
use crate::cli::Failure;
use crate::cli::each::actor;
use kirosu_protocol::client::CallError;
use kirosu_protocol::{
    Approval, ApprovalsParams, CancelParams, ErrorCode, Group, IdRange, ListParams, RunParams,
    Subject, Target, Task, TaskId,
};
use std::collections::HashSet;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Tasks per page.
const PAGE: u32 = 500;
/// Bytes of each text of a task below: more than a tool call shows.
const PREVIEW: u32 = 20 << 10;
/// Open tasks whose children are read again after events were lost.
const REREAD: usize = 100;
/// Ranges of ids in one request to cancel.
const CANCELLED: usize = 100;

impl Follow<'_> {
    /// Ends the question about a subject, which was decided elsewhere.
    pub(super) fn settle(&mut self, subject: Subject, how: &str) {
        let of_it = |(key, ask): (&String, &OpenAsk)| (ask.subject == subject).then(|| key.clone());
        let keys: Vec<String> = self.open_asks.iter().filter_map(of_it).collect();
        for key in keys {
            if let Some(ask) = self.open_asks.remove(&key) {
                let _ = ask.over.send(how.to_owned());
            }
        }
    }

    /// Reads all open tasks of the tree and their children: events were lost, or the task began before this turn.
    pub(super) async fn read_tree(&mut self) -> Result<(), Failure> {
        let mut read = HashSet::new();
        loop {
            let mut open = self.tree.open().into_iter();
            let Some(id) = open.find(|id| !read.contains(id)) else {
                break;
            };
            read.insert(id);
            let params = ListParams {
                parent_id: Some(id),
                ..ListParams::default()
            };
            self.take_listed(params).await?;
            if read.len() == REREAD {
                break;
            }
        }
        self.tree.note_open();
        self.recheck_asks().await?;
        self.is_tree_stale = true;
        self.is_run_stale = self.plan.is_some();
        Ok(())
    }

    /// Reads what has changed at the end: the stream of the task may be ahead of that of all tasks.
    pub(super) async fn read_last(&mut self) -> Result<(), Failure> {
        let newest = ListParams {
            parent_id: Some(self.root),
            limit: Some(PAGE),
            preview_bytes: Some(PREVIEW),
            ..ListParams::default()
        };
        let page = insist(&self.turn.hub, &newest).await?;
        self.take(page.tasks).await;
        self.tree.note_open();
        self.is_run_stale = self.plan.is_some();
        self.refresh().await
    }

    /// Ends questions that are not open any more.
    async fn recheck_asks(&mut self) -> Result<(), Failure> {
        let known = self.open_asks.iter();
        let known: Vec<(String, Subject, TaskId)> = known
            .map(|(key, ask)| (key.clone(), ask.subject, ask.task_id))
            .collect();
        for (key, subject, task_id) in known {
            let open = self.waiting(task_id).await?;
            if !open.iter().any(|entry| call_id(entry) == key) {
                self.settle(subject, "It was decided elsewhere.");
            }
        }
        Ok(())
    }

    /// Asks the hub about changes: tasks below, questions, steps.
    pub(super) async fn refresh(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.is_run_stale)
            && let Some(plan) = &self.plan
        {
            let run = insist(&self.turn.hub, &RunParams::of(self.root)).await?;
            let update = steps::plan(plan.as_ref(), &run.steps);
            if update != self.shown_plan {
                self.shown_plan = update.clone();
                self.turn.update(update).await;
            }
        }
        self.is_tree_stale = false;
        let ranges = self.tree.wanted();
        self.take_ranges(ranges).await?;
        for task_id in self.tree.asking() {
            for entry in self.waiting(task_id).await? {
                self.ask(entry);
            }
        }
        self.read_at = Instant::now();
        Ok(())
    }

    async fn take_ranges(&mut self, ranges: Vec<IdRange>) -> Result<(), Failure> {
        match ranges.is_empty() {
            true => Ok(()),
            false => {
                let params = ListParams {
                    ranges,
                    ..ListParams::default()
                };
                self.take_listed(params).await
            }
        }
    }

    /// Reads all pages of a list of tasks.
    async fn take_listed(&mut self, params: ListParams) -> Result<(), Failure> {
        let mut params = ListParams {
            limit: Some(PAGE),
            preview_bytes: Some(PREVIEW),
            ..params
        };
        let mut tasks = Vec::new();
        loop {
            let page = insist(&self.turn.hub, &params).await?;
            tasks.extend(page.tasks);
            params.before = page.next;
            if params.before.is_none() {
                break;
            }
        }
        self.take(tasks).await;
        Ok(())
    }

    /// Takes the state of tasks, and shows what is new.
    async fn take(&mut self, mut tasks: Vec<Task>) {
        tasks.sort_by_key(|task| task.task_id);
        for update in self.tree.take(&tasks) {
            self.turn.update(update).await;
        }
        if self.tree.became_full() {
            self.turn
                .note("further tasks are shown only if they fail or ask")
                .await;
        }
    }

    /// The entries of a task in the inbox.
    async fn waiting(&self, task_id: TaskId) -> Result<Vec<Approval>, Failure> {
        let params = ApprovalsParams {
            task_id: Some(task_id),
            ..ApprovalsParams::default()
        };
        Ok(insist(&self.turn.hub, &params).await?.approvals)
    }

    fn ask(&mut self, entry: Approval) {
        let key = call_id(&entry);
        if !self.asked.insert(key.clone()) {
            return;
        }
        let (over, is_over) = oneshot::channel();
        let open = OpenAsk {
            subject: subject(&entry),
            task_id: entry.task_id,
            over,
        };
        self.open_asks.insert(key, open);
        let asker = Asker {
            wire: self.turn.agent.wire.clone(),
            session: self.turn.session.id.clone(),
            hub: self.turn.agent.hub.clone(),
            has_forms: self.turn.agent.has_forms(),
        };
        self.asks.push(Box::pin(asker.ask(entry, is_over)));
    }

    /// Cancels the task, then the open tasks below it.
    ///
    /// # Errors
    /// The hub does not come back.
    pub(super) async fn cancel_all(&mut self) -> Result<(), Failure> {
        let wanted = self.tree.wanted();
        self.take_ranges(wanted).await?;
        let below = self.tree.open().into_iter().filter(|id| *id != self.root);
        let below: Vec<IdRange> = below
            .map(|id| IdRange {
                first: id,
                last: id,
            })
            .collect();
        let groups = below.chunks(CANCELLED).map(|ranges| {
            Target::Group(Group {
                ranges: ranges.to_vec(),
                ..Group::default()
            })
        });
        // The task first: it would go on with what the others have.
        for target in std::iter::once(Target::Task(self.root)).chain(groups) {
            let params = CancelParams {
                target,
                by: actor(&None),
                reason: Some("cancelled in the editor".to_owned()),
            };
            match insist(&self.turn.hub, &params).await {
                // It has ended in the meantime.
                Err(Failure::Call(CallError::Refused(why)))
                    if why.code == ErrorCode::WrongState => {}
                Err(why) => return Err(why),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}
