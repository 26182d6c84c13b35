//! The writer: one batch of commands, one commit.

use crate::audit::Principal;
use crate::backend::{self, Backend};
use crate::command::TextId;
use crate::command::large_batch::BatchId;
use crate::command::lease::MAX_SERVED;
use crate::core::{CommandError, Core};
use crate::credentials::Credential;
use crate::open;
use crate::outcome::Outcome;
use crate::recover::{BatchFailure, cannot_open};
use crate::row::TaskRow;
use crate::sql::long_text::SelectLastText;
use crate::sql::sets::{SelectLeased, SelectSessionLeased};
use crate::sqlite::SqliteBackend;
use crate::task_stats::{QueueDepth, TaskStats};
use crate::web_sessions::WebSession;
use crate::{Applied, Command, OpenError, StoreError, StoreOptions};
use kirosu_protocol::{Effect, Error, Fence, Stats, Status};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
pub(crate) mod failed_commit;
#[cfg(test)]
mod fan_in;
#[cfg(test)]
mod plain;
mod seen;
#[cfg(test)]
pub(crate) mod tests;

pub use seen::{LaneDepth, LiveLease};

/// The one writer of a store; driven by one thread. The crate's page explains how it works.
pub struct Store {
    core: Core,
    options: Arc<StoreOptions>,
    /// Whether the database could not be opened again after a failure: each batch tries that first, and is refused
    /// while it fails. The counters are those of the time of the failure.
    outage: bool,
    /// Whether large batches of earlier starts may be left. Their tasks are made before the first command.
    has_stored_batches: bool,
    /// The number of ids of large batches that were given out.
    batches: BatchId,
    /// The last id of a long text that was given out.
    last_text: TextId,
}

type BatchAnswers = Vec<Result<Outcome, Error>>;

impl Store {
    /// Locks the file, brings its schema up to date and reads the counters. The time does not depend on the number of
    /// tasks.
    ///
    /// # Errors
    /// Another process has the file, it is not a store or comes from a newer version, or it cannot be read. With a full
    /// disk the store opens for reading: every change is refused until space is free.
    pub fn open(options: &StoreOptions) -> Result<Store, OpenError> {
        Store::with(Box::new(SqliteBackend::open(options)?), options)
    }

    /// A store on this database.
    pub(crate) fn with(db: Box<dyn Backend>, options: &StoreOptions) -> Result<Store, OpenError> {
        let options = Arc::new(options.clone());
        let outage = db.is_read_only();
        let failed = || open::database(&options.path, CANNOT_LOAD);
        let mut core = Core::load(db, options.clone(), options.now_ms).map_err(failed())?;
        let last_text = core.db.number(SelectLastText {}.into()).map_err(failed())?;
        let mut store = Store {
            core,
            options,
            outage,
            has_stored_batches: true,
            batches: 0,
            last_text: last_text.unwrap_or(0),
        };
        if !outage {
            // A failure is logged. If it was one of the disk, the first batch tries again.
            let _ = store.finish_batches();
        }
        Ok(store)
    }

    /// Carries out the commands in order, as one durable step, and answers each. `now_ms`: Unix milliseconds.
    ///
    /// A refused command (`Err` in its place) has changed nothing and does not affect the others. When the database
    /// fails, the commands are refused with the effect that they may have had.
    pub fn apply(&mut self, now_ms: i64, batch: Vec<Command>) -> Applied {
        self.apply_by(now_ms, batch, &[])
    }

    /// As [`apply`](Store::apply), and records successful changes in the audit trail, within the same commit. `by` has the
    /// principal of each command, in the order of the batch; commands without one leave no entry.
    pub fn apply_by(
        &mut self,
        now_ms: i64,
        batch: Vec<Command>,
        by: &[Option<Arc<Principal>>],
    ) -> Applied {
        self.core.batch.set_now(now_ms);
        if self.outage
            && let Err(error) = self.reload()
        {
            return self.refused(&batch, &cannot_open(&error));
        }
        if let Err(failure) = self.finish_batches() {
            return self.refused(&batch, &failure.answer(Effect::None));
        }
        let applied = match self.attempt(now_ms, &batch, by) {
            Ok(applied) => applied,
            Err(failure) => self.recover(now_ms, &batch, by, failure),
        };
        self.core.db.maintain();
        applied
    }

    /// Unix milliseconds of the next time at which `ExpireDue`, `PromoteDue` or `ExpirePermissions` has something to do
    /// or a further batch must go on with work: exact or too early, never late. `None` means that nothing waits.
    pub fn next_deadline(&self) -> Option<i64> {
        self.core.next_deadline()
    }

    /// Whether an empty batch would change the rows of the targets of notifications, as the settings say.
    pub fn has_new_targets(&self) -> bool {
        self.core.notices.is_stale()
    }

    /// Gives out an id for a large batch, above those of all earlier starts.
    pub fn new_batch(&mut self) -> BatchId {
        self.batches += 1;
        self.core.fence_base + self.batches
    }

    /// Gives out an id for the long texts of a row, above those in the file.
    pub fn new_text(&mut self) -> TextId {
        self.last_text += 1;
        self.last_text
    }

    /// Finishes the large batches of earlier starts, unless that is done.
    ///
    /// # Errors
    /// The disk failed; the next call tries again. After another failure, which is a bug, the batches are left to the next
    /// start.
    fn finish_batches(&mut self) -> Result<(), BatchFailure> {
        if !self.has_stored_batches {
            return Ok(());
        }
        let core = &mut self.core;
        let failure = match catch_unwind(AssertUnwindSafe(|| core.finish_batches())) {
            Ok(Ok(())) => {
                // There are no subscribers yet.
                applied(core, Vec::new());
                self.has_stored_batches = false;
                return Ok(());
            }
            Ok(Err(fault)) => BatchFailure::StoreFault(fault),
            Err(payload) => BatchFailure::from_panic(payload),
        };
        tracing::error!(
            ?failure,
            "the large batches of an earlier start are not finished"
        );
        self.reload_or_wait();
        if failure.is_of_the_disk() {
            return Err(failure);
        }
        self.has_stored_batches = false;
        Ok(())
    }

    /// Tries the whole batch as one transaction.
    fn attempt(
        &mut self,
        now_ms: i64,
        batch: &[Command],
        by: &[Option<Arc<Principal>>],
    ) -> Result<Applied, BatchFailure> {
        let core = &mut self.core;
        // A panic leaves the memory of the core in any state: the caller drops it and loads it again.
        let tried = catch_unwind(AssertUnwindSafe(|| run(core, now_ms, batch, by)));
        match tried {
            Ok(Ok(outcomes)) => Ok(applied(core, outcomes)),
            Ok(Err(fault)) => Err(BatchFailure::StoreFault(fault)),
            Err(payload) => Err(BatchFailure::from_panic(payload)),
        }
    }

    /// Undoes what is not committed, connects again and loads the memory again. Parked requests, pending shifts and
    /// statistics are in memory only and survive. If the database cannot be opened, the next batch tries again.
    fn reload(&mut self) -> Result<(), OpenError> {
        let core = &mut self.core;
        if !self.outage {
            self.outage = true;
            core.parked.roll_back(&core.lanes);
            core.task_stats.undo();
            core.deadlines.shifts().roll_back();
            core.batch.take_events();
        }
        let now_ms = core.now();
        core.db.reopen(now_ms)?;
        core.reload()
            .map_err(open::database(&self.options.path, CANNOT_LOAD))?;
        self.outage = false;
        Ok(())
    }

    /// Reloads after a failure; logs when that must wait. Returns the effect that the undone batch may have had.
    fn reload_or_wait(&mut self) -> Effect {
        let in_doubt = self.core.db.is_commit_in_doubt();
        if let Err(error) = self.reload() {
            tracing::error!(%error, "the store cannot be opened again; refusing every request until it can");
        } else if in_doubt && let Err(error) = self.core.db.void_failed_commit() {
            tracing::error!(%error, "a batch whose commit failed may still be in the write-ahead log");
        } else {
            return Effect::None;
        }
        match in_doubt {
            true => Effect::Unknown,
            false => Effect::None,
        }
    }

    /// Undoes a failed batch. Carries its commands out one by one where that can help.
    fn recover(
        &mut self,
        now_ms: i64,
        batch: &[Command],
        by: &[Option<Arc<Principal>>],
        failure: BatchFailure,
    ) -> Applied {
        tracing::error!(?failure, commands = batch.len(), "a batch was undone");
        let effect = self.reload_or_wait();
        let is_final = failure.is_of_the_disk() || effect == Effect::Unknown;
        if is_final || batch.len() <= 1 || self.outage {
            return self.refused(batch, &failure.answer(effect));
        }
        let mut all = Applied::default();
        for (at, command) in batch.iter().enumerate() {
            let command = std::slice::from_ref(command);
            let by = by.get(at..=at).unwrap_or_default();
            let one = match self.outage {
                true => self.refused(command, &failure.answer(Effect::None)),
                false => self.attempt(now_ms, command, by).unwrap_or_else(|failure| {
                    let effect = self.reload_or_wait();
                    self.refused(command, &failure.answer(effect))
                }),
            };
            all.extend(one);
        }
        all
    }

    /// Refuses every command of a batch but `Unpark`, which needs no database, and `Stats` while the counters are those
    /// of the database.
    fn refused(&mut self, batch: &[Command], error: &Error) -> Applied {
        let are_current = !self.outage || self.core.db.is_read_only();
        let stats = are_current.then(|| self.stats(self.core.now()));
        let parked = &mut self.core.parked;
        let answer = |command: &Command| match (command, &stats) {
            (Command::Stats, Some(stats)) => Ok(Outcome::Stats(stats.clone())),
            (Command::Unpark(park), _) => {
                parked.remove(*park);
                Ok(Outcome::Ok)
            }
            _ => Err(error.clone()),
        };
        Applied {
            outcomes: batch.iter().map(answer).collect(),
            ..Applied::default()
        }
    }

    /// The counters at a time in Unix milliseconds.
    pub fn stats(&self, now_ms: i64) -> Stats {
        self.core.counters.stats(&self.core.lanes, now_ms)
    }

    /// The depth of every pair of queue and type in memory: all with unfinished tasks, and some without.
    pub fn lanes(&self) -> Vec<LaneDepth> {
        let lanes = self.core.lanes.iter();
        lanes
            .map(|lane| LaneDepth {
                queue: lane.queue.to_string(),
                task_type: lane.task_type.to_string(),
                queued: lane.in_state(Status::Queued),
                leased: lane.in_state(Status::Leased),
                paused: lane.paused,
            })
            .collect()
    }

    /// The number of leased tasks, without runs of plans, which the hub itself leases.
    pub fn running(&self) -> i64 {
        let lanes = self.core.lanes.iter().filter(|lane| !lane.is_plan());
        lanes.map(|lane| lane.in_state(Status::Leased)).sum()
    }

    /// Statistics of tasks since the store was opened.
    pub fn task_stats(&self) -> TaskStats {
        self.core.task_stats.clone()
    }

    /// The depth of each queue, by the label under which the queue is counted.
    pub fn depths(&mut self) -> Vec<QueueDepth> {
        self.core.task_stats.depths(&self.core.lanes)
    }

    /// The paused queues by name; a leading `*` means all queues.
    pub fn paused(&self) -> Vec<String> {
        self.core.lanes.paused()
    }

    /// All credentials, by name.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.core.credentials.iter()
    }

    /// All sessions of browsers.
    pub fn web_sessions(&self) -> impl Iterator<Item = &WebSession> {
        self.core.web_sessions.iter()
    }

    /// The live leases of a session; `None` means all live leases.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn live_leases(&mut self, session: Option<&str>) -> Result<Vec<LiveLease>, StoreError> {
        let query = match session {
            Some(session) => SelectSessionLeased { session }.into(),
            None => SelectLeased {}.into(),
        };
        let lease = |row: TaskRow| LiveLease {
            task_id: row.id,
            fence: row.fence,
            worker_id: row.worker.as_deref().map(str::to_owned),
            session: row.session.as_deref().map(str::to_owned),
            key: row.leased_by.as_deref().map(str::to_owned),
            lease_until_ms: row.lease_until.unwrap_or(row.updated_at),
        };
        Ok(self.core.db.tasks(query)?.into_iter().map(lease).collect())
    }

    /// Leases that were granted since this opening have fences above this number; 0 in a new store.
    pub fn fence_base(&self) -> Fence {
        self.core.fence_base
    }

    /// The number of parked lease requests.
    pub fn parked(&self) -> usize {
        self.core.parked.len()
    }

    /// Bytes of the queue and type names in parked lease requests.
    pub fn waiting_names_bytes(&self) -> usize {
        self.core.parked.names_bytes()
    }

    /// The size of the write-ahead log in bytes.
    pub fn wal_bytes(&self) -> u64 {
        self.core.db.log_bytes()
    }

    /// Copies the write-ahead log into the file and truncates it as far as readers allow. For idle moments: the store
    /// does the same by itself when the log has grown beyond its limit.
    ///
    /// # Errors
    /// The disk failed.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        Ok(self.core.db.checkpoint()?)
    }

    /// Returns up to `pages` unused pages of the file to the disk after pruning, and keeps `spare` of them for new tasks.
    /// Returns whether more are left.
    ///
    /// # Errors
    /// The disk failed.
    pub fn shrink(&mut self, pages: u32, spare: u32) -> Result<bool, StoreError> {
        Ok(self.core.db.shrink(pages, spare)?)
    }

    /// Changes the rules for commands from now on.
    pub fn tune(&mut self, options: StoreOptions) {
        let options = Arc::new(StoreOptions {
            retry_default: options.retry_default,
            retry_jitter: options.retry_jitter,
            strict_expiry: options.strict_expiry,
            children: options.children,
            notify: options.notify,
            ..(*self.options).clone()
        });
        if self.core.options.notify != options.notify {
            self.core.notices.set_targets(options.notify.clone());
        }
        self.core.options = options.clone();
        self.options = options;
    }

    /// Checkpoints, closes and unlocks the file. Dropping a store does the same without reporting errors.
    ///
    /// # Errors
    /// The checkpoint failed.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.checkpoint()
    }
}

const CANNOT_LOAD: &str = "its counters cannot be read";

/// Carries a batch out and commits it.
fn run(
    core: &mut Core,
    now_ms: i64,
    batch: &[Command],
    by: &[Option<Arc<Principal>>],
) -> backend::Result<BatchAnswers> {
    core.batch.set_now(now_ms);
    core.works.begin();
    core.parked.begin(MAX_SERVED);
    let began = Instant::now();
    core.prefetch(batch)?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for (at, command) in batch.iter().enumerate() {
        core.by = by.get(at).cloned().flatten();
        outcomes.push(match core.execute(command) {
            Ok(outcome) => Ok(outcome),
            Err(CommandError::Refused(error)) => Err(error),
            Err(CommandError::StoreFault(fault)) => return Err(fault),
        });
    }
    core.by = None;
    core.write_audit(batch, &outcomes, by)?;
    // After the commands: what they began goes on within the same commit as far as its length allows, and waiters get
    // the tasks that became ready.
    core.shift_on()?;
    core.work_on()?;
    core.settle_plans()?;
    core.delete_pieces_of_unused_texts()?;
    if core.parked.has_news() {
        core.wake()?;
    }
    core.commit()?;
    core.works.committed(began.elapsed());
    Ok(outcomes)
}

/// The answers and events of a committed batch.
fn applied(core: &mut Core, outcomes: BatchAnswers) -> Applied {
    core.deadlines.shifts().commit();
    core.task_stats.settle(&core.lanes);
    let woken = core.parked.commit();
    core.leave_idle_lanes();
    Applied {
        outcomes,
        woken,
        finished: core.works.take_finished(),
        ended: std::mem::take(&mut core.works.leases),
        plans: core.plans.take_news(),
        noticed: core.notices.take_news(),
        changes: core.batch.take_events(),
    }
}
