//! A hub of one's own and a client that speaks lines, for tests over a real socket.
//!
//! Each hub is the built binary on a free port, with its files in a directory that goes away with it. Nothing here
//! sleeps for a time that "should do": every wait is for a condition, with [`PATIENCE`] as its bound.

mod client;
pub mod http;
mod hub;
pub mod process;
pub mod scenario;
pub mod tmux;
pub mod venv;

pub use client::Client;
pub use hub::{Hub, Setup, own_settings};

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The bound of every wait: far longer than anything takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A checker of others: from where `tests/setup.sh` puts it, or else from the PATH.
pub fn tool(name: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    let installed = tools.join(name);
    match installed.exists() {
        true => installed,
        false => PathBuf::from(name),
    }
}

/// The word of an error: `stale_lease`, `invalid_params`, ...
pub fn word(error: &Value) -> &str {
    error["data"]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code in {error}"))
}

/// An error's sentence.
pub fn sentence(error: &Value) -> &str {
    error["message"]
        .as_str()
        .unwrap_or_else(|| panic!("no message in {error}"))
}

/// The ids of the tasks in an answer.
pub fn ids(answer: &Value) -> Vec<i64> {
    let tasks = answer["tasks"]
        .as_array()
        .unwrap_or_else(|| panic!("no tasks in {answer}"));
    tasks
        .iter()
        .map(|task| task["task_id"].as_i64().unwrap())
        .collect()
}

/// Looks again and again until something is there.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// The same with a bound of its own, for what takes longer than anything of ours.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < patience, "waited in vain until {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
