//! One run of a program: starts it contained, writes its stdin, reads its output, applies the time limits, and ends it.

mod clock;
mod conclude;
mod patience;
mod pump;

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

pub(crate) use clock::RunClock;
pub(crate) use conclude::{complaint, conclude, runner_lost, tail, with_limit};
pub(crate) use patience::{ExitPatience, PatienceEnd};

use crate::cancel::Cancel;
use crate::containment::{
    Contained, Containment, Exit, LaunchError, LaunchSpec, LimitReached, RunnerNotice,
    RunnerReport, StartError,
};
use crate::event::{EventSink, RunEvent};
use crate::job::Timeouts;
use crate::outcome::TimeoutKind;
use crate::output::{RunOutputReader, RunReading, ServiceWait, StderrWatch};
use crate::runner::GIVE_UP;
use crate::text::StderrTail;
use patience::WAIT_PATIENCE;

/// Time for reading the rest of the pipes after a stop. A reader of the events may be stuck.
pub(crate) const DRAIN: Duration = Duration::from_secs(1);

/// Time that a runner may take beyond its own limits before it counts as stuck.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);

/// The program to run.
pub(crate) struct ProgramCall {
    pub(crate) launch: LaunchSpec,
    pub(crate) stdin: Vec<u8>,
    pub(crate) timeouts: Timeouts,
    /// The reader of its stdout.
    pub(crate) reader: RunOutputReader,
    /// Looks for waits in its stderr.
    pub(crate) watch: Option<StderrWatch>,
}

/// The result of an invocation.
#[derive(Debug)]
pub(crate) struct InvocationEnd {
    pub(crate) ending: ProgramOutcome,
    pub(crate) reading: RunReading,
    /// The last 64 KiB of stderr.
    pub(crate) stderr: String,
    /// Processes that could not be ended.
    pub(crate) alive: u32,
    /// The limit of the pool that the run has reached.
    pub(crate) limit: Option<LimitReached>,
    /// Whether the kernel confirms that no process of the run is left.
    pub(crate) is_certain: bool,
    /// The wait that the program last reported, if it still waited at its end.
    pub(crate) waiting: Option<ServiceWait>,
}

/// The end of an invocation. The first cause counts: a program that exits with 0 after our SIGTERM was stopped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProgramOutcome {
    Exit(Exit),
    Cancelled,
    Timeout(TimeoutKind),
    /// The program was ended because it did not exit after it reported its end, or because it waited by itself.
    Impatience(PatienceEnd),
    NotStarted(StartError, String),
    RunnerLost,
}

/// Runs a program to its end. Resolves when all it started is dead. Dropping the future ends the program as well.
///
/// # Errors
/// When the runner cannot be started.
pub(crate) async fn execute(
    request: ProgramCall,
    containment: &Containment,
    events: &EventSink,
    cancel: Cancel,
) -> Result<InvocationEnd, LaunchError> {
    let clock = RunClock::start(request.timeouts);
    let patience = ExitPatience::default();
    let (mut contained, streams) = Contained::start(&request.launch, containment)?;
    let mut reader = request.reader;
    let mut stderr = StderrTail::default();

    let (started, when_started) = oneshot::channel();
    let mut pumps = Box::pin(async {
        pump::announce(when_started, events).await;
        tokio::join!(
            pump::feed(streams.stdin, request.stdin),
            pump::stdout(streams.stdout, &mut reader, events, &clock, &patience),
            pump::stderr(
                streams.stderr,
                (&mut stderr, request.watch),
                events,
                &clock,
                &patience
            ),
        );
    });
    let overdue = containment.grace + GIVE_UP + MARGIN;
    let mut stop = StopTrigger {
        cancel,
        clock: &clock,
        patience: &patience,
        cause: None,
    };
    let mut held = hold(&mut contained, started, pumps.as_mut(), &mut stop, overdue).await;
    let end = contained.finish(containment).await;
    held.alive = match end.is_certain {
        true => 0,
        false => held.alive.max(end.alive),
    };
    if !held.drained {
        drain(pumps.as_mut(), &held, &mut stop).await;
    }
    drop(pumps);
    let program = &request.launch.argv[0];
    log_leftovers(program, &held);
    if let Some(ProgramOutcome::Impatience(over)) = &stop.cause {
        let message = complaint_of(program, over);
        events.send(RunEvent::Warning { message }).await;
    }
    Ok(InvocationEnd {
        ending: stop.cause.unwrap_or(held.ending),
        reading: reader.finish(),
        stderr: stderr.finish(),
        alive: held.alive,
        limit: end.limit,
        is_certain: end.is_certain,
        waiting: patience.waiting(),
    })
}

fn complaint_of(program: &str, over: &PatienceEnd) -> String {
    match over {
        PatienceEnd::Stays => {
            format!("'{program}' reported its end but did not exit, and was ended\n")
        }
        PatienceEnd::Waits(wait) => format!(
            "'{program}' waits by itself for longer than {} s, and was ended: {}\n",
            WAIT_PATIENCE.as_secs(),
            wait.message
        ),
    }
}

/// The causes that can stop a run, and the one that did.
struct StopTrigger<'a> {
    cancel: Cancel,
    clock: &'a RunClock,
    patience: &'a ExitPatience,
    cause: Option<ProgramOutcome>,
}

impl StopTrigger<'_> {
    /// Resolves, once, when a cause stops the run. Cancel safe.
    async fn wanted(&mut self) {
        if self.cause.is_some() {
            return std::future::pending().await;
        }
        self.cause = Some(tokio::select! {
            biased;
            () = self.cancel.cancelled() => ProgramOutcome::Cancelled,
            which = self.clock.expired() => ProgramOutcome::Timeout(which),
            over = self.patience.over() => ProgramOutcome::Impatience(over),
        });
    }
}

/// The data known when the runner has exited.
struct RunnerEnd {
    ending: ProgramOutcome,
    stragglers: u32,
    alive: u32,
    /// Whether the pumps have finished.
    drained: bool,
}

/// Drives the pumps until the runner reports the end, and orders the end when a cause stops the run. A runner that does not
/// exit within `patience` after that is killed.
async fn hold(
    contained: &mut Contained,
    started: oneshot::Sender<u32>,
    mut pumps: Pin<&mut impl Future<Output = ()>>,
    stop: &mut StopTrigger<'_>,
    patience: Duration,
) -> RunnerEnd {
    let mut started = Some(started);
    let mut drained = false;
    let mut overdue = None;
    let held = |ending, stragglers, alive, drained| RunnerEnd {
        ending,
        stragglers,
        alive,
        drained,
    };
    loop {
        tokio::select! {
            biased;
            notice = contained.notice() => match notice {
                RunnerNotice::Report(RunnerReport::Started { pid }) => {
                    if let Some(started) = started.take() {
                        let _ = started.send(pid);
                    }
                }
                RunnerNotice::Report(RunnerReport::Failed { error, message }) => {
                    return held(ProgramOutcome::NotStarted(error, message), 0, 0, drained);
                }
                RunnerNotice::Report(RunnerReport::Ended { exit, stragglers, alive }) => {
                    return held(ProgramOutcome::Exit(exit), stragglers, alive, drained);
                }
                RunnerNotice::Lost { ended, alive } => {
                    return held(ProgramOutcome::RunnerLost, ended, alive, drained);
                }
            },
            () = stop.wanted() => {
                contained.stop();
                overdue = Some(Instant::now() + patience);
            }
            () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                overdue = None;
                contained.kill_runner();
            }
            () = &mut pumps, if !drained => drained = true,
        }
    }
}

/// Reads the rest of the pipes. The program is dead, so only a slow reader of the events or a process out of reach that
/// holds the pipes open can delay this.
async fn drain(
    pumps: Pin<&mut impl Future<Output = ()>>,
    held: &RunnerEnd,
    stop: &mut StopTrigger<'_>,
) {
    let hurry = stop.cause.is_some() || held.alive > 0 || held.ending == ProgramOutcome::RunnerLost;
    tokio::select! {
        () = pumps => {}
        () = tokio::time::sleep(DRAIN), if hurry => {}
        () = stop.wanted(), if !hurry => {}
    }
}

fn log_leftovers(program: &str, held: &RunnerEnd) {
    let (stragglers, alive) = (held.stragglers, held.alive);
    if alive > 0 {
        tracing::warn!(program, alive, "processes of a run could not be ended");
    } else if stragglers > 0 {
        tracing::info!(
            program,
            stragglers,
            "ended processes that a run left running"
        );
    }
}
