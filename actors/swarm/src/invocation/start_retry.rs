//! Retries the start of programs after a run (checks, hooks), as the run's answer was paid for.

use std::time::Duration;

use kirosu_providers::{Cancel, EventSink, ProgramEnd, ProgramExit, RunEvent};
use kirosu_supervision::BackoffPolicy;
use tokio::time::{Instant, sleep};

use crate::pool::Pool;

/// Time limit for starting the check of an answer; the task's lease is held meanwhile.
pub(super) const CHECK: Duration = Duration::from_secs(30 * 60);
/// Time limit for starting a hook that need not succeed.
pub(super) const HOOK: Duration = Duration::from_secs(60);

/// Maximum number of runs of a program that started, and then reported that the system refused it a resource.
const TRIES: u32 = 5;

const PAUSES: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(250), Duration::from_secs(15));

/// A retry with its limit.
pub(super) struct StartRetry<'a> {
    pub(super) pool: &'a Pool,
    pub(super) sink: &'a EventSink,
    pub(super) cancel: Cancel,
    pub(super) limit: Duration,
}

impl StartRetry<'_> {
    /// Runs a program until it could be started, within the limit, and returns its end. `what` names it in the
    /// message that the run's output gets once when it waits.
    pub(super) async fn until_started(
        self,
        what: &str,
        run: impl AsyncFn() -> ProgramEnd,
    ) -> ProgramEnd {
        let Self {
            pool,
            sink,
            mut cancel,
            limit,
        } = self;
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
            pool.not_started(&why);
            if tries == 1 {
                let message = format!("[kirosu: {what} waits until it can be started: {why}]\n");
                sink.send(RunEvent::Warning { message }).await;
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
