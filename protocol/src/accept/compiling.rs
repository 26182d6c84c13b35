//! When regexes and schemas are compiled while a request is read, and for how long.
//!
//! A regex of a few bytes may take 100 ms to compile, and a request may hold hundreds. A program that must not stop
//! for that long reads with [`read_known`] first, and with [`read_within`] on another thread where that does not do.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the clauses of one request may take to compile: 5 s of a thread.
pub const COMPILE_LIMIT: Duration = Duration::from_secs(5);

/// Schemas, and as many regexes, that were found good and are not compiled again: the tasks of a batch mostly share one.
pub(super) const KNOWN: usize = 8;

#[derive(Clone, Copy)]
enum Mode {
    /// Compiles, until the time is over.
    Until(Option<Instant>),
    /// Compiles nothing, and notes that there was something to compile.
    OnlyKnown { met_another: bool },
    /// Compiles nothing: another program does.
    Never,
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Until(None)) };
}

/// Puts the old mode back, also after a panic.
struct Restore(Mode);

impl Drop for Restore {
    fn drop(&mut self) {
        MODE.set(self.0);
    }
}

fn read_as<T>(mode: Mode, read: impl FnOnce() -> T) -> (T, Mode) {
    let _restore = Restore(MODE.replace(mode));
    let result = read();
    (result, MODE.get())
}

/// Reads something without compiling anything. `None`: it holds a regex or a schema that was not found good before, and
/// has to be read in another way.
pub fn read_known<T>(read: impl FnOnce() -> T) -> Option<T> {
    let mode = Mode::OnlyKnown { met_another: false };
    let (result, mode) = read_as(mode, read);
    match mode {
        Mode::OnlyKnown { met_another: true } => None,
        _ => Some(result),
    }
}

/// Reads something and compiles what it holds, for at most `limit`; what takes longer is refused.
pub fn read_within<T>(limit: Duration, read: impl FnOnce() -> T) -> T {
    let until = Instant::now().checked_add(limit);
    read_as(Mode::Until(until), read).0
}

/// Reads something without compiling anything, for those who pass it on to the hub, which does.
pub fn read_unchecked<T>(read: impl FnOnce() -> T) -> T {
    read_as(Mode::Never, read).0
}

/// Whether the caller is to compile a regex or a schema now.
///
/// # Errors
/// The time for this request is over.
pub(super) fn is_due() -> Result<bool, String> {
    match MODE.get() {
        Mode::Never => Ok(false),
        Mode::OnlyKnown { .. } => {
            MODE.set(Mode::OnlyKnown { met_another: true });
            Ok(false)
        }
        Mode::Until(Some(until)) if Instant::now() >= until => Err(format!(
            "the clauses of this request take more than {} s to compile; use simpler ones (`\\w` and `\\d` stand for \
             thousands of characters: `[a-z]` and `(?-u:\\w)` are small), or fewer different ones a request",
            COMPILE_LIMIT.as_secs()
        )),
        Mode::Until(_) => Ok(true),
    }
}

/// Texts that were found good, the newest last. Shared by all threads: one compiles, another reads.
pub(super) struct Known(Mutex<Vec<String>>);

impl Known {
    pub(super) const fn new() -> Known {
        Known(Mutex::new(Vec::new()))
    }

    pub(super) fn has(&self, text: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|it| it == text)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn keep(&self, text: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.remove(0);
        }
        known.push(text.to_owned());
    }
}
