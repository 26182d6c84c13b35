//! Controls whether, and for how long, regexes and schemas are compiled while a request is read.
//!
//! A regex of a few bytes can take 100 ms to compile, and a request can contain hundreds. A program that must not block for
//! so long reads with [`read_known`] first, and if that returns `None`, with [`read_within`] on another thread.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time that the clauses of one request may take to compile: 5 s.
pub const COMPILE_LIMIT: Duration = Duration::from_secs(5);

/// The number of schemas, and of regexes, that are remembered as valid and not compiled again. The tasks of a batch mostly have
/// the same.
pub(super) const KNOWN: usize = 8;

#[derive(Clone, Copy)]
enum CompileMode {
    /// Compile until this time; `None` means without a limit.
    Until(Option<Instant>),
    /// Compile nothing; record whether there was an unknown text.
    OnlyKnown { met_another: bool },
    /// Compile nothing: another program does.
    Never,
}

thread_local! {
    static MODE: Cell<CompileMode> = const { Cell::new(CompileMode::Until(None)) };
}

/// Restores the previous mode when dropped, also after a panic.
struct Restore(CompileMode);

impl Drop for Restore {
    fn drop(&mut self) {
        MODE.set(self.0);
    }
}

fn read_as<T>(mode: CompileMode, read: impl FnOnce() -> T) -> (T, CompileMode) {
    let _restore = Restore(MODE.replace(mode));
    let result = read();
    (result, MODE.get())
}

/// Calls `read` without compiling anything. Also returns whether all regexes and schemas that it met are known to be valid.
pub fn read_known<T>(read: impl FnOnce() -> T) -> (T, bool) {
    let mode = CompileMode::OnlyKnown { met_another: false };
    let (result, mode) = read_as(mode, read);
    let met_another = matches!(mode, CompileMode::OnlyKnown { met_another: true });
    (result, !met_another)
}

/// Calls `read`, which compiles regexes and schemas for at most `limit`; a clause after that is refused.
pub fn read_within<T>(limit: Duration, read: impl FnOnce() -> T) -> T {
    let until = Instant::now().checked_add(limit);
    read_as(CompileMode::Until(until), read).0
}

/// Calls `read` without compiling anything, for a program that passes the request on to the hub, which compiles it.
pub fn read_unchecked<T>(read: impl FnOnce() -> T) -> T {
    read_as(CompileMode::Never, read).0
}

/// Whether the caller must compile a regex or a schema now.
///
/// # Errors
/// The message of the refusal, if the time for this request is over.
pub(super) fn is_due() -> Result<bool, String> {
    match MODE.get() {
        CompileMode::Never => Ok(false),
        CompileMode::OnlyKnown { .. } => {
            MODE.set(CompileMode::OnlyKnown { met_another: true });
            Ok(false)
        }
        CompileMode::Until(Some(until)) if Instant::now() >= until => Err(format!(
            "the clauses of this request take more than {} s to compile; use simpler ones (`\\w` and `\\d` mean \
             thousands of characters: `[a-z]` and `(?-u:\\w)` are small), or fewer different ones per request",
            COMPILE_LIMIT.as_secs()
        )),
        CompileMode::Until(_) => Ok(true),
    }
}

/// Texts that are known to be valid, the newest last. All threads share them: one compiles, another reads.
pub(super) struct ValidTexts(Mutex<Vec<String>>);

impl ValidTexts {
    pub(super) const fn new() -> ValidTexts {
        ValidTexts(Mutex::new(Vec::new()))
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
