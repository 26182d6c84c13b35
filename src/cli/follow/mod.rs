//! Waits for a run of a plan and shows its progress on standard error: on a terminal a live tree of its steps, else a line
//! per change.

pub(super) mod changes;
pub(super) mod pages;
pub(super) mod report;

use super::show::{progress_room, run as drawing};
use super::wait::WaitDeadline;
use super::{Failure, HubClient, Screen, StreamItem, WatchStream, spinner, time};
use changes::StepChanges;
use kirosu_protocol::{EventKind, RunAnswer, RunParams, TaskId, WatchParams};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The least time between two requests for the run. Each follows an event of the run.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest time between two requests for the run, should an event be lost.
const RECHECK: Duration = Duration::from_secs(10);
/// The time after which a run that has not changed is shown again, with the times of its steps.
const REDRAW: Duration = Duration::from_secs(1);
/// The lines of a terminal that a live tree leaves free: those of its head and the cursor.
const FREE_LINES: usize = 3;

/// Waits until the run has ended, or until the deadline: then the answer's state is not final. If the wait ends otherwise, by
/// Ctrl-C or a lost connection, a note says that the run goes on.
///
/// # Errors
/// There is no such run, or the hub does not come back after a broken connection.
pub async fn follow(
    task_id: TaskId,
    deadline: WaitDeadline,
    hub: &HubClient,
    screen: &Screen,
) -> Result<RunAnswer, Failure> {
    // It is dropped after the progress indicator, which would clear the note.
    let note = GoesOnNote {
        task_id,
        screen: *screen,
        is_needed: Cell::new(false),
    };
    let mut shown = ShownProgress::new(screen);
    let run = each_change(task_id, deadline, hub, |run| {
        note.is_needed.set(!run.state.is_final());
        shown.update(run);
        Ok(())
    })
    .await?;
    note.is_needed.set(false);
    Ok(run)
}

/// As [`follow`], with the run passed to `show` after each change, and now and then in between, instead of shown, and without
/// the note.
///
/// # Errors
/// As [`follow`], and those of `show`.
pub async fn each_change(
    task_id: TaskId,
    deadline: WaitDeadline,
    hub: &HubClient,
    mut show: impl FnMut(&RunAnswer) -> Result<(), Failure>,
) -> Result<RunAnswer, Failure> {
    let changes = RunChanges::watch(task_id, hub).await?;
    loop {
        let asked = Instant::now();
        let run = hub.request_idempotent(&RunParams::of(task_id)).await?;
        show(&run)?;
        if run.state.is_final() || deadline.left().is_zero() {
            return Ok(run);
        }
        // Changes of this time are read together, unless the run ends.
        let pause = tokio::time::sleep(deadline.left().min(PAUSE));
        tokio::select! {
            () = pause => {}
            () = changes.ended.notified() => {}
        }
        while asked.elapsed() < RECHECK && !deadline.left().is_zero() {
            if changes.within(deadline.left().min(REDRAW)).await {
                break;
            }
            show(&run)?;
        }
    }
}

/// The changes of a run, from the hub's events.
struct RunChanges {
    changed: Arc<Notify>,
    ended: Arc<Notify>,
    watching: JoinHandle<()>,
}

impl RunChanges {
    /// Subscribes to the events of a run. A run that is read afterwards has all earlier changes.
    async fn watch(task_id: TaskId, hub: &HubClient) -> Result<RunChanges, Failure> {
        let params = WatchParams {
            task_id: Some(task_id),
            kinds: ["task", "run", "step"].map(str::to_owned).to_vec(),
            ..WatchParams::default()
        };
        let mut events = WatchStream::start(hub, params).await?;
        let (changed, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (notify, notify_end) = (changed.clone(), ended.clone());
        // A task of its own: the stream reconnects, which must not be broken off.
        let watching = tokio::spawn(async move {
            // After its end, which a request reports, the run is read every now and then.
            while let Ok(item) = events.next().await {
                if let StreamItem::Event(event) = item
                    && is_end(&event.what)
                {
                    notify_end.notify_one();
                }
                notify.notify_one();
            }
        });
        Ok(RunChanges {
            changed,
            ended,
            watching,
        })
    }

    /// Waits for a change since the last call, at most this long. Returns whether there was one.
    async fn within(&self, longest: Duration) -> bool {
        let changed = tokio::time::timeout(longest, self.changed.notified());
        changed.await.is_ok()
    }
}

/// Whether an event of a run ends it.
fn is_end(what: &EventKind) -> bool {
    match what {
        EventKind::Task { status, .. } => status.is_final(),
        EventKind::Run { state, .. } => state.is_final(),
        _ => false,
    }
}

impl Drop for RunChanges {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Prints on standard error that the run goes on, when it is dropped while it is needed: then this command was interrupted.
struct GoesOnNote {
    task_id: TaskId,
    screen: Screen,
    is_needed: Cell<bool>,
}

impl Drop for GoesOnNote {
    fn drop(&mut self) {
        if self.is_needed.get() {
            let id = self.task_id;
            // There is no way to report that standard error is closed.
            let _ = self.screen.note(&format!(
                "run {id} goes on; follow it with `kirosu run wait {id}`, end it with `kirosu run cancel {id}`"
            ));
        }
    }
}

/// The progress of a run on standard error.
struct ShownProgress {
    screen: Screen,
    live: spinner::Indicator,
    changes: StepChanges,
}

impl ShownProgress {
    fn new(screen: &Screen) -> ShownProgress {
        ShownProgress {
            screen: *screen,
            live: spinner::live(screen),
            changes: StepChanges::default(),
        }
    }

    fn update(&mut self, run: &RunAnswer) {
        if self.screen.lively {
            let (columns, lines) = progress_room();
            let most = lines.saturating_sub(FREE_LINES).max(1);
            let tree = drawing::draw(run, columns, Some(most), self.screen.colour, time::now());
            self.live.set_prefix(drawing::headline(run));
            self.live.set_message(tree.trim_end().to_owned());
        } else {
            for line in self.changes.of(run, Instant::now()) {
                // The command goes on if standard error is closed.
                let _ = self.screen.note(&line);
            }
        }
    }
}

impl Drop for ShownProgress {
    fn drop(&mut self) {
        self.live.finish_and_clear();
    }
}
