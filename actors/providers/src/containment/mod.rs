//! Containment: how processes are started so that none outlives its invocation, and how left-overs of
//! a dead runner are found. The runner's own side is in [`crate::runner`].

mod contained;
mod descriptors;
mod environment;
mod leftovers;
mod procfs;
mod sweep;
mod wire;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use contained::{Contained, LaunchError, LaunchSpec, RunnerNotice};
pub(crate) use descriptors::lower_limit;
pub use descriptors::raise_limit;
pub use environment::is_withheld;
pub(crate) use leftovers::Mark;
pub(crate) use procfs::{ProcessStat, children_of};
pub use sweep::{Swept, sweep_instance, sweep_run};
pub(crate) use wire::{Exit, RunnerOrder, RunnerReport, StartError};

/// Names the run in the environment of every process of it; a value is never used twice.
pub const RUN_VARIABLE: &str = "KIROSU_RUN";
/// Names the hub or agent (by its data directory) in the environment of every process of its runs.
pub const INSTANCE_VARIABLE: &str = "KIROSU_INSTANCE";

/// How to start the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerCommand {
    /// The executable that calls [`crate::runner::main`].
    pub program: PathBuf,
    /// What comes before the runner's own arguments (the hidden verb).
    pub args: Vec<OsString>,
}

impl RunnerCommand {
    /// This very executable with a hidden verb before the runner's arguments. It stays the same version
    /// even when the file was replaced by an upgrade in the meantime.
    #[must_use]
    pub fn this_executable(verb: &str) -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            args: vec![verb.into()],
        }
    }
}

/// How the processes of all providers of a hub or agent are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containment {
    /// How to start the runner.
    pub runner: RunnerCommand,
    /// Names this hub or agent: stable over restarts, different for each data directory.
    pub instance: String,
    /// From SIGTERM to SIGKILL on cancel and timeout.
    pub grace: Duration,
    /// What a program left running has from the end of the program itself to its SIGTERM, and then to
    /// its SIGKILL.
    pub linger: Duration,
}

impl Containment {
    /// With the default 2 s of grace and 250 ms of linger.
    pub fn new(runner: RunnerCommand, instance: impl Into<String>) -> Self {
        Self {
            runner,
            instance: instance.into(),
            grace: Duration::from_secs(2),
            linger: Duration::from_millis(250),
        }
    }
}
