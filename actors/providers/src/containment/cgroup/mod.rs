//! A cgroup per run: the kernel's own list of the processes of a run, which none can leave by a new session, a double fork
//! or a cleared environment. It also limits memory, processes and CPU time of the run.
//!
//! ```text
//! OWN                          the cgroup that this process was started in, or the delegated one above it
//! └── kirosu-PID-START         of this process
//!     ├── host                 this process, where version 2 allows no processes in OWN
//!     └── RUN                  one run
//! ```
//!
//! Both versions of cgroups are used, as the machine has them: version 2 ends runs (`cgroup.kill`) and limits them where
//! it has the controllers, version 1 limits them where a controller is in a hierarchy of its own.

mod host;
mod places;
mod run;

use std::path::PathBuf;
use std::sync::OnceLock;

use places::Controller;
pub(super) use run::{CgroupEnd, RunCgroup};

/// Limits of each run. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunLimits {
    /// Bytes of memory of all its processes together, page cache included. None of it is swapped.
    pub memory: Option<u64>,
    /// CPU time in thousandths of a core: 1500 is one and a half cores.
    pub cpu: Option<u32>,
    /// Processes and threads at the same time.
    pub processes: Option<u64>,
}

impl RunLimits {
    /// The controllers that these limits need.
    fn controllers(&self) -> impl Iterator<Item = Controller> {
        let wanted = |controller: &Controller| match controller {
            Controller::Memory => self.memory.is_some(),
            Controller::Processes => self.processes.is_some(),
            Controller::Cpu => self.cpu.is_some(),
        };
        Controller::ALL.into_iter().filter(wanted)
    }
}

/// Where a controller limits the runs of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ControllerPlace {
    /// In the run's group of the unified hierarchy.
    Unified,
    /// In a group below this folder, in a hierarchy of version 1.
    Separate(PathBuf),
}

static OPENED: OnceLock<Cgroups> = OnceLock::new();

/// The cgroups that this process may make, and the reasons for those that it may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    /// The folder of version 2 in which a group per run is made, or the reason why there is none.
    unified: Result<PathBuf, String>,
    /// The place of each controller of [`Controller::ALL`], or the reason why it is not available.
    controllers: [Result<ControllerPlace, String>; 3],
}

impl Cgroups {
    /// The cgroups of this process. The first call makes them and moves this process out of the way if it has to; it also
    /// removes what hosts that are dead have left, with the processes in it.
    pub fn of_this_process() -> &'static Self {
        OPENED.get_or_init(host::open)
    }

    /// The cgroups that a process started like this one would have. Changes nothing.
    #[must_use]
    pub fn expected() -> Self {
        host::expected()
    }

    /// The reason for which runs have no cgroup of their own. `None` means that they have one.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        self.unified.as_ref().err().map(String::as_str)
    }

    /// The limits that cannot be enforced, each with the reason.
    #[must_use]
    pub fn unlimited(&self) -> Vec<(&'static str, &str)> {
        let places = Controller::ALL.iter().zip(&self.controllers);
        places
            .filter_map(|(it, place)| Some((it.key(), place.as_ref().err()?.as_str())))
            .collect()
    }

    /// Checks that these limits can be enforced.
    ///
    /// # Errors
    /// The keys of a pool that cannot be, with the reason and the advice.
    pub fn check(&self, limits: &RunLimits) -> Result<(), String> {
        let mut faults: Vec<(&str, Vec<&str>)> = Vec::new();
        for controller in limits.controllers() {
            let Err(why) = self.place(controller) else {
                continue;
            };
            match faults.iter_mut().find(|(known, _)| *known == why) {
                Some((_, keys)) => keys.push(controller.key()),
                None => faults.push((why, vec![controller.key()])),
            }
        }
        let sentences: Vec<String> = faults
            .iter()
            .map(|(why, keys)| format!("{} cannot be limited here: {why}", keys.join(", ")))
            .collect();
        match sentences.is_empty() {
            true => Ok(()),
            false => Err(sentences.join("; ")),
        }
    }

    fn place(&self, controller: Controller) -> Result<&ControllerPlace, &str> {
        let index = Controller::ALL.iter().position(|it| *it == controller);
        let place = index.and_then(|index| self.controllers.get(index));
        place.map_or(Err("unknown"), |place| place.as_ref().map_err(|it| &**it))
    }

    /// Removes the groups of this process, as far as there are any and they are empty. For the end of the process.
    pub fn remove_own() {
        if let Some(opened) = OPENED.get() {
            host::remove(opened);
        }
    }
}
