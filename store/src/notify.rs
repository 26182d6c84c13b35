//! Notifications: events that are stored in the commit of the change that causes them, until every target has them.
//!
//! The rules come from the settings. Without a target that wants a kind of event, a commit only tests [`Outbox::wants`].
//! The rows of targets follow the rules with the first commit after a change of these.

use crate::backend::{Backend, Result, StoreFault};
use crate::core::Core;
use crate::human_prompt::piece;
use crate::plans::PlanRun;
use crate::row::Flags;
use crate::sql::attempt::SelectAttemptError;
use crate::sql::cold::SelectNote;
use crate::sql::notify::{
    DeleteTarget, InsertDue, InsertNotice, InsertTarget, SelectLastNotice, SelectTargetId,
};
use crate::sql::records::TextQuery;
use kirosu_protocol::{
    BUDGET_REASON, EventKind, NoticeData, NoticeInfo, NoticeKind, NotifyFailure, NotifyTarget,
    PERSON_REASON, PermissionState, RunState, Scope, Status, TaskId,
};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// A target as it is stored. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// Its id.
    pub(crate) id: i64,
    /// Its name.
    pub name: String,
    /// The number of the event that it got last.
    pub delivered: Option<i64>,
    /// The time of that delivery.
    pub delivered_at: Option<i64>,
    /// The number of events that were dropped.
    pub lost: i64,
    /// The number of failed deliveries in a row. The next three fields belong to them.
    pub(crate) failures: i64,
    pub(crate) failing_at: Option<i64>,
    pub(crate) error: Option<String>,
    pub(crate) next_at: Option<i64>,
    /// The number of events that it has not got.
    pub pending: i64,
}

impl TargetRow {
    /// How its deliveries fail. `None`: they do not.
    pub fn failing(&self) -> Option<NotifyFailure> {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        Some(NotifyFailure {
            since: seconds(self.failing_at?),
            failures: u64::try_from(self.failures).unwrap_or(0),
            error: self.error.clone().unwrap_or_default(),
            next_at: self.next_at.map(seconds),
        })
    }
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredNotice {
    pub id: i64,
    pub nonce: i64,
    pub at: i64,
    pub kind: String,
    pub data: String,
}

impl StoredNotice {
    /// The event for a client.
    ///
    /// # Errors
    /// A later version has written it.
    pub fn info(&self) -> Result<NoticeInfo> {
        let unknown = || StoreFault::value(format!("an event of the unknown kind {}", self.kind));
        Ok(NoticeInfo {
            number: self.id,
            id: format!("n{}-{:016x}", self.id, self.nonce),
            event: NoticeKind::from_name(&self.kind).ok_or_else(unknown)?,
            at: self.at as f64 / 1000.0,
            data: serde_json::from_str(&self.data).map_err(StoreFault::value)?,
        })
    }
}

/// The targets, and the events of the present batch.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    targets: Arc<Vec<NotifyTarget>>,
    /// The kinds that any target wants, as [`NoticeKind::bit`].
    wanted: u32,
    /// The rows of the targets by name: their ids. `None`: they do not follow the rules yet.
    ids: Option<HashMap<String, i64>>,
    /// The number of the newest event.
    last: i64,
    /// Events that are to be written with the commit.
    new: Vec<(NoticeKind, NoticeData)>,
    /// Whether the present batch has written events.
    has_written: bool,
    random: RandomState,
}

impl Outbox {
    /// Notifications with these targets, read from the database.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn load(db: &mut dyn Backend, targets: Arc<Vec<NotifyTarget>>) -> Result<Outbox> {
        let mut notices = Outbox {
            last: db.number(SelectLastNotice {}.into())?.unwrap_or(0),
            ..Outbox::default()
        };
        notices.set_targets(targets);
        Ok(notices)
    }

    /// Replaces the targets. The next commit changes their rows.
    pub fn set_targets(&mut self, targets: Arc<Vec<NotifyTarget>>) {
        self.wanted = targets.iter().fold(0, |all, target| all | target.events);
        self.targets = targets;
        self.ids = None;
    }

    /// Whether any target wants events of this kind.
    pub fn wants(&self, kind: NoticeKind) -> bool {
        self.wanted & kind.bit() != 0
    }

    /// Whether the rows of the targets are to be changed.
    pub fn is_stale(&self) -> bool {
        self.ids.is_none()
    }

    /// The id of a target of the settings.
    pub fn id(&self, name: &str) -> Option<i64> {
        self.ids.as_ref()?.get(name).copied()
    }

    /// The ids and names of all targets.
    pub fn targets(&self) -> Vec<(i64, String)> {
        let ids = self.ids.iter().flatten();
        ids.map(|(name, id)| (*id, name.clone())).collect()
    }

    /// The number of the newest event.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Adds an event, if a target wants it.
    pub fn add(&mut self, kind: NoticeKind, data: NoticeData) {
        if self.targets.iter().any(|target| target.wants(kind, &data)) {
            self.new.push((kind, data));
        }
    }

    /// The number of the newest event, if the batch has written any.
    pub fn take_news(&mut self) -> Option<i64> {
        std::mem::take(&mut self.has_written).then_some(self.last)
    }
}

impl Core {
    /// Adds the events about tasks that the present batch has reported. Must be called before the batch's last commit.
    pub(crate) fn note_events(&mut self) -> Result<()> {
        let kinds = NoticeKind::WaitsForPerson.bit() | NoticeKind::Failed.bit();
        if self.notices.wanted & kinds == 0 {
            return Ok(());
        }
        for event in self.batch.take_unnoted(is_notable) {
            match event {
                EventKind::Task {
                    task_id,
                    status: Status::Failed,
                    ..
                } => self.note_failed(task_id)?,
                EventKind::Task { task_id, .. } if self.waits(task_id)? => {
                    let data = self.task_notice(task_id)?;
                    self.notices.add(NoticeKind::WaitsForPerson, data);
                }
                EventKind::Approval {
                    approval_id,
                    task_id,
                    tool,
                    ..
                } => {
                    let data = NoticeData {
                        approval_id: Some(approval_id),
                        tool: Some(piece(&tool)),
                        ..self.task_notice(task_id)?
                    };
                    self.notices.add(NoticeKind::WaitsForPerson, data);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn note_failed(&mut self, id: TaskId) -> Result<()> {
        // A later command of the batch may have brought it back.
        let Some(row) = self.row(id)?.filter(|row| row.state == Status::Failed) else {
            return Ok(());
        };
        let lane = row.lane;
        let is_plan = self.lanes.get(lane).is_some_and(|lane| lane.is_plan());
        // The end of a run is an event of its own.
        if is_plan && self.plan_run(id)?.is_some() {
            return Ok(());
        }
        let data = NoticeData {
            error: self.error_of(id)?,
            ..self.task_notice(id)?
        };
        self.notices.add(NoticeKind::Failed, data);
        Ok(())
    }

    /// Whether a task still waits for a person at the end of the batch.
    fn waits(&mut self, id: TaskId) -> Result<bool> {
        let Some(row) = self.row(id)? else {
            return Ok(false);
        };
        let (state, lane) = (row.state, row.lane);
        let is_human = self.lanes.get(lane).is_some_and(|lane| lane.is_human());
        Ok(state == Status::AwaitingApproval || (state == Status::Queued && is_human))
    }

    /// The content of an event about a task, without prompt and result.
    fn task_notice(&mut self, id: TaskId) -> Result<NoticeData> {
        let mut data = NoticeData {
            task_id: Some(id),
            ..NoticeData::default()
        };
        let Some(row) = self.row(id)? else {
            return Ok(data);
        };
        let (lane, flags) = (row.lane, row.flags);
        data.status = Some(row.state.as_str().to_owned());
        data.attempts = Some(row.attempts);
        if let Some(lane) = self.lanes.get(lane) {
            data.queue = Some(lane.queue.to_string());
            data.task_type = Some(lane.task_type.to_string());
        }
        if flags.has(Flags::HAS_LABELS) {
            data.labels = self.task_options(id)?.labels;
        }
        Ok(data)
    }

    /// The first line of a failed task's error, shortened.
    fn error_of(&mut self, id: TaskId) -> Result<Option<String>> {
        let Some(row) = self.tasks.get(id) else {
            return Ok(None);
        };
        let (fence, flags) = (row.fence, row.flags);
        let query = if flags.has(Flags::RESULT_IN_ATTEMPT) {
            TextQuery::AttemptError(SelectAttemptError { task_id: id, fence })
        } else if flags.has(Flags::RESULT_IN_NOTE) {
            TextQuery::Note(SelectNote { task_id: id })
        } else {
            return Ok(None);
        };
        Ok(self.db.text(query)?.map(|error| piece(&error)))
    }

    /// A run is about to be written: adds an event if it has ended and no step of another run has made it, or if it begins to
    /// wait for a person.
    pub(crate) fn note_run_state(&mut self, id: TaskId, run: &PlanRun) -> Result<()> {
        let kinds = NoticeKind::WaitsForPerson.bit() | NoticeKind::RunEnded.bit();
        if self.notices.wanted & kinds == 0 {
            return Ok(());
        }
        let before = self.db.plan_run(id)?;
        let is_below = self
            .row(id)?
            .is_some_and(|row| row.flags.has(Flags::IN_PLAN));
        let had_ended = before.as_ref().is_some_and(|it| it.ended_ms.is_some());
        let asks = |reason: Option<&str>| {
            reason.is_some_and(|it| it.starts_with(PERSON_REASON) || it.starts_with(BUDGET_REASON))
        };
        let reason = before.as_ref().and_then(|it| it.reason.as_deref());
        let kind = if run.ended_ms.is_some() && !had_ended && !is_below {
            NoticeKind::RunEnded
        } else if run.state == RunState::Waiting
            && asks(run.reason.as_deref())
            && reason != run.reason.as_deref()
        {
            NoticeKind::WaitsForPerson
        } else {
            return Ok(());
        };
        let data = NoticeData {
            status: Some(run.state.as_str().to_owned()),
            name: run.name.clone(),
            error: run.reason.as_deref().map(piece),
            ..self.task_notice(id)?
        };
        self.notices.add(kind, data);
        Ok(())
    }

    /// A budget is used up.
    pub(crate) fn note_budget(&mut self, scope: &Scope) -> Result<()> {
        if !self.notices.wants(NoticeKind::BudgetUsedUp) {
            return Ok(());
        }
        let data = match scope {
            Scope::Task(id) | Scope::Tree(id) => self.task_notice(*id)?,
            Scope::Hub | Scope::Pool(_) | Scope::Provider(_) => NoticeData::default(),
        };
        let data = NoticeData {
            name: Some(scope.to_string()),
            ..data
        };
        self.notices.add(NoticeKind::BudgetUsedUp, data);
        Ok(())
    }

    /// Writes the events of the batch, and the rows of targets if the rules have changed.
    pub(crate) fn flush_notices(&mut self) -> Result<()> {
        if self.notices.is_stale() {
            self.follow_targets()?;
        }
        for (kind, data) in std::mem::take(&mut self.notices.new) {
            let targets = self.notices.targets.clone();
            let wanting = targets.iter().filter(|target| target.wants(kind, &data));
            let ids: Vec<i64> = wanting
                .filter_map(|target| self.notices.id(&target.name))
                .collect();
            self.write_notice(kind, &data, &ids)?;
        }
        Ok(())
    }

    /// Stores an event for these targets. Returns its number.
    pub(crate) fn write_notice(
        &mut self,
        kind: NoticeKind,
        data: &NoticeData,
        targets: &[i64],
    ) -> Result<i64> {
        let id = self.notices.last + 1;
        let data = serde_json::to_string(data).map_err(StoreFault::value)?;
        self.write(InsertNotice {
            id,
            nonce: self.notices.random.hash_one(id) as i64,
            at: self.now(),
            kind: kind.as_str(),
            data: &data,
        })?;
        for target in targets.iter().copied() {
            self.write(InsertDue { target, notice: id })?;
        }
        self.notices.last = id;
        self.notices.has_written = true;
        Ok(id)
    }

    /// Adds and removes rows of targets, as the settings say.
    pub(crate) fn follow_targets(&mut self) -> Result<()> {
        let targets = self.notices.targets.clone();
        let mut ids = HashMap::new();
        for row in self.db.notify_targets()? {
            if targets.iter().any(|target| target.name == row.name) {
                ids.insert(row.name, row.id);
                continue;
            }
            tracing::warn!(
                target_name = row.name,
                dropped = row.pending,
                "the settings have this target of notifications no more; events that it had not got are dropped"
            );
            self.write(DeleteTarget { id: row.id })?;
        }
        for target in targets.iter() {
            if !ids.contains_key(&target.name) {
                let name = target.name.as_str();
                self.write(InsertTarget { name })?;
                let id = self.db.number(SelectTargetId { name }.into())?;
                let missing = || StoreFault::value("a new target has no row");
                ids.insert(target.name.clone(), id.ok_or_else(missing)?);
            }
        }
        self.notices.ids = Some(ids);
        Ok(())
    }
}

/// Whether an event may be one for targets.
fn is_notable(event: &EventKind) -> bool {
    match event {
        EventKind::Task {
            status, question, ..
        } => *status == Status::Failed || question.is_some(),
        EventKind::Approval { state, .. } => *state == PermissionState::Open,
        _ => false,
    }
}
