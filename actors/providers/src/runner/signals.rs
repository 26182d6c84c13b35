//! Signals of the runner as bytes in a pipe, so that one poll waits for everything.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::ioctl_fionbio;
use rustix::process::Signal;

/// Written when a child died.
pub(super) const CHILD: u8 = b'c';
/// Written when someone asks the runner to end: it ends the program then, it never just dies.
pub(super) const STOP: u8 = b's';

/// Takes over the signals that matter. Handlers do not survive exec, so the program has the defaults.
pub(super) fn listen() -> io::Result<PipeReader> {
    let (reader, writer) = io::pipe()?;
    // A full pipe must not block a handler; what it holds is enough to wake us.
    ioctl_fionbio(&writer, true)?;
    ioctl_fionbio(&reader, true)?;
    let writer = Arc::new(writer);
    take(Signal::CHILD, CHILD, &writer)?;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        take(signal, STOP, &writer)?;
    }
    Ok(reader)
}

#[allow(unsafe_code)]
fn take(signal: Signal, byte: u8, writer: &Arc<PipeWriter>) -> io::Result<()> {
    let writer = Arc::clone(writer);
    let handler = move || {
        let _ = rustix::io::write(writer.as_fd(), &[byte]);
    };
    // SAFETY: the handler does one write(2), which is async-signal-safe; it does not allocate, lock or panic.
    unsafe { signal_hook_registry::register(signal.as_raw(), handler) }?;
    Ok(())
}
