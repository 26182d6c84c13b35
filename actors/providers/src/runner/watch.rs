//! The runner's loop: passes deaths, orders and time to the machine, and carries out its steps.

use std::io::{PipeReader, Read};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use super::Arguments;
use super::children::{alive, reap, signal_all};
use super::control::Control;
use super::machine::{EndingMachine, EndingStep};
use super::signals::STOP;
use crate::containment::{Exit, RunnerReport};

/// Returns when no process of the program is left, or the remaining ones cannot be ended.
pub(super) fn until_all_ended(
    program: i32,
    control: &mut Control,
    signals: &PipeReader,
    mut machine: EndingMachine,
    arguments: &Arguments,
) -> RunnerReport {
    let begin = Instant::now();
    let mut exit = None;
    let mut stragglers = 0;
    loop {
        let reaped = reap(program);
        if machine.is_ending() {
            stragglers += reaped.others;
        }
        if reaped.program.is_some() {
            exit = reaped.program;
            machine.program_ended(begin.elapsed());
        }
        if reaped.none_left {
            return ended(exit, stragglers, 0);
        }
        let timeout = match machine.step(begin.elapsed()) {
            EndingStep::Wait(timeout) => timeout,
            EndingStep::Terminate => {
                // The program's own stop signal means nothing to its descendants.
                signal_all(match exit {
                    None => arguments.stop,
                    Some(_) => Signal::TERM,
                });
                // A stopped process handles its SIGTERM only after it is continued.
                signal_all(Signal::CONT);
                continue;
            }
            EndingStep::Kill(round) => {
                // All at once: processes that fork faster than they are killed one by one do not escape it.
                if let Some(file) = &arguments.confinement.kill {
                    let _ = std::fs::write(file, "1");
                }
                signal_all(Signal::KILL);
                Some(round)
            }
            EndingStep::GiveUp => {
                let left = u32::try_from(alive().len()).unwrap_or(u32::MAX);
                return ended(exit, stragglers, left);
            }
        };
        if wait_for_event(control, signals, timeout) {
            machine.stop(begin.elapsed());
        }
    }
}

/// The last report. Where the exit of the program was not seen, the runner killed it.
fn ended(exit: Option<Exit>, stragglers: u32, alive: u32) -> RunnerReport {
    RunnerReport::Ended {
        exit: exit.unwrap_or(Exit::Signal(Signal::KILL.as_raw())),
        stragglers,
        alive,
    }
}

/// Waits for a death, an order or the timeout. True when everything must end.
fn wait_for_event(
    control: &mut Control,
    mut signals: &PipeReader,
    timeout: Option<Duration>,
) -> bool {
    let timeout = timeout.and_then(|it| Timespec::try_from(it).ok());
    let mut watched = vec![PollFd::new(signals, PollFlags::IN)];
    let socket = control.polled();
    if let Some(socket) = &socket {
        watched.push(PollFd::new(socket, PollFlags::IN));
    }
    // An interruption is a signal, whose byte is in the pipe for the next round.
    let _ = poll(&mut watched, timeout.as_ref());
    let spoken = watched.get(1).is_some_and(|it| !it.revents().is_empty());

    let mut stop = spoken && control.wants_stop();
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = signals.read(&mut bytes) {
        stop |= bytes[..count].contains(&STOP);
    }
    stop
}
