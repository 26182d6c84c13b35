//! One run of a program: contained, fed, read, timed, and ended for certain.

mod capture;
mod clock;
mod conclude;
mod pump;
mod utf8;

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

pub(crate) use capture::cut;
pub(crate) use conclude::conclude;
pub(crate) use utf8::floor_boundary;

use crate::cancel::Cancel;
use crate::containment::{
    Contained, Containment, Exit, Launch, LaunchError, Notice, Report, StartError,
};
use crate::event::EventSink;
use crate::job::Timeouts;
use crate::outcome::TimeoutKind;
use crate::runner::GIVE_UP;
use capture::{Answer, Tail};
use clock::Clock;

/// After a stop, what is already in the pipes is read for so long at most: its reader may be stuck.
const DRAIN: Duration = Duration::from_secs(1);

/// What a runner may take longer than by its rules before it is taken for stuck.
const MARGIN: Duration = Duration::from_secs(5);

/// What to run.
pub(crate) struct Request<'a> {
    pub(crate) argv: &'a [String],
    pub(crate) env: &'a [(String, String)],
    pub(crate) pass_env: &'a [String],
    pub(crate) workdir: &'a Path,
    pub(crate) stdin: Vec<u8>,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_output_bytes: usize,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ending: Ending,
    pub(crate) answer: String,
    pub(crate) truncated: bool,
    /// The last 64 KiB of stderr.
    pub(crate) stderr: String,
    /// Processes that could not be ended.
    pub(crate) alive: u32,
}

/// How it ended. The first cause counts: a program that exits with 0 after our SIGTERM was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(Exit),
    Cancelled,
    Timeout(TimeoutKind),
    NotStarted(StartError, String),
    RunnerLost,
}

/// Runs a program to its end. Resolves when all it started is dead; dropping the future ends it as well.
///
/// # Errors
/// [`LaunchError`] when not even the runner could be started.
pub(crate) async fn execute(
    request: Request<'_>,
    containment: &Containment,
    events: &EventSink,
    mut cancel: Cancel,
) -> Result<Ran, LaunchError> {
    let launch = Launch {
        argv: request.argv,
        env: request.env,
        pass_env: request.pass_env,
        workdir: request.workdir,
    };
    let clock = Clock::start(request.timeouts);
    let (mut contained, streams) = Contained::start(&launch, containment)?;
    let mut answer = Answer::new(request.max_output_bytes);
    let mut stderr = Tail::default();

    let (started, when_started) = oneshot::channel();
    let mut started = Some(started);
    let mut feed = Box::pin(pump::feed(streams.stdin, request.stdin));
    let mut pumps = Box::pin(async {
        pump::announce(when_started, events).await;
        tokio::join!(
            pump::stdout(streams.stdout, &mut answer, events, &clock),
            pump::stderr(streams.stderr, &mut stderr, events, &clock),
        );
    });
    let (mut fed, mut drained) = (false, false);
    let mut stopped = None;
    // When a runner that was ordered to stop must have done so.
    let mut overdue = None;

    let (ending, alive) = loop {
        tokio::select! {
            biased;
            notice = contained.notice() => match notice {
                Notice::Report(Report::Started { pid }) => {
                    if let Some(started) = started.take() {
                        let _ = started.send(pid);
                    }
                }
                Notice::Report(Report::Failed { error, message }) => {
                    break (Ending::NotStarted(error, message), 0);
                }
                Notice::Report(Report::Ended { exit, stragglers, alive }) => {
                    tell_leftovers(request.argv, stragglers, alive);
                    break (Ending::Exit(exit), alive);
                }
                Notice::Lost { alive, .. } => break (Ending::RunnerLost, alive),
            },
            cause = stop_cause(&mut cancel, &clock), if stopped.is_none() => {
                stopped = Some(cause);
                contained.stop();
                overdue = Some(Instant::now() + containment.grace + GIVE_UP + MARGIN);
            }
            () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                overdue = None;
                contained.kill_runner();
            }
            () = &mut feed, if !fed => fed = true,
            () = &mut pumps, if !drained => drained = true,
        }
    };
    drop((started, feed));
    contained.reap().await;
    if !drained {
        // The pipes are at their end; only a slow reader of our events, or a survivor, keeps us.
        let hurry = stopped.is_some() || alive > 0 || ending == Ending::RunnerLost;
        tokio::select! {
            () = &mut pumps => {}
            () = tokio::time::sleep(DRAIN), if hurry => {}
            cause = stop_cause(&mut cancel, &clock), if !hurry => stopped = Some(cause),
        }
    }
    drop(pumps);
    Ok(Ran {
        ending: stopped.unwrap_or(ending),
        truncated: answer.is_cut(),
        answer: answer.finish(),
        stderr: stderr.finish(),
        alive,
    })
}

fn tell_leftovers(argv: &[String], stragglers: u32, alive: u32) {
    if alive > 0 {
        tracing::warn!(
            program = argv[0],
            alive,
            "processes of a run could not be ended"
        );
    } else if stragglers > 0 {
        tracing::info!(program = argv[0], stragglers, "ended what a run left");
    }
}

/// Resolves when the run shall be stopped.
async fn stop_cause(cancel: &mut Cancel, clock: &Clock) -> Ending {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Ending::Cancelled,
        which = clock.expired() => Ending::Timeout(which),
    }
}
