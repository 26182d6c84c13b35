//! A failing disk for tests: it affects the log of the store on the calling thread.

use std::cell::Cell;

/// A failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// Everything is written, but the sync fails.
    Sync,
    /// A write is torn before its end, and fails.
    Write {
        /// Bytes that are not written.
        missing: usize,
    },
}

thread_local! {
    static ONCE: Cell<Option<DiskFault>> = const { Cell::new(None) };
    static THEN: Cell<Option<DiskFault>> = const { Cell::new(None) };
}

/// This thread's log meets one fault, and from then on the other, until the next call.
pub(crate) fn plan(once: Option<DiskFault>, then: Option<DiskFault>) {
    ONCE.set(once);
    THEN.set(then);
}

/// Whether the first fault has happened.
pub(crate) fn has_struck() -> bool {
    ONCE.get().is_none()
}

/// The fault that happens now, if it is of this kind.
fn strikes(can: impl Fn(DiskFault) -> bool) -> Option<DiskFault> {
    match ONCE.get() {
        Some(fault) if can(fault) => ONCE.take(),
        Some(_) => None,
        None => THEN.get().filter(|fault| can(*fault)),
    }
}

/// Whether this sync fails.
pub(super) fn sync() -> bool {
    strikes(|fault| fault == DiskFault::Sync).is_some()
}

/// The bytes of a write that reach the file, if it fails.
pub(super) fn write(length: usize) -> Option<usize> {
    match strikes(|fault| fault != DiskFault::Sync) {
        Some(DiskFault::Write { missing }) => Some(length.saturating_sub(missing)),
        _ => None,
    }
}
