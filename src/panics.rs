//! Panics in the log: the panic of a supervised actor is one log event and prints nothing on the terminal.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// Installs a panic hook that logs panics, with backtraces at the level `debug`.
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
    // Resolving a backtrace blocks the thread for a considerable part of a second.
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::debug!("{}", Backtrace::force_capture());
    }
}
