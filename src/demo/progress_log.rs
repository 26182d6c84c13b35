//! Prints the events of the demo line by line while they happen.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kirosu_protocol::{EventKind, Status, TaskId};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Prints on standard output, or with `--json` on standard error; with a progress bar on a terminal.
pub struct ProgressLog {
    bar: ProgressBar,
    quiet: bool,
    began: Instant,
    /// The system's error number of a line that could not be written; `None` if all were.
    output_failed: watch::Sender<Option<i32>>,
}

/// The number of the session in a worker's name: `demo-3@host` is session 3.
pub fn session_of(worker: &str) -> Option<u32> {
    worker.split('@').next()?.rsplit('-').next()?.parse().ok()
}

impl ProgressLog {
    /// A log that starts now.
    pub fn new(json: bool) -> ProgressLog {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30.cyan} {pos}/{len} tasks  {elapsed}")
        {
            bar.set_style(style);
        }
        ProgressLog {
            bar,
            quiet: json,
            began: Instant::now(),
            output_failed: watch::Sender::new(None),
        }
    }

    /// Prints one line with the seconds since the start.
    pub fn print(&self, line: &str) {
        let line = format!("{:6.2}s  {line}", self.began.elapsed().as_secs_f64());
        self.bar.suspend(|| {
            let line = format!("{line}\n");
            if self.quiet {
                // Standard output is for the report; a lost line does not matter.
                let _ = io::stderr().lock().write_all(line.as_bytes());
            } else if let Err(error) = io::stdout().lock().write_all(line.as_bytes()) {
                self.output_failed
                    .send_replace(Some(error.raw_os_error().unwrap_or_default()));
            }
        });
    }

    /// Waits until standard output cannot be written, and returns the error.
    pub async fn output_failed(&self) -> io::Error {
        let mut output_failed = self.output_failed.subscribe();
        let error = output_failed.wait_for(Option::is_some).await;
        let code = error.ok().and_then(|code| *code);
        io::Error::from_raw_os_error(code.unwrap_or_default())
    }

    /// Prints the number of the run and its tasks: one per batch of files, and one that merges their results.
    pub fn started(&self, run: TaskId, files: usize, maps: usize) {
        self.print(&format!(
            "run {run}: a map of {files} files in {maps} tasks, and a reduce of their results"
        ));
        self.bar.set_length(maps as u64 + 1);
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Prints that a session is crashed on purpose.
    pub fn crash(&self, session: u32, task: TaskId) {
        self.print(&format!(
            "CRASH    session {session} is ended on purpose, in the middle of task {task}"
        ));
    }

    /// Prints an event if it belongs to a task or a session.
    pub fn event(&self, what: &EventKind) {
        match what {
            EventKind::Task {
                task_id,
                status,
                fence,
                worker_id,
                reason,
                ..
            } => self.task(*task_id, *status, *fence, worker_id.as_deref(), reason),
            EventKind::Actor {
                path,
                state,
                reason,
            } if path.contains("/sessions/") || path.contains("/session") => {
                self.actor(path, state, reason);
            }
            _ => {}
        }
    }

    fn task(&self, task: TaskId, status: Status, fence: i64, worker: Option<&str>, reason: &str) {
        let session = worker
            .and_then(session_of)
            .map_or_else(String::new, |session| format!("session {session}"));
        match status {
            Status::Leased if fence > 1 => self.print(&format!(
                "task {task:<4}{session} takes it: attempt {fence}"
            )),
            Status::Leased => self.print(&format!("task {task:<4}{session} takes it")),
            Status::Done => {
                self.bar.inc(1);
                self.print(&format!("task {task:<4}done by {session}"));
            }
            Status::Queued if reason == "lost" => self.print(&format!(
                "task {task:<4}lost its {session}; it is queued again"
            )),
            Status::Failed => self.print(&format!("task {task:<4}failed")),
            _ => {}
        }
    }

    fn actor(&self, path: &str, state: &str, reason: &str) {
        match state {
            "restarting" => self.print(&format!("RESTART  {path} {reason}")),
            "restarted" => self.print(&format!("RESTART  {path} is back")),
            "gave_up" => self.print(&format!("{path} {reason}")),
            _ => {}
        }
    }

    /// Removes the progress bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
