//! The cgroup of one run.

use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::places::Controller;
use super::{Cgroups, ControllerPlace, RunLimits};

/// Time after which a process that survives SIGKILL is counted as alive.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Time after which members are killed one by one.
const BY_ONE: Duration = Duration::from_millis(100);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// The period of a limit of CPU time, in microseconds: the kernel's default.
const PERIOD: u64 = 100_000;

/// The groups of one run, one per hierarchy. Dropping it ends what is left in them and removes them.
#[derive(Debug)]
pub(in crate::containment) struct RunCgroup {
    /// The groups, that of version 2 first.
    folders: Vec<PathBuf>,
    /// The file that counts the kills for lack of memory.
    kills: Option<PathBuf>,
    /// The file that counts the processes that were refused.
    refusals: Option<PathBuf>,
}

/// The end of a run as the kernel saw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::containment) struct CgroupEnd {
    /// Processes that were still in the group, and were ended.
    pub(in crate::containment) ended: u32,
    /// Processes that could not be ended within 10 s.
    pub(in crate::containment) alive: u32,
    /// Whether the kernel has killed a process of the run because of its limit of memory.
    pub(in crate::containment) out_of_memory: bool,
    /// Whether the kernel has refused the run a process because of its limit of processes.
    pub(in crate::containment) out_of_processes: bool,
}

impl RunCgroup {
    /// Makes the groups of a run with these limits. `None` where the system allows none and no limit is wanted.
    ///
    /// # Errors
    /// A group cannot be made or limited.
    pub(in crate::containment) fn make(
        cgroups: &Cgroups,
        run: &str,
        limits: &RunLimits,
    ) -> io::Result<Option<Self>> {
        let mut made = Self {
            folders: Vec::new(),
            kills: None,
            refusals: None,
        };
        if let Ok(host) = &cgroups.unified {
            made.add(host, run)?;
        }
        for controller in limits.controllers() {
            let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
            let place = cgroups.place(controller).map_err(|_| unsupported())?;
            let folder = match place {
                ControllerPlace::Unified => made.folders.first().cloned(),
                ControllerPlace::Separate(host) => Some(made.add(host, run)?),
            };
            let folder = folder.ok_or_else(unsupported)?;
            made.limit(
                folder,
                place == &ControllerPlace::Unified,
                controller,
                limits,
            )?;
        }
        Ok((!made.folders.is_empty()).then_some(made))
    }

    fn add(&mut self, host: &Path, run: &str) -> io::Result<PathBuf> {
        let folder = host.join(run);
        fs::create_dir_all(&folder)?;
        // Two controllers of version 1 may share a hierarchy.
        if !self.folders.contains(&folder) {
            self.folders.push(folder.clone());
        }
        Ok(folder)
    }

    fn limit(
        &mut self,
        folder: PathBuf,
        is_unified: bool,
        controller: Controller,
        limits: &RunLimits,
    ) -> io::Result<()> {
        let set = |file: &str, value: &str| fs::write(folder.join(file), value);
        match controller {
            Controller::Processes => {
                set("pids.max", &limits.processes.unwrap_or(1).to_string())?;
                self.refusals = Some(folder.join("pids.events"));
            }
            Controller::Cpu => {
                let quota = quota(limits.cpu.unwrap_or(1000));
                if is_unified {
                    set("cpu.max", &format!("{quota} {PERIOD}"))?;
                } else {
                    set("cpu.cfs_period_us", &PERIOD.to_string())?;
                    set("cpu.cfs_quota_us", &quota.to_string())?;
                }
            }
            Controller::Memory => {
                let bytes = limits.memory.unwrap_or(0).to_string();
                if is_unified {
                    set("memory.max", &bytes)?;
                    // Half of a killed run is of no use, and its processes may wait for each other.
                    set("memory.oom.group", "1")?;
                    // Kernels without swap accounting have no such file, and swap nothing of a limited group.
                    if_present(set("memory.swap.max", "0"))?;
                } else {
                    set("memory.limit_in_bytes", &bytes)?;
                    if_present(set("memory.memsw.limit_in_bytes", &bytes))?;
                }
                let counter = match is_unified {
                    true => "memory.events",
                    false => "memory.oom_control",
                };
                self.kills = Some(folder.join(counter));
            }
        }
        Ok(())
    }

    /// The files into which a process writes 0 to become a member.
    pub(in crate::containment) fn entries(&self) -> Vec<PathBuf> {
        let folders = self.folders.iter();
        folders.map(|it| it.join("cgroup.procs")).collect()
    }

    /// The file that kills all members at once when 1 is written to it, where the kernel has one.
    pub(in crate::containment) fn kill_file(&self) -> Option<PathBuf> {
        let files = self.folders.iter().map(|it| it.join(KILL_ALL));
        files.into_iter().find(|it| it.exists())
    }

    /// Ends what is left, waits until the kernel reports no member, and removes the groups. Blocks for as long as
    /// processes need to die, 10 s at most.
    pub(in crate::containment) fn finish(mut self) -> CgroupEnd {
        self.close()
    }

    fn close(&mut self) -> CgroupEnd {
        let mut end = CgroupEnd::default();
        let begin = Instant::now();
        loop {
            let members = self.members();
            let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
            if count == 0 {
                break;
            }
            if begin.elapsed() > GIVE_UP {
                end.alive = count;
                break;
            }
            end.ended = end.ended.max(count);
            self.kill(&members, begin.elapsed());
            sleep(PAUSE);
        }
        let counts = |file: &Option<PathBuf>, name: &str| {
            let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
            text.is_some_and(|text| count(&text, name) > 0)
        };
        end.out_of_memory = counts(&self.kills, "oom_kill");
        end.out_of_processes = counts(&self.refusals, "max");
        for folder in self.folders.drain(..) {
            remove(&folder);
        }
        end
    }

    /// The members of all groups.
    fn members(&self) -> Vec<i32> {
        let mut members: Vec<i32> = self.folders.iter().flat_map(|it| members(it)).collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    fn kill(&self, members: &[i32], elapsed: Duration) {
        if let Some(file) = self.kill_file()
            && elapsed < BY_ONE
        {
            let _ = fs::write(file, "1");
            return;
        }
        // Kernels before 5.14, and members of a group of version 1 alone.
        for pid in members.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Ends all members of a group of runs. Returns their number. Blocks, 10 s at most.
pub(super) fn end_all(group: &Path) -> u32 {
    let mut rest = RunCgroup {
        folders: vec![group.to_owned()],
        kills: None,
        refusals: None,
    };
    rest.close().ended
}

impl Drop for RunCgroup {
    fn drop(&mut self) {
        if self.folders.is_empty() {
            return;
        }
        // A runtime that is shutting down drops work instead of doing it: that must not come here again, without end.
        let mut rest = ManuallyDrop::new(Self {
            folders: std::mem::take(&mut self.folders),
            kills: None,
            refusals: None,
        });
        // The runner is still ending the run, and this thread may serve others.
        let mut end = move || {
            let begin = Instant::now();
            while !rest.members().is_empty() && begin.elapsed() < GIVE_UP {
                sleep(10 * PAUSE);
            }
            rest.close();
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(end)),
            Err(_) => end(),
        }
    }
}

/// The file of version 2 that kills all members, descendants included.
const KILL_ALL: &str = "cgroup.kill";

fn if_present(set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        set => set,
    }
}

/// Microseconds of CPU time in each period, from thousandths of a core. The kernel takes no less than 1 ms.
fn quota(thousandths: u32) -> u64 {
    (u64::from(thousandths) * PERIOD / 1000).max(1000)
}

/// The members of a group and of the groups below it, which a run may have made.
pub(super) fn members(folder: &Path) -> Vec<i32> {
    let own = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let own = own.lines().filter_map(|line| line.parse().ok());
    own.chain(below(folder).iter().flat_map(|it| members(it)))
        .collect()
}

/// Removes a group without members, and those below it.
pub(super) fn remove(folder: &Path) {
    for inner in below(folder) {
        remove(&inner);
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(folder = %folder.display(), %error, "a cgroup cannot be removed");
        }
        _ => {}
    }
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let entries = entries.filter_map(Result::ok);
    entries
        .filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|it| it.path())
        .collect()
}

/// The number with this name in a file of events.
fn count(text: &str, wanted: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter(|(name, _)| *name == wanted)
        .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_left_while_the_runtime_shuts_down_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap();
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        let _inside = handle.enter();
        // Its work is dropped at once, which must not begin again.
        drop(RunCgroup {
            folders: vec![PathBuf::from("/no such group")],
            kills: None,
            refusals: None,
        });
    }

    #[test]
    fn kills_are_read_from_both_versions() {
        let kills = |text| count(text, "oom_kill");
        assert_eq!(kills("low 0\noom 3\noom_kill 2\noom_group_kill 1\n"), 2);
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        assert_eq!(kills(""), 0);
    }

    #[test]
    fn cores_become_time_of_each_period() {
        assert_eq!([1500, 250, 1].map(quota), [150_000, 25_000, 1000]);
    }
}
