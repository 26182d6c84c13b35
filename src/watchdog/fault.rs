//! A hanging thread, for fault tests.

use kirosu_supervision::ThreadRegistry;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Environment variable with the thread's label and the duration, such as `reader-1 2s`.
const VARIABLE: &str = "KIROSU_FAULT_HANG";

/// Installs a handler for SIGUSR2 that blocks the thread that `KIROSU_FAULT_HANG` names, for the duration that it names.
///
/// # Errors
/// The signal handler cannot be installed, or the variable has another form.
pub fn hang_on_signal(threads: &ThreadRegistry) -> io::Result<()> {
    let Ok(value) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    let unreadable = || io::Error::other(format!("cannot read {VARIABLE}={value}"));
    let (thread, lasting) = value.split_once(' ').ok_or_else(unreadable)?;
    let lasting = humantime::parse_duration(lasting).map_err(|_| unreadable())?;
    let (thread, threads) = (thread.to_owned(), threads.clone());
    let mut signals = signal(SignalKind::user_defined2())?;
    tokio::task::spawn_local(async move {
        while signals.recv().await.is_some() {
            let hung = threads.inject_hang(&thread, lasting);
            tracing::warn!(thread, hung, "injected a hang");
        }
    });
    Ok(())
}
