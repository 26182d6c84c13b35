//! Processes that a reused program started for one job and that continue after it.
//!
//! The runner is a subreaper: a process whose parent died becomes the runner's child. So a process that a tool left in the
//! background is a child of the runner, and is ended here. A new process that is still a child of the program may be one
//! that the program needs; it is counted, and the caller decides.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::procfs::{ProcessStat, all_pids, stat};
use super::sweep::sweep;

/// Time to wait for processes that are just exiting.
const PATIENCE: Duration = Duration::from_millis(250);
/// Time between two searches.
const PAUSE: Duration = Duration::from_millis(20);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(250);
/// Ticks per second in the times of /proc: USER_HZ, the same on every supported architecture.
const TICKS: u64 = 100;

/// A point in time in the unit of process start times in /proc: ticks since boot, 10 ms each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Mark {
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let [seconds, nanos] = [now.tv_sec, now.tv_nsec].map(|it| u64::try_from(it).unwrap_or(0));
        Self(seconds * TICKS + nanos / (1_000_000_000 / TICKS))
    }
}

/// The result of a search for leftovers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    /// Processes that were ended.
    pub(crate) ended: u32,
    /// Processes below the program, or that could not be ended, which continue.
    pub(crate) alive: u32,
}

/// Ends the processes that were started below the runner since `mark` and whose parent is gone. Blocking: it reads all of
/// /proc.
pub(crate) fn end_leftovers(runner: u32, program: u32, mark: Mark) -> Leftovers {
    let [Ok(runner), Ok(program)] = [runner, program].map(i32::try_from) else {
        return Leftovers::default();
    };
    let is_new = |it: &ProcessStat| it.start >= mark.0 && it.pid != program;
    let begin = Instant::now();
    let mut found = below(runner, is_new);
    while found > 0 && begin.elapsed() < PATIENCE {
        sleep(PAUSE);
        found = below(runner, is_new);
    }
    if found == 0 {
        return Leftovers::default();
    }
    let is_orphan = |it: &ProcessStat| it.parent == runner && is_new(it);
    let swept = sweep(&is_orphan, GRACE);
    Leftovers {
        ended: swept.ended,
        alive: below(runner, is_new),
    }
}

/// The number of living processes below `root` that satisfy a condition.
fn below(root: i32, condition: impl Fn(&ProcessStat) -> bool) -> u32 {
    let all: Vec<ProcessStat> = all_pids().into_iter().filter_map(stat).collect();
    let parents: HashMap<i32, i32> = all.iter().map(|it| (it.pid, it.parent)).collect();
    let is_below = |pid: i32| {
        let mut next = pid;
        // Bounded: where a process id was reused, the snapshot may contain a cycle.
        for _ in 0..parents.len() {
            match parents.get(&next) {
                Some(&parent) if parent == root => return true,
                Some(&parent) => next = parent,
                None => return false,
            }
        }
        false
    };
    let found = all
        .iter()
        .filter(|it| !it.is_dead() && condition(it) && is_below(it.pid));
    u32::try_from(found.count()).unwrap_or(u32::MAX)
}
