//! Panics go to the log: a supervised actor's panic is an event like others, not a page of text on the terminal.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// Sends panics of this process to the log, from now on; with the level `debug` also their backtraces.
pub fn to_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(log)));
}

fn log(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::warn!(place, message, "panicked");
    // Resolving a backtrace takes a good part of a second in which nothing else runs on this thread.
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::debug!("{}", Backtrace::force_capture());
    }
}
