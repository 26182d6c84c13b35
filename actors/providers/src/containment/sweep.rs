//! The sweep: finds processes of a dead runner by the marker in their environment and ends them.
//!
//! Blocking, and slow by the standards of an actor (it reads all of /proc): call it from a blocking
//! thread, or at start.

use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::procfs::{ProcessStat, all_pids, environment_holds, stat};
use super::{INSTANCE_VARIABLE, RUN_VARIABLE};

/// A process between fork and exec may hide for an instant, so emptiness must be seen this often in a row.
const CLEAN_LOOKS: u32 = 2;
const PAUSE: Duration = Duration::from_millis(3);
/// What does not die in this time after SIGKILL (another user's, stuck in the kernel) is given up and counted.
const GIVE_UP: Duration = Duration::from_secs(10);

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes ended.
    pub ended: u32,
    /// Processes found that could not be ended within 10 s.
    pub alive: u32,
}

/// Ends all processes of one run whose runner is dead, at once. `runner_pid`, where known, finds also those
/// that dropped their environment but stayed in the runner's session.
#[must_use]
pub fn sweep_run(run: &str, runner_pid: Option<u32>) -> Swept {
    let entry = format!("{RUN_VARIABLE}={run}").into_bytes();
    let session = runner_pid.and_then(|pid| i32::try_from(pid).ok());
    let matches = |it: &ProcessStat| {
        // The runner led that session; it is dead, so a leader would be someone new under its number.
        (Some(it.session) == session && it.pid != it.session) || environment_holds(it.pid, &entry)
    };
    sweep(&matches, Duration::ZERO)
}

/// Ends all processes that runs of an earlier life of this instance left: SIGTERM, `grace`, SIGKILL.
/// Call it at start, when the lock of the data directory is held and before the first run: it would end
/// those of the current life too. This process and its ancestors are spared.
#[must_use]
pub fn sweep_instance(instance: &str, grace: Duration) -> Swept {
    let entry = format!("{INSTANCE_VARIABLE}={instance}").into_bytes();
    let spared = ancestors();
    let matches = |it: &ProcessStat| !spared.contains(&it.pid) && environment_holds(it.pid, &entry);
    sweep(&matches, grace)
}

/// This process, its parent, and so on: started inside a run, a hub must not end itself.
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

/// Signals exactly the process that was seen: the descriptor pins it, then it is looked at again, so a
/// number that passed to someone else in the meantime is spared.
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
