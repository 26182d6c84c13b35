//! The program to start, and the reasons for which its runner cannot be started.

use std::io;
use std::path::{Path, PathBuf};

use crate::definition::StopSignal;
use crate::outcome::FailureKind;
use crate::shortage::is_shortage;

/// A program to start, and its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaunchSpec {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Variables of ours that it sees although they are withheld by default.
    pub(crate) pass_env: Vec<String>,
    /// Variables of ours that it sees besides the usual ones. `None` means all.
    pub(crate) env_pass: Option<Vec<String>>,
    /// The signal that asks the program to exit.
    pub(crate) stop: StopSignal,
    pub(crate) workdir: PathBuf,
    /// Folders and files in which it keeps its state, which it may write in a sandbox, too: `~/` is the home folder,
    /// `$NAME/` the value of a variable. A folder, which ends in `/`, is made.
    pub(crate) state: Vec<String>,
    /// Further folders that it may write.
    pub(crate) writes: Vec<PathBuf>,
}

/// A runner could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {source}{}", self.obstacle.advice())]
pub(crate) struct LaunchError {
    step: String,
    source: io::Error,
    obstacle: Obstacle,
}

/// The obstacle to the start of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// The machine lacks a resource; a later start can succeed.
    Shortage,
    /// The system never takes these arguments: a NUL in them or in the environment, or too many bytes.
    Input,
    /// The folder cannot be entered.
    Folder,
}

impl Obstacle {
    const fn advice(self) -> &'static str {
        match self {
            Self::Shortage => {
                "; see that this machine has memory, processes and file descriptors left, and /proc"
            }
            Self::Input => {
                "; see that no argument or variable of the program (the model, for one) has a NUL character, and that they are not too long"
            }
            Self::Folder => "; give this user access to the folder, or name another workdir",
        }
    }
}

impl LaunchError {
    pub(super) fn new(step: &str, source: io::Error, workdir: &Path) -> Self {
        let is_input = matches!(
            source.kind(),
            io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong
        );
        let can_enter = || rustix::fs::access(workdir, rustix::fs::Access::EXEC_OK).is_ok();
        // Everything else that a start needs is our own: a running executable, pipes, a process.
        let obstacle = match is_input {
            true => Obstacle::Input,
            false if is_shortage(&source) || can_enter() => Obstacle::Shortage,
            false => Obstacle::Folder,
        };
        Self {
            step: step.to_owned(),
            source,
            obstacle,
        }
    }

    /// The failure kind of the run.
    pub(crate) const fn class(&self) -> FailureKind {
        match self.obstacle {
            Obstacle::Shortage => FailureKind::Shortage,
            Obstacle::Input => FailureKind::BadInput,
            Obstacle::Folder => FailureKind::ProviderError,
        }
    }
}
