//! The runtime of the main thread, which always has at least one thread for blocking work.
//!
//! If the system refuses further threads, blocking work waits for an existing one. Without any, tokio panics in the actor
//! that spawned the work.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Time after which an idle thread for blocking work ends. A burst of work (all sessions of a pool at its start) starts a
/// thread for each piece, and these threads count against the limit of processes that the tasks' programs need.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A runtime for one thread, whose idle threads for blocking work end after [`KEEP_ALIVE`].
///
/// # Errors
/// The system refuses an event queue.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(KEEP_ALIVE)
        .build()
}

/// Keeps one thread for blocking work of the current runtime alive. Never returns.
pub async fn keep_a_thread() {
    loop {
        // Work at intervals below the idle time keeps the thread from ending.
        let _ = spawn_blocking(|| ()).await;
        sleep(KEEP_ALIVE / 3).await;
    }
}
