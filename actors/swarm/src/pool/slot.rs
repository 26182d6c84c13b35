//! A session's slot to take a task, within the pool's [`Allowance`]; and the events of runs that change the
//! allowance.

use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::TaskId;
use parking_lot::MutexGuard;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Pool;
use super::allowance::{Allowance, AllowanceChange, StartProblem};
use crate::headline::headline;
use crate::sleep_until::sleep_until_some;

/// Delay before a task that its pool could not start can be leased again.
pub(crate) const NOT_STARTED_DELAY: Duration = Duration::from_secs(1);

/// Held by a session from its lease request to the end of the run.
pub(crate) struct TaskSlot {
    pool: Arc<Pool>,
    is_running: bool,
}

impl TaskSlot {
    /// Marks that the session got a task.
    ///
    /// # Errors
    /// The pool may start no more runs since; the text is the reason.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let mut allowance = self.pool.allowance();
        self.is_running = self.is_running || allowance.run();
        match self.is_running {
            true => Ok(()),
            false => {
                let problem = allowance.problem(Instant::now());
                Err(problem.map(|(_, note)| note).unwrap_or_default())
            }
        }
    }
}

impl Drop for TaskSlot {
    fn drop(&mut self) {
        self.pool.allowance().release(self.is_running);
        self.pool.signal_room();
    }
}

impl Pool {
    fn allowance(&self) -> MutexGuard<'_, Allowance> {
        self.allowance.lock()
    }

    /// Takes a slot for one more session. `None` means that there is no capacity; try again when [`Pool::watch_room`]
    /// fires.
    pub(crate) fn slot(self: &Arc<Self>) -> Option<TaskSlot> {
        self.allowance().enter().then(|| TaskSlot {
            pool: self.clone(),
            is_running: false,
        })
    }

    /// Notifies when there may be capacity for sessions without a slot.
    pub(crate) fn watch_room(&self) -> watch::Receiver<()> {
        self.room.subscribe()
    }

    /// Records that a run was not started for lack of a resource.
    pub(crate) fn not_started(&self, why: &str) {
        let note = headline(why);
        let change = self.allowance().not_started(&note, Instant::now());
        self.allowance_changed(change, StartProblem::Short);
    }

    /// Records that the program of a run works.
    pub(crate) fn started(&self) {
        let change = self.allowance().started(self.size());
        self.allowance_changed(change, StartProblem::Short);
    }

    /// Records that the run of this task failed at once, with nothing done. Returns true if the breaker was open
    /// already: the run began before that, and the task is to be released.
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

    /// Records that a run worked.
    pub(crate) fn run_worked(&self) {
        let change = self.allowance().run_worked();
        self.allowance_changed(change, StartProblem::Failing);
    }

    /// Lets the next task find out at once whether runs can be started again.
    pub(crate) fn retry(&self) {
        self.allowance().retry(Instant::now());
        self.room.send_replace(());
    }

    /// Why the pool takes fewer tasks than it has sessions; `None` if it does not.
    pub(super) fn problem(&self) -> Option<(StartProblem, String)> {
        self.allowance().problem(Instant::now())
    }

    /// Ends pauses when they are over. Never returns.
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

    fn allowance_changed(&self, change: Option<AllowanceChange>, problem: StartProblem) {
        let pool = self.name.as_str();
        match change {
            Some(AllowanceChange::Began) => {
                let note = self.problem().map(|(_, note)| note).unwrap_or_default();
                tracing::warn!(
                    pool,
                    state = problem.as_str(),
                    "takes fewer tasks, or none: {note}"
                );
            }
            Some(AllowanceChange::Over) => {
                tracing::info!(pool, "takes tasks with all its sessions again")
            }
            None => {}
        }
        // The pause or the limit may have changed without a change to log.
        match change {
            Some(AllowanceChange::Over) => {
                self.room.send_replace(());
            }
            _ => self.signal_room(),
        }
    }

    /// With a limit, sessions may wait for capacity below it.
    fn signal_room(&self) {
        if self.allowance().is_limited() {
            self.room.send_replace(());
        }
    }
}
