//! For fault tests: a thread that hangs.

use kirosu_supervision::ThreadRegistry;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Names the thread and the time, as `readers 2s`.
const VARIABLE: &str = "KIROSU_FAULT_HANG";

/// From now on SIGUSR2 hangs the thread that the variable `KIROSU_FAULT_HANG` names, for as long as it says.
///
/// # Errors
/// When the signal cannot be taken over, or the variable cannot be read.
pub fn hang_on_signal(threads: &ThreadRegistry) -> io::Result<()> {
    let Ok(what) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    let unreadable = || io::Error::other(format!("cannot read {VARIABLE}={what}"));
    let (thread, lasting) = what.split_once(' ').ok_or_else(unreadable)?;
    let lasting = humantime::parse_duration(lasting).map_err(|_| unreadable())?;
    let (thread, threads) = (thread.to_owned(), threads.clone());
    let mut asked = signal(SignalKind::user_defined2())?;
    tokio::task::spawn_local(async move {
        while asked.recv().await.is_some() {
            let hung = threads.inject_hang(&thread, lasting);
            tracing::warn!(thread, hung, "a hang was asked for");
        }
    });
    Ok(())
}
