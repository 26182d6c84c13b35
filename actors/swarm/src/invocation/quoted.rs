//! Texts of others within a prompt, which can neither imitate nor end the part that quotes them: each line begins with a bar, and the
//! lines around them have a mark that the prompt does not contain.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Adds a quoted text, which ends with a line break.
pub(super) fn quote(text: &mut String, quoted: &str) {
    // A lone carriage return ends a line for many programs.
    for line in quoted.split(['\n', '\r']) {
        text.push_str("| ");
        text.push_str(line);
        text.push('\n');
    }
}

/// Eight hex digits that the prompt does not contain.
pub(super) fn mark_for(prompt: &str) -> String {
    let mut hasher = DefaultHasher::new();
    prompt.hash(&mut hasher);
    loop {
        let mark = format!("{:08x}", hasher.finish() as u32);
        if !prompt.contains(&mark) {
            return mark;
        }
        mark.hash(&mut hasher);
    }
}
