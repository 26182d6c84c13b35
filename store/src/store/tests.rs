//! What happens when a statement fails or the code panics.

/// The prompt that makes `enqueue` panic.
pub(crate) const PANIC: &str = "\u{1}panic";

/// Panics on the prompt that asks for it.
pub(crate) fn failpoint(prompt: &str) {
    assert!(prompt != PANIC, "asked to panic");
}
