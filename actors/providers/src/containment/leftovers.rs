//! Processes that a kept program started for one piece of work and that go on after it.
//!
//! The runner is a subreaper: a process whose parent has died becomes the runner's child. So what a tool left behind in the
//! background is a child of the runner beside the program; it is ended here. A new process that is still the program's own
//! child may be one that the program needs; it is counted, and whoever keeps the program decides.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::procfs::{ProcessStat, all_pids, stat};
use super::sweep::sweep;

/// How long processes that are just ending are waited for.
const PATIENCE: Duration = Duration::from_millis(250);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(250);
/// Ticks of a second in the times of /proc: USER_HZ, the same on every architecture that is built for.
const TICKS: u64 = 100;

/// A point in time, in the ticks since boot (10 ms each) in which /proc states when a process was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Mark {
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let [seconds, nanos] = [now.tv_sec, now.tv_nsec].map(|it| u64::try_from(it).unwrap_or(0));
        Self(seconds * TICKS + nanos / (1_000_000_000 / TICKS))
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    /// Processes that were ended.
    pub(crate) ended: u32,
    /// Processes below the program, or out of reach, that go on.
    pub(crate) alive: u32,
}

/// Ends what was started below the runner since `mark` and whose parent is gone. Blocking: it reads all of /proc.
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

/// How many living processes below `root` satisfy a condition.
fn below(root: i32, condition: impl Fn(&ProcessStat) -> bool) -> u32 {
    let all: Vec<ProcessStat> = all_pids().into_iter().filter_map(stat).collect();
    let parents: HashMap<i32, i32> = all.iter().map(|it| (it.pid, it.parent)).collect();
    let is_below = |pid: i32| {
        let mut next = pid;
        // As deep as a tree can be: the snapshot may hold a circle where a number passed to another process.
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
