//! The signals that stop a process that serves, or make it read its settings again.

use nix::sys::signal::SigSet;
use std::fmt;
use std::fs;
use std::io;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// To end in good order.
    Stop(Cause),
    /// To read the configuration again: SIGHUP, unless it is that of a terminal that was closed.
    Reload,
}

/// The signal that asks for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGTERM.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGHUP of a terminal that was closed.
    Hangup,
}

impl Cause {
    /// The exit code of a program that ends of it, as shells count: 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Cause::Terminate => 128 + 15,
            Cause::Interrupt => 128 + 2,
            Cause::Hangup => 128 + 1,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Terminate => "SIGTERM",
            Cause::Interrupt => "SIGINT",
            Cause::Hangup => "the terminal was closed",
        })
    }
}

/// The signals of this process from now on.
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
    /// Whether a terminal that is closed ends this process: it was started on one, and not under `nohup`.
    is_of_terminal: bool,
}

impl Signals {
    /// Takes over the process's signals.
    ///
    /// # Errors
    /// The system gives no handler.
    pub fn listen() -> io::Result<Signals> {
        // Asked before the handler for it takes its place.
        let is_of_terminal = has_terminal() && !is_ignored(SignalKind::hangup());
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            is_of_terminal,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop(Cause::Terminate),
            _ = self.interrupt.recv() => Signal::Stop(Cause::Interrupt),
            // The system takes the terminal from its processes before it sends them the signal. As long as there is
            // one, a person or a program has sent it.
            _ = self.hangup.recv() => match self.is_of_terminal && !has_terminal() {
                true => Signal::Stop(Cause::Hangup),
                false => Signal::Reload,
            },
        }
    }
}

/// Lets all signals through that the parent of this process has blocked: a blocked SIGTERM would not end it, and a blocked
/// SIGCHLD not tell it of the ends of its programs. To be called before any thread is started, as threads and programs
/// inherit what is blocked.
pub fn unblock() {
    // It fails only for an operation that the system does not know.
    let _ = SigSet::empty().thread_set_mask();
}

/// Whether this process has a controlling terminal.
fn has_terminal() -> bool {
    fs::File::open("/dev/tty").is_ok()
}

/// Whether a signal is ignored now. `false` where the system does not say it.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    ignored.is_some_and(|bits| bits & 1 << (kind.as_raw_value() - 1) != 0)
}
