//! Leave of a session to take a task, as the pool's [`Allowance`] gives it; and what runs report to it.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use kirosu_protocol::TaskId;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Pool;
use super::allowance::{Allowance, AllowanceChange, StartProblem};
use crate::headline::headline;
use crate::sleep_until::sleep_until_some;

/// Delay before a task that its pool could not start can be leased again.
pub(crate) const NOT_STARTED_DELAY: Duration = Duration::from_secs(1);

/// Held by a session from its question for a task to the end of the run.
pub(crate) struct TaskSlot {
    pool: Arc<Pool>,
    is_running: bool,
}

impl TaskSlot {
    /// The session got a task.
    ///
    /// # Errors
    /// Where nothing more may be started since: why.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let mut allowance = self.pool.allowance();
        self.is_running = self.is_running || allowance.run();
        match self.is_running {
            true => Ok(()),
            false => {
                let standing = allowance.standing(Instant::now());
                Err(standing.map(|(_, note)| note).unwrap_or_default())
            }
        }
    }
}

impl Drop for TaskSlot {
    fn drop(&mut self) {
        self.pool.allowance().release(self.is_running);
        self.pool.tell_room();
    }
}

impl Pool {
    fn allowance(&self) -> MutexGuard<'_, Allowance> {
        let allowance = self.allowance.lock();
        allowance.unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave for one more session; `None`: it is tried again when [`Pool::watch_room`] says so.
    pub(crate) fn slot(self: &Arc<Self>) -> Option<TaskSlot> {
        self.allowance().enter().then(|| TaskSlot {
            pool: self.clone(),
            is_running: false,
        })
    }

    /// Tells when there may be room for sessions that got no leave.
    pub(crate) fn watch_room(&self) -> watch::Receiver<()> {
        self.room.subscribe()
    }

    /// A run was not started, for want of something on this machine.
    pub(crate) fn not_started(&self, why: &str) {
        let note = headline(why);
        let change = self.allowance().not_started(&note, Instant::now());
        self.allowance_changed(change, StartProblem::Short);
    }

    /// The program of a run works.
    pub(crate) fn started(&self) {
        let change = self.allowance().started(self.size());
        self.allowance_changed(change, StartProblem::Short);
    }

    /// The run of this task failed at once, with nothing done. True where the breaker is open already: the run began
    /// before that, and the task is to be given back.
    pub(crate) fn failed_at_once(&self, task: TaskId, why: &str) -> bool {
        let breaker = self.options().breaker;
        let note = format!(
            "the last runs of the provider's program failed at once, the newest with: {}",
            headline(why)
        );
        let now = Instant::now();
        let was_open = self.allowance().is_open();
        let change = self.allowance().failed_at_once(task, breaker, &note, now);
        self.allowance_changed(change, StartProblem::Failing);
        was_open
    }

    /// A run went.
    pub(crate) fn went(&self) {
        let change = self.allowance().went();
        self.allowance_changed(change, StartProblem::Failing);
    }

    /// Lets the next task find out at once whether runs can be started again.
    pub(crate) fn retry(&self) {
        self.allowance().retry(Instant::now());
        self.room.send_replace(());
    }

    /// Why it takes fewer tasks than it has sessions, if so.
    pub(super) fn trouble(&self) -> Option<(StartProblem, String)> {
        self.allowance().standing(Instant::now())
    }

    /// Keeps the time of pauses, for ever.
    pub(super) async fn keep_allowance(self: Arc<Self>) {
        let mut room = self.watch_room();
        loop {
            let next = self.allowance().next();
            tokio::select! {
                changed = room.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until_some(next) => {
                    let change = self.allowance().tick(Instant::now());
                    self.allowance_changed(change, StartProblem::Short);
                }
            }
        }
    }

    fn allowance_changed(&self, change: Option<AllowanceChange>, trouble: StartProblem) {
        let pool = self.name.as_str();
        match change {
            Some(AllowanceChange::Began) => {
                let note = self.trouble().map(|(_, note)| note).unwrap_or_default();
                tracing::warn!(
                    pool,
                    state = trouble.as_str(),
                    "takes fewer tasks, or none: {note}"
                );
            }
            Some(AllowanceChange::Over) => {
                tracing::info!(pool, "takes tasks with all its sessions again")
            }
            None => {}
        }
        // Also without a change: the pause or the limit may be another.
        match change {
            Some(AllowanceChange::Over) => {
                self.room.send_replace(());
            }
            _ => self.tell_room(),
        }
    }

    /// Where there is a limit, sessions may wait for room below it.
    fn tell_room(&self) {
        if self.allowance().is_limited() {
            self.room.send_replace(());
        }
    }
}
