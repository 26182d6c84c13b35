//! The processes below the runner. It is a subreaper, so every orphan becomes its child sooner or later.

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpgrp, getpid, kill_process, kill_process_group, wait,
};

use crate::containment::{Exit, ProcessStat, children_of};

/// The result of one search for dead children.
pub(super) struct Reaped {
    /// The exit of the program itself, if it has just ended.
    pub(super) program: Option<Exit>,
    /// The number of other children that ended.
    pub(super) others: u32,
    /// Whether no child is left, alive or dead.
    pub(super) none_left: bool,
}

/// Reads the exit status of all dead children. Does not wait.
pub(super) fn reap(program: i32) -> Reaped {
    let mut reaped = Reaped {
        program: None,
        others: 0,
        none_left: false,
    };
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == program => {
                reaped.program = Some(exit(status));
            }
            Ok(Some(_)) => reaped.others += 1,
            Err(Errno::INTR) => {}
            Ok(None) => return reaped,
            Err(_) => {
                reaped.none_left = true;
                return reaped;
            }
        }
    }
}

fn exit(status: WaitStatus) -> Exit {
    match status.exit_status() {
        Some(code) => Exit::Code(code),
        None => Exit::Signal(status.terminating_signal().unwrap_or(0)),
    }
}

/// Children that are running.
pub(super) fn alive() -> Vec<ProcessStat> {
    let mut children = children_of(getpid().as_raw_nonzero().get());
    children.retain(|it| !it.is_dead());
    children
}

/// Signals every child and its whole process group. Their ids cannot be reused in the meantime, because only the runner
/// frees them by reaping. A group is signalled at once, so a fork inside it cannot escape.
pub(super) fn signal_all(signal: Signal) {
    let own_group = getpgrp().as_raw_nonzero().get();
    for child in alive() {
        if let Some(group) = Pid::from_raw(child.group)
            && child.group != own_group
        {
            let _ = kill_process_group(group, signal);
        }
        if let Some(pid) = Pid::from_raw(child.pid) {
            let _ = kill_process(pid, signal);
        }
    }
}
