//! The bounds of a pool's runs, and the part of them that the runner applies to a program before it starts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cgroup::{CgroupEnd, Cgroups, RunCgroup, RunLimits};
use super::sandbox::{Sandbox, SandboxRules};
use super::user::{RunUser, UserIds};

/// The bounds of the runs of one pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunBounds {
    /// Limits of each run.
    pub limits: RunLimits,
    /// The user of the runs. `None` means that of this process.
    pub user: Option<RunUser>,
    /// The sandbox of the runs. `None` means that the system has no rules for them.
    pub sandbox: Option<Sandbox>,
    /// The limit of memory for people: "2 GiB".
    pub memory_text: String,
    /// The name of the pool, for messages.
    pub pool: String,
}

/// A limit that a run has reached, and that explains its failure. The text is for people: "limit 2 GiB of pool coders".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitReached {
    /// The kernel has killed a process of the run.
    #[error("it ran out of memory: {0}")]
    Memory(String),
    /// The kernel has refused the run a process or thread.
    #[error("it ran out of processes: {0}")]
    Processes(String),
}

impl RunBounds {
    /// Whether runs of both are bound alike, so that a run of one may use a provider of the other.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.limits, &self.user, &self.sandbox) == (&other.limits, &other.user, &other.sandbox)
    }

    /// Checks that this system can enforce them for the runs of this process.
    ///
    /// # Errors
    /// The key that cannot be enforced, with the reason and the advice.
    pub fn check(&self, cgroups: &Cgroups) -> Result<(), String> {
        cgroups.check(&self.limits)?;
        self.user.as_ref().map_or(Ok(()), RunUser::check)?;
        self.sandbox.as_ref().map_or(Ok(()), Sandbox::check)
    }

    /// The limit that explains the failure of a run which ended like this.
    pub(super) fn reached(&self, end: CgroupEnd) -> Option<LimitReached> {
        let (pool, memory) = (&self.pool, &self.memory_text);
        if end.out_of_memory {
            return Some(LimitReached::Memory(format!(
                "limit {memory} of pool {pool}"
            )));
        }
        let processes = self.limits.processes.filter(|_| end.out_of_processes)?;
        let text = format!("limit {processes} of pool {pool}");
        Some(LimitReached::Processes(text))
    }

    /// Makes the cgroup of a run. `None` where the system allows none and no limit is wanted.
    ///
    /// # Errors
    /// The system refuses a group or a limit.
    pub(super) fn group(&self, run: &str) -> std::io::Result<Option<RunCgroup>> {
        let made = RunCgroup::make(Cgroups::of_this_process(), run, &self.limits);
        match made {
            // A group without limits is one of several ways to find the processes of a run.
            Err(error) if self.limits == RunLimits::default() => {
                tracing::debug!(%error, "a run has no cgroup");
                Ok(None)
            }
            made => made,
        }
    }
}

/// The bounds of one run, for its runner.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Confinement {
    /// The files into which the program writes 0 before it starts, to be a member of its cgroups.
    pub(crate) groups: Vec<PathBuf>,
    /// The file that kills all members of the group at once.
    pub(crate) kill: Option<PathBuf>,
    /// The user of the program.
    pub(crate) user: Option<UserIds>,
    /// The sandbox of the program.
    pub(crate) sandbox: Option<SandboxRules>,
}
