//! Containment: starts processes so that none outlives its invocation, and finds the processes of a dead runner. The
//! runner's own side is in [`crate::runner`].

mod bounds;
mod cgroup;
mod closed;
mod contained;
mod descriptors;
mod environment;
mod leftovers;
mod procfs;
mod sweep;
mod wire;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use bounds::RunBounds;
pub(crate) use bounds::{Confinement, LimitReached};
pub use cgroup::{Cgroups, RunLimits};
pub use closed::close_to_others;
pub(crate) use contained::{Contained, ContainedEnd, LaunchError, LaunchSpec, RunnerNotice};
pub(crate) use descriptors::lower_limit;
pub use descriptors::raise_limit;
pub use environment::is_withheld;
pub(crate) use leftovers::Mark;
pub(crate) use procfs::{ProcessStat, children_of};
pub use sweep::{Swept, sweep_instance, sweep_run};
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

    /// The same containment, for runs within these bounds.
    #[must_use]
    pub fn bounded(&self, bounds: Arc<RunBounds>) -> Self {
        Self {
            bounds: Some(bounds),
            ..self.clone()
        }
    }
}
