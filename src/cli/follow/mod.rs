//! Waits for a run of a plan and shows its progress on standard error: on a terminal a live tree of its steps, else a line
//! per change.

mod changes;
pub(super) mod pages;
pub(super) mod report;

use super::show::{progress_room, run as drawing};
use super::wait::WaitDeadline;
use super::{Failure, HubClient, Screen, spinner, time};
use changes::StepChanges;
use kirosu_protocol::{RunAnswer, RunParams, TaskId, WaitParams, WaitTarget, millis};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The least time between two requests for the run.
const PAUSE: Duration = Duration::from_millis(500);
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

/// As [`follow`], with the run passed to `show` at least after each change instead of shown, and without the note.
///
/// # Errors
/// As [`follow`], and those of `show`.
pub async fn each_change(
    task_id: TaskId,
    deadline: WaitDeadline,
    hub: &HubClient,
    mut show: impl FnMut(&RunAnswer) -> Result<(), Failure>,
) -> Result<RunAnswer, Failure> {
    let mut had_ended = false;
    loop {
        let asked = Instant::now();
        let run = hub.request_idempotent(&RunParams::of(task_id)).await?;
        show(&run)?;
        if run.state.is_final() || deadline.left().is_zero() {
            return Ok(run);
        }
        let params = WaitParams {
            target: WaitTarget::Tasks(vec![task_id]),
            timeout_ms: millis(deadline.left().min(PAUSE)),
        };
        let has_ended = hub.request_idempotent(&params).await?.finished;
        // The state of the run may follow the end of its task: no request after the other until then.
        if !std::mem::replace(&mut had_ended, has_ended) && has_ended {
            continue;
        }
        tokio::time::sleep(PAUSE.saturating_sub(asked.elapsed())).await;
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
