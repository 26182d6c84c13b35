//! For tests: a log whose disk fails, for the store of the thread that asks for it.

use std::cell::Cell;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// All is written, the sync fails.
    Sync,
    /// A write is torn so many bytes before its end, and fails.
    Write {
        /// The bytes that are missing.
        missing: usize,
    },
}

thread_local! {
    static ONCE: Cell<Option<Fault>> = const { Cell::new(None) };
    static THEN: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// This thread's log meets one fault, and from then on the other, until it is called again.
pub(crate) fn plan(once: Option<Fault>, then: Option<Fault>) {
    ONCE.set(once);
    THEN.set(then);
}

/// Whether the fault that strikes once has struck.
pub(crate) fn has_struck() -> bool {
    ONCE.get().is_none()
}

/// The fault that strikes now, if it is of the kind that can.
fn strikes(can: impl Fn(Fault) -> bool) -> Option<Fault> {
    match ONCE.get() {
        Some(fault) if can(fault) => ONCE.take(),
        Some(_) => None,
        None => THEN.get().filter(|fault| can(*fault)),
    }
}

/// Whether this sync fails.
pub(super) fn sync() -> bool {
    strikes(|fault| fault == Fault::Sync).is_some()
}

/// How many bytes of a write reach the file, if it fails.
pub(super) fn write(length: usize) -> Option<usize> {
    match strikes(|fault| fault != Fault::Sync) {
        Some(Fault::Write { missing }) => Some(length.saturating_sub(missing)),
        _ => None,
    }
}
