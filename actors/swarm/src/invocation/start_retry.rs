//! The pool's own programs around a run (checks, hooks). Their start is retried after the run, as its answer was paid for.

use std::time::Duration;

use kirosu_providers::{Cancel, EventSink, ProgramEnd, ProgramExit, RunEvent};
use kirosu_supervision::BackoffPolicy;
use tokio::time::{Instant, sleep};

use crate::options::PoolOptions;
use crate::pool::Pool;
use crate::workspace::RunFolder;

/// Time limit for starting the check of an answer; the task's lease is held meanwhile.
pub(super) const CHECK: Duration = Duration::from_secs(30 * 60);
/// Time limit for starting a hook that need not succeed.
pub(super) const HOOK: Duration = Duration::from_secs(60);

/// Maximum number of runs of a program that started, and then reported that the system refused it a resource.
const TRIES: u32 = 5;

const PAUSES: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(250), Duration::from_secs(15));

/// The parts of a run that its hooks and its check use.
#[derive(Clone)]
pub(super) struct RunParts<'a> {
    pub(super) pool: &'a Pool,
    pub(super) options: &'a PoolOptions,
    pub(super) folder: &'a RunFolder,
    pub(super) sink: EventSink,
    pub(super) cancel: Cancel,
}

impl RunParts<'_> {
    /// Adds a line to the run's output.
    pub(super) async fn note(&self, text: &str) {
        let message = format!("[kirosu: {text}]\n");
        self.sink.send(RunEvent::Warning { message }).await;
    }

    /// Runs a program until it could be started, within the limit, and returns its end. `what` names it in the
    /// message that the run's output gets once when it waits.
    pub(super) async fn until_started(
        &self,
        what: &str,
        limit: Duration,
        run: impl AsyncFn() -> ProgramEnd,
    ) -> ProgramEnd {
        let mut cancel = self.cancel.clone();
        let begin = Instant::now();
        let mut pauses = PAUSES.delays();
        let mut tries = 0;
        loop {
            let end = run().await;
            tries += 1;
            let why = match &end.exit {
                ProgramExit::Short(why) => why.clone(),
                _ if tries < TRIES && end.is_short() => end.exit.to_string(),
                _ => return end,
            };
            let pause = pauses.next().unwrap_or(PAUSES.max);
            if begin.elapsed() + pause > limit {
                return end;
            }
            self.pool.not_started(&why);
            if tries == 1 {
                self.note(&format!("{what} waits until it can be started: {why}"))
                    .await;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    return ProgramEnd { exit: ProgramExit::Cancelled, ..end };
                }
                () = sleep(pause) => {}
            }
        }
    }
}
