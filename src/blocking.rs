//! The runtime of the main thread, which always has a thread for blocking work.
//!
//! Where the system gives no more threads, blocking work waits for a helper that is there. Without any, tokio panics in
//! the actor that asked.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// How long a helper stays that has nothing to do. A burst of work (all sessions of a pool at its start) makes a helper for
/// each, and they count against the limit of processes that the programs of tasks need.
const STAYS: Duration = Duration::from_secs(5);

/// A runtime for one thread whose helpers go after a while.
///
/// # Errors
/// The system gives no event queue.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(STAYS)
        .build()
}

/// Keeps one helper of the current runtime alive, for ever.
pub async fn keep_a_helper() {
    loop {
        // One that has work more often than it may be idle does not end.
        let _ = spawn_blocking(|| ()).await;
        sleep(STAYS / 3).await;
    }
}
