//! The reason why an answer was not accepted: one line for tables, then the details.

/// Maximum length of one clause's sentence, in characters.
const SENTENCE: usize = 1500;

/// The results of the clauses, in order.
#[derive(Debug, Default)]
pub(super) struct Reason {
    checked: usize,
    faults: Vec<String>,
    details: String,
}

impl Reason {
    /// Adds the result of one clause; `None` means that it holds. `details` is the last output of a program that
    /// found the fault.
    pub(super) fn note(&mut self, fault: Option<String>, details: &str) {
        self.checked += 1;
        let Some(fault) = fault else { return };
        let mut line = fault.replace(['\n', '\r'], " ");
        if let Some((at, _)) = line.char_indices().nth(SENTENCE) {
            line.truncate(at);
            line.push_str("...");
        }
        self.faults.push(line);
        self.details.push_str(details);
    }

    /// Returns `None` if all clauses hold.
    pub(super) fn text(self) -> Option<String> {
        if self.faults.is_empty() {
            return None;
        }
        let (failed, all) = (self.faults.len(), self.checked);
        let of = match (failed, all) {
            (_, 1) => String::new(),
            _ => format!(" ({failed} of {all} clauses)"),
        };
        let mut text = format!("not accepted{of}: {}", self.faults.join("; "));
        if !self.details.is_empty() {
            text.push_str(";\nits output ended with:\n");
            text.push_str(&self.details);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_failed_clauses_are_reported_in_order() {
        let mut reason = Reason::default();
        reason.note(Some("a\nb".to_owned()), "");
        reason.note(None, "ignored");
        reason.note(Some("c".to_owned()), "FAILED test_x");
        assert_eq!(
            reason.text().unwrap(),
            "not accepted (2 of 3 clauses): a b; c;\nits output ended with:\nFAILED test_x"
        );
        let mut good = Reason::default();
        good.note(None, "");
        assert_eq!(good.text(), None);
    }
}
