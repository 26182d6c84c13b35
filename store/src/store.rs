//! The writer: one batch of commands, one commit.

use crate::checkpoint::Checkpointer;
use crate::command::lease::WOKEN;
use crate::core::{Core, Stop};
use crate::foreign;
use crate::generation::{self, Found};
use crate::lock::{self, Lock};
use crate::open;
use crate::outcome::Outcome;
use crate::recover::{Failure, cannot_open, parked_before};
use crate::row::TaskRow;
use crate::sql;
use crate::sql::sets::{SelectLeased, SelectSessionLeased};
use crate::task_stats::{QueueDepth, TaskStats};
use crate::wal;
use crate::{Applied, Command, Engine, OpenError, StoreError, StoreOptions};
use diesel::connection::SimpleConnection;
use kirosu_protocol::{Effect, Error, Fence, RetryPolicy, Stats, Status};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod failed_commit;
#[cfg(test)]
mod fan_in;
#[cfg(test)]
mod plain;
mod seen;
#[cfg(test)]
pub(crate) mod tests;

pub use seen::{LaneDepth, LiveLease};

/// The file's one writer: see the crate's page for how it works.
pub struct Store {
    // Before the core: its thread ends before the connection closes.
    checkpointer: Checkpointer,
    core: Core,
    options: Arc<StoreOptions>,
    /// Batches applied.
    batches: u32,
    /// Whether the file could not be opened again after a failure: each batch tries first of all, and is refused as long
    /// as it cannot. Counters then are those of the failure.
    outage: bool,
    /// What was found at the start, where the disk took nothing then: the store is not opened to be written yet.
    unopened: Option<Found>,
    // After the core: the connection closes before the lock is gone.
    _lock: Lock,
}

/// The write-ahead log's size is looked at after so many batches.
const WAL_CHECK: u32 = 64;

type Answers = Vec<Result<Outcome, Error>>;

impl Store {
    /// Locks the file, brings its schema up to date and reads the counters. Time does not depend on the number of tasks.
    pub fn open(options: &StoreOptions) -> Result<Store, OpenError> {
        let options = Arc::new(StoreOptions {
            path: foreign::real_path(&options.path),
            ..options.clone()
        });
        foreign::check(&options.path)?;
        open::make_directory(&options.path)?;
        let lock = lock::take(&options.path)?;
        let found = generation::look(&options.path)?;
        open::make_file(&options.path)?;
        let mut unopened = None;
        let (conn, generation) = match open::writer(&options, &found) {
            Err(error) if error.is_of_a_full_disk() => {
                let opened = open::without_writing(&options, &found);
                let Ok(opened) = opened else {
                    return Err(error);
                };
                tracing::error!(%error, "the disk of the store takes nothing; what is there can be read, and every change is refused until there is room");
                unopened = Some(found);
                opened
            }
            opened => opened?,
        };
        let core = Core::load(conn, options.clone(), generation)
            .map_err(open::database(&options.path, "its counters cannot be read"))?;
        Ok(Store {
            checkpointer: Checkpointer::start(&options.path),
            core,
            options,
            batches: 0,
            outage: unopened.is_some(),
            unopened,
            _lock: lock,
        })
    }

    /// Tries the whole batch as one transaction.
    fn attempt(&mut self, now_ms: i64, batch: &[Command]) -> Result<Applied, Failure> {
        let core = &mut self.core;
        let tried = catch_unwind(AssertUnwindSafe(|| run(core, now_ms, batch)));
        match tried {
            Ok(Ok(outcomes)) => Ok(applied(core, outcomes)),
            Ok(Err(fault)) => Err(Failure::Fault(fault)),
            Err(payload) => Err(Failure::from_panic(payload)),
        }
    }

    /// Undoes what is not committed, opens a new connection and reads everything anew. Where that fails (the disk takes
    /// nothing at all), what waits is kept, and the next batch tries again.
    fn reload(&mut self) -> Result<(), OpenError> {
        if !self.outage {
            self.outage = true;
            let core = &mut self.core;
            core.parked = parked_before(core);
            core.task_stats.undo();
            core.shifts.undo();
            if core.in_tx {
                // The failure may have ended the transaction.
                let _ = sql::run(&mut core.conn, sql::tx::Rollback {});
                core.in_tx = false;
            }
            core.changes.clear();
        }
        let (conn, generation) = match &self.unopened {
            Some(found) => {
                let now_ms = self.core.now;
                let options = StoreOptions {
                    now_ms,
                    ..(*self.options).clone()
                };
                open::writer(&options, found)?
            }
            None => (
                open::writer_again(&self.options)?,
                self.core.generation.clone(),
            ),
        };
        self.unopened = None;
        let mut core = Core::load(conn, self.options.clone(), generation).map_err(
            open::database(&self.options.path, "its counters cannot be read"),
        )?;
        core.parked = std::mem::take(&mut self.core.parked);
        core.parked.forget_lanes();
        core.shifts = std::mem::take(&mut self.core.shifts);
        core.task_stats = std::mem::take(&mut self.core.task_stats);
        self.core = core;
        self.outage = false;
        Ok(())
    }

    /// Reloads, and says in the log when that has to wait; what the undone batch has had for an effect.
    fn reload_or_wait(&mut self) -> Effect {
        let doubtful = self.core.committing;
        if let Err(error) = self.reload() {
            tracing::error!(%error, "the file cannot be opened again; refusing until it can");
        } else if doubtful && let Err(error) = self.core.void() {
            tracing::error!(%error, "a batch whose commit failed may still stand in the log");
        } else {
            return Effect::None;
        }
        match doubtful {
            true => Effect::Unknown,
            false => Effect::None,
        }
    }

    /// Undoes a failed batch; carries its commands out one by one where that can help.
    fn recover(&mut self, now_ms: i64, batch: &[Command], failure: Failure) -> Applied {
        tracing::error!(?failure, commands = batch.len(), "a batch was undone");
        let effect = self.reload_or_wait();
        let final_word = failure.is_of_the_disk() || effect == Effect::Unknown;
        if final_word || batch.len() <= 1 || self.outage {
            return self.refused(batch, &failure.answer(effect));
        }
        let mut all = Applied::default();
        for command in batch {
            let command = std::slice::from_ref(command);
            let one = match self.outage {
                true => self.refused(command, &failure.answer(Effect::None)),
                false => self.attempt(now_ms, command).unwrap_or_else(|failure| {
                    let effect = self.reload_or_wait();
                    self.refused(command, &failure.answer(effect))
                }),
            };
            all.outcomes.extend(one.outcomes);
            all.woken.extend(one.woken);
            all.finished.extend(one.finished);
            all.changes.extend(one.changes);
        }
        all
    }

    /// Nothing of a batch is done, but that who waits no longer is forgotten. The counters are told as long as they are
    /// those of the file.
    fn refused(&mut self, batch: &[Command], error: &Error) -> Applied {
        let stats = (!self.outage || self.unopened.is_some()).then(|| self.stats(self.core.now));
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

    /// The counters at a time.
    pub fn stats(&self, now_ms: i64) -> Stats {
        self.core.counters.stats(&self.core.lanes, now_ms)
    }

    /// Every pair of queue and type that is in memory, with its depth: all with unfinished tasks are.
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

    /// What was measured of the life of tasks since the store was opened.
    pub fn task_stats(&self) -> TaskStats {
        self.core.task_stats.clone()
    }

    /// How full each queue is, by the name under which it is counted.
    pub fn depths(&mut self) -> Vec<QueueDepth> {
        self.core.task_stats.depths(&self.core.lanes)
    }

    /// The paused queues, by name; `*` first stands for all.
    pub fn paused(&self) -> Vec<String> {
        self.core.lanes.paused()
    }

    /// The leases of a session, or all when none is named.
    pub fn live_leases(&mut self, session: Option<&str>) -> Result<Vec<LiveLease>, StoreError> {
        let conn = &mut self.core.conn;
        let rows: Vec<TaskRow> = match session {
            Some(session) => sql::all(conn, SelectSessionLeased { session })?,
            None => sql::all(conn, SelectLeased {})?,
        };
        let lease = |row: TaskRow| LiveLease {
            task_id: row.id,
            fence: row.fence,
            worker_id: row.worker.as_deref().map(str::to_owned),
            session: row.session.as_deref().map(str::to_owned),
            lease_until_ms: row.lease_until.unwrap_or(row.updated_at),
        };
        Ok(rows.into_iter().map(lease).collect())
    }

    /// Fences of leases that were granted since this opening are above this number; 0 in a new store.
    pub fn fence_base(&self) -> Fence {
        self.core.generation.fence_base
    }

    /// How many lease requests are parked.
    pub fn parked(&self) -> usize {
        self.core.parked.len()
    }

    /// Bytes of the names that parked lease requests wait for.
    pub fn waiting_names_bytes(&self) -> usize {
        self.core.parked.names_bytes()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// The write-ahead log's present size in bytes.
    pub fn wal_bytes(&self) -> u64 {
        wal::bytes(&self.options.path)
    }

    /// Moves the write-ahead log into the file and cuts it back as far as readers allow. For idle moments;
    /// the store also does it by itself when the log has grown beyond its limit.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        // SQLite refuses a second checkpoint at once, whatever time it has to wait.
        let _rest = self.checkpointer.rest();
        self.core
            .conn
            .batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(())
    }

    /// Gives up to `pages` free pages of the file back to the disk, after pruning, and leaves `spare` for new tasks.
    /// Answers whether there are more to give.
    pub fn shrink(&mut self, pages: u32, spare: u32) -> Result<bool, StoreError> {
        let conn = &mut self.core.conn;
        let free: Option<i64> = sql::first(conn, sql::tx::FreePages {})?;
        let surplus = free.unwrap_or(0) - i64::from(spare);
        if surplus <= 0 {
            return Ok(false);
        }
        let pages = surplus.min(i64::from(pages));
        conn.batch_execute(&format!("PRAGMA incremental_vacuum({pages})"))?;
        Ok(surplus > pages)
    }

    /// Puts other rules in force, for commands from now on.
    pub fn tune(&mut self, retry_default: RetryPolicy, retry_jitter: f64, strict_expiry: bool) {
        let options = Arc::new(StoreOptions {
            retry_default,
            retry_jitter,
            strict_expiry,
            ..(*self.options).clone()
        });
        self.core.options = options.clone();
        self.options = options;
    }

    /// Checkpoints, closes and unlocks the file. Dropping a store does the same but tells of no error.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.checkpoint()
    }

    /// Keeps the write-ahead log from growing without bound: SQLite only starts it anew when a checkpoint has copied
    /// all of it and no reader needs it, which under a constant load may never be by chance.
    fn bound_wal(&mut self) {
        self.batches = self.batches.wrapping_add(1);
        if !self.batches.is_multiple_of(WAL_CHECK)
            || self.wal_bytes() <= self.options.wal_limit_bytes
            || self.checkpointer.is_at_work()
        {
            return;
        }
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "the write-ahead log could not be cut back; trying again after the next batch");
        }
    }
}

/// Carries a batch out and commits it.
fn run(core: &mut Core, now_ms: i64, batch: &[Command]) -> diesel::QueryResult<Answers> {
    core.now = now_ms;
    core.works.begin();
    core.wake_left = WOKEN;
    let began = Instant::now();
    let mut outcomes = Vec::with_capacity(batch.len());
    for command in batch {
        outcomes.push(match core.execute(command) {
            Ok(outcome) => Ok(outcome),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::Fault(fault)) => return Err(fault),
        });
    }
    core.shift_on()?;
    core.work_on()?;
    if core.has_ready_news {
        core.wake()?;
    }
    core.commit()?;
    core.works.committed(began.elapsed());
    Ok(outcomes)
}

/// What became of a committed batch.
fn applied(core: &mut Core, outcomes: Answers) -> Applied {
    core.parked_now.clear();
    core.shifts.settle();
    core.task_stats.settle(&core.lanes);
    core.leave_idle_lanes();
    Applied {
        outcomes,
        woken: core
            .woken
            .drain(..)
            .map(|(waiter, tasks)| (waiter.park, tasks))
            .collect(),
        finished: std::mem::take(&mut core.works.finished),
        changes: std::mem::take(&mut core.changes),
    }
}

impl Engine for Store {
    fn apply(&mut self, now_ms: i64, batch: Vec<Command>) -> Result<Applied, StoreError> {
        self.core.now = now_ms;
        if self.outage
            && let Err(error) = self.reload()
        {
            return Ok(self.refused(&batch, &cannot_open(&error)));
        }
        let applied = match self.attempt(now_ms, &batch) {
            Ok(applied) => applied,
            Err(failure) => self.recover(now_ms, &batch, failure),
        };
        self.checkpointer
            .committed(&mut self.core.conn, batch.len());
        self.bound_wal();
        Ok(applied)
    }

    fn next_deadline(&self) -> Option<i64> {
        self.core.next_deadline()
    }
}
