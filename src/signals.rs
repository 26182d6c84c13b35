//! Signals that stop a process that serves, or reload its settings.

use nix::sys::signal::SigSet;
use std::fmt;
use std::fs;
use std::io;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The action that a signal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An orderly stop.
    Stop(SignalCause),
    /// A reload of the settings: SIGHUP, except that of a closed terminal.
    Reload,
}

/// The signal that requests the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalCause {
    /// SIGTERM.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGHUP of a closed terminal.
    Hangup,
}

impl SignalCause {
    /// The exit code for this signal, as in shells: 128 plus the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            SignalCause::Terminate => 128 + 15,
            SignalCause::Interrupt => 128 + 2,
            SignalCause::Hangup => 128 + 1,
        }
    }
}

impl fmt::Display for SignalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignalCause::Terminate => "SIGTERM",
            SignalCause::Interrupt => "SIGINT",
            SignalCause::Hangup => "the terminal was closed",
        })
    }
}

/// Receives the signals of this process.
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
    /// Whether the close of the terminal stops this process: it has a terminal and does not run under `nohup`.
    stops_with_terminal: bool,
}

impl Signals {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn listen() -> io::Result<Signals> {
        // Before the handler for SIGHUP is installed: with a handler, the signal is no longer ignored.
        let stops_with_terminal = has_terminal() && !is_ignored(SignalKind::hangup());
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            stops_with_terminal,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop(SignalCause::Terminate),
            _ = self.interrupt.recv() => Signal::Stop(SignalCause::Interrupt),
            // The system detaches a closed terminal before it sends the signal. While the process has its terminal, the
            // signal is from a person or a program.
            _ = self.hangup.recv() => match self.stops_with_terminal && !has_terminal() {
                true => Signal::Stop(SignalCause::Hangup),
                false => Signal::Reload,
            },
        }
    }
}

/// Unblocks all signals that the parent of this process has blocked. A blocked SIGTERM would not stop the process, and a
/// blocked SIGCHLD would hide the ends of its programs. Call it before any thread is started, because threads and programs
/// inherit the blocked signals.
pub fn unblock() {
    // Fails only for an unknown operation.
    let _ = SigSet::empty().thread_set_mask();
}

/// Whether this process has a controlling terminal.
fn has_terminal() -> bool {
    fs::File::open("/dev/tty").is_ok()
}

/// Whether a signal is ignored now. False if the system does not report it.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    ignored.is_some_and(|bits| bits & 1 << (kind.as_raw_value() - 1) != 0)
}
