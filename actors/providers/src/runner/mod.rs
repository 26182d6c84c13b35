//! The runner: one small process per invocation, which starts the program, watches the hub, and exits only when no process
//! of the program is left.
//!
//! It is single-threaded and has no async runtime: it starts in about a millisecond and has little that could fail.
//! `machine.rs` has the rules, `watch.rs` the loop.

mod children;
mod confine;
mod control;
mod machine;
mod rights;
mod signals;
mod watch;

use std::ffi::{CString, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use kirosu_protocol::access::RUNNER_NAME;
use rustix::process::{Signal, getpid, set_child_subreaper, setsid};
use rustix::thread::set_name;

use crate::containment::{Confinement, RunnerReport, StartError, close_to_others, lower_limit};
use crate::shortage::is_shortage;
use control::Control;
use machine::EndingMachine;
pub(crate) use machine::GIVE_UP;

/// The hidden verb of an executable behind which it calls [`main`].
pub const VERB: &str = "__run";

/// The command line: `GRACE_MS LINGER_MS TERM|INT NOFILE|- CONFINEMENT PROGRAM [ARGUMENT...]`, with the [`Confinement`]
/// in JSON.
struct Arguments {
    grace: Duration,
    linger: Duration,
    /// The signal that asks the program to exit.
    stop: Signal,
    /// The program's soft limit of open files. `None` means that of the runner.
    open_files: Option<u64>,
    confinement: Confinement,
    program: OsString,
    rest: Vec<OsString>,
}

/// Runs as the runner of one invocation. `args` is the command line after the hidden verb. Must be called
/// before anything else in `main`: with no other thread and no child process.
///
/// A provider starts it with its control socket as stdin. Returns code 0 when no process of the program is
/// left, 1 when the program could not be started, 2 for wrong arguments or a start by hand.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(arguments) = parse(args) else {
        eprintln!("this command is internal: kirosu starts it for each run of a provider");
        return ExitCode::from(2);
    };
    let mut control = match Control::open() {
        Ok(Some(control)) => control,
        // The hub died before it sent the order to start.
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("this command is internal, its stdin must be a control socket: {error}");
            return ExitCode::from(2);
        }
    };
    match run(arguments, &mut control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            control.report(&report);
            ExitCode::FAILURE
        }
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Option<Arguments> {
    let mut args = args.into_iter();
    let mut millis = || {
        args.next()?
            .to_str()?
            .parse()
            .ok()
            .map(Duration::from_millis)
    };
    let (grace, linger) = (millis()?, millis()?);
    let stop = match args.next()?.to_str()? {
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        _ => return None,
    };
    let open_files = match args.next()?.to_str()? {
        "-" => None,
        number => Some(number.parse().ok()?),
    };
    let confinement = serde_json::from_str(args.next()?.to_str()?).ok()?;
    Some(Arguments {
        grace,
        linger,
        stop,
        open_files,
        confinement,
        program: args.next()?,
        rest: args.collect(),
    })
}

fn run(arguments: Arguments, control: &mut Control) -> Result<(), RunnerReport> {
    // Before the program starts: it must not take the control socket and report its own end.
    close_to_others();
    let short = |message: String| RunnerReport::Failed {
        error: StartError::Short,
        message,
    };
    // In a session of its own no group below the runner can belong to others, so groups are safe to signal.
    setsid().map_err(|error| short(format!("cannot make a session: {error}")))?;
    // The hub finds the programs of runs by this name of their ancestor.
    let name = CString::new(RUNNER_NAME).unwrap_or_default();
    set_name(&name).map_err(|error| short(format!("cannot name the runner: {error}")))?;
    set_child_subreaper(Some(getpid()))
        .map_err(|error| short(format!("cannot become a subreaper: {error}")))?;
    let signals =
        signals::listen().map_err(|error| short(format!("cannot take signals: {error}")))?;

    let main = start(&arguments, control.take_stdin())?;
    // The pipes must end with the program and its descendants, not with the runner.
    control::forget_output();
    control.report(&RunnerReport::Started {
        pid: main.unsigned_abs(),
    });
    let ended = watch::until_all_ended(
        main,
        control,
        &signals,
        EndingMachine::new(&arguments),
        &arguments,
    );
    control.report(&ended);
    Ok(())
}

/// Starts the program in a process group of its own. It inherits environment, directory and output.
fn start(arguments: &Arguments, stdin: Option<OwnedFd>) -> Result<i32, RunnerReport> {
    if let Some(limit) = arguments.open_files {
        lower_limit(limit);
    }
    let mut command = Command::new(&arguments.program);
    command
        .args(&arguments.rest)
        .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
        .process_group(0);
    confine::prepare(&mut command, &arguments.confinement).map_err(|message| {
        RunnerReport::Failed {
            error: StartError::Unbounded,
            message,
        }
    })?;
    match command.spawn() {
        // The handle is dropped, because the runner waits for all children together.
        Ok(child) => Ok(i32::try_from(child.id()).unwrap_or(i32::MAX)),
        Err(error) => Err(RunnerReport::Failed {
            error: match error.kind() {
                _ if confine::is_refusal(&error) => StartError::Unbounded,
                std::io::ErrorKind::ArgumentListTooLong => StartError::TooLong,
                _ if is_shortage(&error) => StartError::Short,
                _ => StartError::Missing,
            },
            message: error.to_string(),
        }),
    }
}
