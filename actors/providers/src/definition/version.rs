//! The comparison of program versions.

use super::Definition;

impl Definition {
    /// Whether the program is older than the oldest version that is known to work. `stated` is its version line. False
    /// where either of them contains no version.
    #[must_use]
    pub fn is_too_old(&self, stated: &str) -> bool {
        let oldest = self.oldest.as_deref().and_then(version);
        match (version(stated), oldest) {
            (Some(found), Some(oldest)) => found < oldest,
            _ => false,
        }
    }
}

/// The first numbers joined by dots: `codex-cli 0.169.0`, `2.1.330 (Claude Code)`, `v1.2`.
fn version(text: &str) -> Option<Vec<u64>> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|word| word.trim_matches('.'))
        .filter(|word| word.contains('.'))
        .find_map(|word| word.split('.').map(|it| it.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let definition = Definition {
            oldest: Some("0.61".to_owned()),
            ..Definition::default()
        };
        for old in ["0.20.0", "codex-cli 0.40.0", "v0.60.99 (x)"] {
            assert!(definition.is_too_old(old), "{old}");
        }
        for good in ["0.61.0", "0.61", "gemini 1.0.0-preview.1", "there", "", "7"] {
            assert!(!definition.is_too_old(good), "{good}");
        }
        assert!(!Definition::default().is_too_old("0.1"));
    }
}
