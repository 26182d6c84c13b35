//! Containment: starts processes so that none outlives its invocation, and finds the processes of a dead runner. The
//! runner's own side is in [`crate::runner`].

mod bounds;
mod cgroup;
mod closed;
mod contained;
mod descriptors;
mod environment;
mod launch;
mod leftovers;
mod procfs;
mod run_temp;
mod sandbox;
mod sockets;
mod sweep;
mod user;
mod wire;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use bounds::RunBounds;
pub(crate) use bounds::{Confinement, LimitReached};
pub use cgroup::{Cgroups, RunLimits};
pub use closed::close_to_others;
pub(crate) use contained::{Contained, ContainedEnd, RunnerNotice};
pub(crate) use descriptors::lower_limit;
pub use descriptors::raise_limit;
pub use environment::is_withheld;
pub(crate) use launch::{LaunchError, LaunchSpec};
pub(crate) use leftovers::Mark;
pub(crate) use procfs::{ProcessStat, children_of};
pub use sandbox::{Sandbox, signals_missing};
pub use sweep::{Swept, sweep_instance, sweep_run};
pub use user::RunUser;
pub(crate) use user::UserIds;
pub(crate) use wire::{Exit, RunnerOrder, RunnerReport, StartError};

/// The variable with the run's id, in the environment of each of its processes. A value is never reused.
pub const RUN_VARIABLE: &str = "KIROSU_RUN";
/// The variable with the id of the hub or agent (derived from its data directory), in the environment of each process of
/// its runs.
pub const INSTANCE_VARIABLE: &str = "KIROSU_INSTANCE";

/// The command that starts the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerCommand {
    /// The executable that calls [`crate::runner::main`].
    pub program: PathBuf,
    /// Arguments before the runner's own: the hidden verb.
    pub args: Vec<OsString>,
}

impl RunnerCommand {
    /// This executable with a hidden verb. It runs the same version even when an upgrade replaced the file in the meantime.
    #[must_use]
    pub fn this_executable(verb: &str) -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            args: vec![verb.into()],
        }
    }
}

/// The containment settings of all providers of a hub or agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containment {
    /// The command that starts the runner.
    pub runner: RunnerCommand,
    /// The id of this hub or agent: stable over restarts, different for each data directory.
    pub instance: String,
    /// Time from SIGTERM to SIGKILL on cancel and timeout.
    pub grace: Duration,
    /// Time that remaining processes have after the program itself ended, first until SIGTERM and then until SIGKILL.
    pub linger: Duration,
    /// The bounds of each run. `None` for programs that are not runs: git, version checks.
    pub bounds: Option<Arc<RunBounds>>,
}

impl Containment {
    /// Containment with the default grace of 2 s and linger of 250 ms.
    pub fn new(runner: RunnerCommand, instance: impl Into<String>) -> Self {
        Self {
            runner,
            instance: instance.into(),
            grace: Duration::from_secs(2),
            linger: Duration::from_millis(250),
            bounds: None,
        }
    }

    /// Whether runs have another user than this process.
    pub(crate) fn has_other_user(&self) -> bool {
        self.bounds.as_ref().is_some_and(|it| it.user.is_some())
    }

    /// Gives a file or folder for a run to the run's user. Blocks briefly on the file system.
    ///
    /// # Errors
    /// The owner cannot be changed.
    pub(crate) fn give(&self, path: &Path) -> std::io::Result<()> {
        let bounds = self.bounds.as_ref();
        match bounds.and_then(|bounds| bounds.user.as_ref()) {
            Some(user) => user.own(path),
            None => Ok(()),
        }
    }

    /// The same containment, for runs within these bounds.
    #[must_use]
    pub fn bounded(&self, bounds: Arc<RunBounds>) -> Self {
        Self {
            bounds: Some(bounds),
            ..self.clone()
        }
    }
}
