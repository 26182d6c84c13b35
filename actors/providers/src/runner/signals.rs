//! The runner's signals as bytes in a pipe, so that one poll waits for everything.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::ioctl_fionbio;
use rustix::process::Signal;

/// Written when a child died.
pub(super) const CHILD: u8 = b'c';
/// Written when the runner gets a signal to end. It then ends the program and does not just die.
pub(super) const STOP: u8 = b's';

/// Installs handlers for the relevant signals. Handlers do not survive exec, so the program has the defaults.
///
/// # Errors
/// When the pipe or a handler cannot be set up.
pub(super) fn listen() -> io::Result<PipeReader> {
    let (reader, writer) = io::pipe()?;
    // A full pipe must not block a handler. Its content is enough to wake the runner.
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
