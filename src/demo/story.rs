//! What happens, told line by line while it happens.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kirosu_protocol::{EventKind, Status, TaskId};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Tells the story on standard output, or with JSON on standard error, with a progress bar on a terminal.
pub struct Story {
    bar: ProgressBar,
    quiet: bool,
    began: Instant,
    /// The system's error of a line that could not be written.
    broken: watch::Sender<Option<i32>>,
}

/// The number of the session behind a worker's name: `demo-3@host` is session 3.
pub fn session_of(worker: &str) -> Option<u32> {
    worker.split('@').next()?.rsplit('-').next()?.parse().ok()
}

impl Story {
    /// A story that has just begun.
    pub fn new(json: bool) -> Story {
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
        Story {
            bar,
            quiet: json,
            began: Instant::now(),
            broken: watch::Sender::new(None),
        }
    }

    /// One line, with the seconds since the beginning.
    pub fn say(&self, line: &str) {
        let line = format!("{:6.2}s  {line}", self.began.elapsed().as_secs_f64());
        self.bar.suspend(|| {
            let line = format!("{line}\n");
            if self.quiet {
                // The report alone goes to standard output; the story may be lost.
                let _ = io::stderr().lock().write_all(line.as_bytes());
            } else if let Err(error) = io::stdout().lock().write_all(line.as_bytes()) {
                self.broken
                    .send_replace(Some(error.raw_os_error().unwrap_or_default()));
            }
        });
    }

    /// Resolves when standard output takes no more lines, with the reason.
    pub async fn broken(&self) -> io::Error {
        let mut broken = self.broken.subscribe();
        let error = broken.wait_for(Option::is_some).await;
        let code = error.ok().and_then(|code| *code);
        io::Error::from_raw_os_error(code.unwrap_or_default())
    }

    /// The work is in the queue.
    pub fn enqueued(&self, maps: &[TaskId], reduce: TaskId) {
        if let (Some(first), Some(last)) = (maps.first(), maps.last()) {
            self.say(&format!(
                "enqueued tasks {first} to {last}, and task {reduce}, which waits for all of them"
            ));
        }
        self.bar.set_length(maps.len() as u64 + 1);
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// A session is crashed on purpose.
    pub fn crash(&self, session: u32, task: TaskId) {
        self.say(&format!(
            "CRASH    session {session} is ended on purpose, in the middle of task {task}"
        ));
    }

    /// Something happened.
    pub fn tell(&self, what: &EventKind) {
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
            Status::Leased if fence > 1 => self.say(&format!(
                "task {task:<4}{session} takes it: attempt {fence}"
            )),
            Status::Leased => self.say(&format!("task {task:<4}{session} takes it")),
            Status::Done => {
                self.bar.inc(1);
                self.say(&format!("task {task:<4}done by {session}"));
            }
            Status::Queued if reason == "lost" => self.say(&format!(
                "task {task:<4}lost its {session}; it is queued again"
            )),
            Status::Queued if reason == "unblocked" => {
                self.say(&format!("task {task:<4}has all it waited for"))
            }
            Status::Failed => self.say(&format!("task {task:<4}failed")),
            _ => {}
        }
    }

    fn actor(&self, path: &str, state: &str, reason: &str) {
        match state {
            "restarting" => self.say(&format!("RESTART  {path} {reason}")),
            "restarted" => self.say(&format!("RESTART  {path} is back")),
            "gave_up" => self.say(&format!("{path} {reason}")),
            _ => {}
        }
    }

    /// The end: the bar goes.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
