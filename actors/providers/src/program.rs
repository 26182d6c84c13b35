//! A program that is not a provider: a hook, a check, git. It is contained and ended like the program of a run. Its output
//! is a log and never an answer.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join;

use crate::cancel::Cancel;
use crate::containment::{Containment, Exit, LaunchSpec, StartError};
use crate::definition::StopSignal;
use crate::event::{EventSink, RunEvent};
use crate::invocation::{InvocationEnd, ProgramCall, ProgramOutcome, execute};
use crate::job::Timeouts;
use crate::outcome::FailureKind;
use crate::output::RunOutputReader;
use crate::shortage::reports_shortage;
use crate::text::Decoder;

/// Events between the program and the log, at most.
const EVENTS: usize = 8;

/// The program to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// Program and arguments; never a shell.
    pub argv: Vec<String>,
    /// Its environment variables.
    pub env: Vec<(String, String)>,
    /// Variables of ours that it sees besides the usual ones, as in a definition's `env_pass`. `None` means all.
    pub env_pass: Option<Vec<String>>,
    /// The folder to work in. It must exist.
    pub workdir: PathBuf,
    /// The bytes for its standard input.
    pub stdin: Vec<u8>,
    /// The time after which it is ended.
    pub limit: Duration,
    /// Bytes of standard output that are kept; output beyond that is read, dropped and marked. 0 keeps nothing and sends
    /// all of it to the log.
    pub keep: usize,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramExit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that we did not send.
    Signal(i32),
    /// Its time limit ran out.
    TimedOut,
    /// It was cancelled.
    Cancelled,
    /// It does not exist or cannot be executed, with the reason.
    Missing(String),
    /// The machine lacks a resource for its start, with the reason. It did not start.
    Short(String),
    /// It could not be run, or its runner was lost, with the reason.
    Failed(String),
}

impl fmt::Display for ProgramExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::TimedOut => f.write_str("did not end in time, and was ended"),
            Self::Cancelled => f.write_str("was cancelled"),
            Self::Missing(why) | Self::Short(why) => write!(f, "could not be started: {why}"),
            Self::Failed(why) => write!(f, "could not be run: {why}"),
        }
    }
}

/// The result of a program. Everything it started is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramEnd {
    /// How it ended.
    pub exit: ProgramExit,
    /// The beginning of its standard output, without one trailing newline.
    pub stdout: String,
    /// The last 64 KiB of its standard error.
    pub stderr: String,
}

impl ProgramEnd {
    /// Whether it failed and stderr shows that the system refused it a resource: a process, a descriptor, memory, disk
    /// space.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let failed = matches!(self.exit, ProgramExit::Code(1..) | ProgramExit::Signal(_));
        failed && reports_shortage(&self.stderr)
    }

    /// Whether it exited by itself with code 0.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.exit == ProgramExit::Code(0)
    }
}

impl Program {
    /// A program with these arguments in this folder: all of our environment, a limit of 60 s, 64 KiB of output.
    pub fn new(argv: Vec<String>, workdir: impl Into<PathBuf>) -> Self {
        Self {
            argv,
            env: Vec::new(),
            env_pass: None,
            workdir: workdir.into(),
            stdin: Vec::new(),
            limit: Duration::from_secs(60),
            keep: 64 * 1024,
        }
    }

    /// Runs the program to its end and sends its output to `log` as [`RunEvent::Stderr`]. Resolves when all it started is
    /// dead. Dropping the future ends the program as well.
    pub async fn run(
        &self,
        containment: &Containment,
        log: &EventSink,
        cancel: Cancel,
    ) -> ProgramEnd {
        let request = ProgramCall {
            launch: LaunchSpec {
                argv: self.argv.clone(),
                env: self.env.clone(),
                pass_env: Vec::new(),
                env_pass: self.env_pass.clone(),
                stop: StopSignal::Term,
                workdir: self.workdir.clone(),
                state: Vec::new(),
                writes: Vec::new(),
            },
            stdin: self.stdin.clone(),
            timeouts: Timeouts {
                total: Some(self.limit),
                ..Timeouts::default()
            },
            reader: match self.keep {
                0 => RunOutputReader::Passing(Decoder::default()),
                keep => RunOutputReader::raw(keep),
            },
            watch: None,
        };
        let (events, mut stated) = EventSink::channel(EVENTS);
        let run = async {
            let ran = execute(request, containment, &events, cancel).await;
            drop(events);
            ran
        };
        let tell = async {
            while let Some(event) = stated.recv().await {
                if let RunEvent::Text { text } | RunEvent::Stderr { text } = event {
                    log.send(RunEvent::Stderr { text }).await;
                }
            }
        };
        match join(run, tell).await.0 {
            Ok(ran) => ended(ran),
            Err(error) => ProgramEnd {
                exit: match error.class() {
                    FailureKind::Shortage => ProgramExit::Short(error.to_string()),
                    _ => ProgramExit::Failed(error.to_string()),
                },
                stdout: String::new(),
                stderr: String::new(),
            },
        }
    }
}

fn ended(ran: InvocationEnd) -> ProgramEnd {
    let exit = match ran.ending {
        ProgramOutcome::Exit(exit) if exit != Exit::Code(0) && ran.limit.is_some() => {
            ProgramExit::Failed(ran.limit.map_or_else(String::new, |it| it.to_string()))
        }
        ProgramOutcome::Exit(Exit::Code(code)) => ProgramExit::Code(code),
        ProgramOutcome::Exit(Exit::Signal(signal)) => ProgramExit::Signal(signal),
        ProgramOutcome::Cancelled => ProgramExit::Cancelled,
        ProgramOutcome::Timeout(_) | ProgramOutcome::Impatience(_) => ProgramExit::TimedOut,
        ProgramOutcome::NotStarted(StartError::Missing, why) => ProgramExit::Missing(why),
        ProgramOutcome::NotStarted(StartError::Short, why) => ProgramExit::Short(why),
        ProgramOutcome::NotStarted(StartError::TooLong | StartError::Unbounded, why) => {
            ProgramExit::Failed(why)
        }
        ProgramOutcome::RunnerLost => ProgramExit::Failed("its runner was lost".to_owned()),
    };
    ProgramEnd {
        exit,
        stdout: ran.reading.answer,
        stderr: ran.stderr,
    }
}
