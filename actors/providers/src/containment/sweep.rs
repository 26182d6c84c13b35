//! The sweep: finds the processes of a dead runner by the marker in their environment and ends them.
//!
//! It blocks, because it reads all of /proc: call it from a blocking thread, or at start.

use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::procfs::{ProcessStat, all_pids, environment_holds, stat};
use super::{INSTANCE_VARIABLE, RUN_VARIABLE};

/// Searches in a row that must find nothing: a process between fork and exec can be invisible for an instant.
const CLEAN_LOOKS: u32 = 2;
const PAUSE: Duration = Duration::from_millis(3);
/// Time after which a process that survives SIGKILL (another user's, or stuck in the kernel) is counted as alive.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The result of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes ended.
    pub ended: u32,
    /// Processes found that could not be ended within 10 s.
    pub alive: u32,
}

/// Ends all processes of one run whose runner is dead, at once. With `runner_pid` it also finds processes that cleared
/// their environment but stayed in the runner's session.
#[must_use]
pub fn sweep_run(run: &str, runner_pid: Option<u32>) -> Swept {
    let entry = format!("{RUN_VARIABLE}={run}").into_bytes();
    let session = runner_pid.and_then(|pid| i32::try_from(pid).ok());
    let matches = |it: &ProcessStat| {
        // The runner led that session and is dead, so a session leader is a new process with the same id.
        (Some(it.session) == session && it.pid != it.session) || environment_holds(it.pid, &entry)
    };
    sweep(&matches, Duration::ZERO)
}

/// Ends all processes that runs of an earlier process of this instance left: SIGTERM, then SIGKILL after `grace`. Call it
/// at start, after the data directory is locked and before the first run, because it would end current runs too. This
/// process and its ancestors are spared.
#[must_use]
pub fn sweep_instance(instance: &str, grace: Duration) -> Swept {
    let entry = format!("{INSTANCE_VARIABLE}={instance}").into_bytes();
    let spared = ancestors();
    let matches = |it: &ProcessStat| !spared.contains(&it.pid) && environment_holds(it.pid, &entry);
    sweep(&matches, grace)
}

/// This process, its parent, and so on. A hub that was started inside a run must not end itself.
fn ancestors() -> HashSet<i32> {
    let mut found = HashSet::new();
    let mut next = i32::try_from(std::process::id()).unwrap_or(0);
    while next > 0 && found.insert(next) {
        next = stat(next).map_or(0, |it| it.parent);
    }
    found
}

pub(super) fn sweep(matches: &dyn Fn(&ProcessStat) -> bool, grace: Duration) -> Swept {
    let begin = Instant::now();
    let mut seen = HashSet::new();
    let mut clean = 0;
    while clean < CLEAN_LOOKS {
        let found = find(matches);
        let elapsed = begin.elapsed();
        if found.is_empty() {
            clean += 1;
        } else if elapsed > grace + GIVE_UP {
            return report(&seen, &found);
        } else {
            clean = 0;
        }
        for it in &found {
            let new = seen.insert((it.pid, it.start));
            if elapsed >= grace {
                signal(it, Signal::KILL, matches);
            } else if new {
                signal(it, Signal::TERM, matches);
            }
        }
        sleep(PAUSE);
    }
    report(&seen, &[])
}

fn report(seen: &HashSet<(i32, u64)>, alive: &[ProcessStat]) -> Swept {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Swept {
        ended: count(seen.len().saturating_sub(alive.len())),
        alive: count(alive.len()),
    }
}

fn find(matches: &dyn Fn(&ProcessStat) -> bool) -> Vec<ProcessStat> {
    all_pids()
        .into_iter()
        .filter_map(stat)
        .filter(|it| !it.is_dead() && matches(it))
        .collect()
}

/// Signals exactly the process that was seen. The descriptor pins the process before it is checked again, so that a new
/// process with the same id is spared.
fn signal(seen: &ProcessStat, signal: Signal, matches: &dyn Fn(&ProcessStat) -> bool) {
    let Some(pid) = Pid::from_raw(seen.pid) else {
        return;
    };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if !stat(seen.pid).is_some_and(|now| now.start == seen.start && matches(&now)) {
        return;
    }
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::warn!(pid = seen.pid, %error, "cannot end a left-over process"),
    }
}
