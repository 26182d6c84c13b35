//! Whether an attempt resumes the work of the previous one: the one rule for a task's files and its conversation.
//!
//! Files and conversation belong together. An agent that resumes a conversation without its files believes that its
//! work is done; one that starts anew among half-finished files takes them for the task. So both use this rule.

/// How a task's last attempt on this machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastAttempt<'a> {
    /// `done` or the failure class as providers name it; `None` means that the attempt was lost and its end is
    /// unknown.
    pub(crate) ended: Option<&'a str>,
    /// The attempt's number at the hub, from 1; 0 if a record of an earlier version does not have it.
    pub(crate) number: u32,
    /// A person cancelled the task.
    pub(crate) withdrawn: bool,
}

impl LastAttempt<'_> {
    /// Whether the attempt with this number resumes both files and conversation. `false` means that it starts with
    /// neither.
    pub(crate) fn resumes_in(self, number: u32) -> bool {
        if self.withdrawn || self.is_retried_by_hand(number) {
            return false;
        }
        self.ended.is_none_or(is_cut_short)
    }

    /// The hub counts the attempts of a retried task from 1 again. Otherwise the next attempt has the next number, or
    /// the same one if the last attempt did not count.
    fn is_retried_by_hand(self, number: u32) -> bool {
        let counted = self.ended.is_some_and(counts);
        self.number > 0 && (number < self.number || (number == self.number && counted))
    }
}

/// The attempt was stopped from outside, or its work was checked and has to continue. After any other end the attempt
/// failed by itself, and its work is of no use to the next one.
pub(crate) fn is_cut_short(ended: &str) -> bool {
    matches!(
        ended,
        "crashed"
            | "timeout"
            | "cancelled"
            | "rate_limited"
            | "auth_required"
            | "network"
            | "missing"
            | "not_accepted"
            | "shortage"
            | "unchecked"
            | "parked"
    )
}

/// The hub does not count attempts that were released or refused by an account's limit.
fn counts(ended: &str) -> bool {
    !matches!(
        ended,
        "cancelled" | "rate_limited" | "missing" | "shortage" | "unchecked" | "parked"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_providers::{FailureKind as Class, TimeoutKind};

    fn goes_on(ended: Option<&str>, numbers: [u32; 2]) -> bool {
        let last = LastAttempt {
            ended,
            number: numbers[0],
            withdrawn: false,
        };
        last.resumes_in(numbers[1])
    }

    #[test]
    fn an_attempt_that_was_cut_short_is_gone_on_with_and_one_that_failed_is_not() {
        let which = TimeoutKind::Total;
        for (class, expected) in [
            (Class::Crashed, true),
            (Class::Timeout { which }, true),
            (Class::Cancelled, true),
            (Class::RateLimited { until: None }, true),
            (Class::AuthRequired, true),
            (Class::Network, true),
            (Class::Missing, true),
            (Class::NotAccepted, true),
            (Class::Shortage, true),
            (Class::Unchecked, true),
            (Class::Parked, true),
            (Class::ProviderError, false),
            (Class::BadInput, false),
            (Class::RefusedByPolicy, false),
        ] {
            let found = goes_on(Some(class.as_str()), [1, 2]);
            assert_eq!(found, expected, "{class}");
        }
        assert!(goes_on(None, [1, 2]), "a lost attempt");
        assert!(!goes_on(Some("done"), [1, 2]));
    }

    #[test]
    fn a_task_that_a_person_retried_begins_anew() {
        assert!(!goes_on(Some("timeout"), [1, 1]));
        assert!(!goes_on(Some("timeout"), [3, 1]));
        assert!(!goes_on(None, [2, 1]));
        // These do not count: the number stays the same.
        for ended in [
            Some("cancelled"),
            Some("rate_limited"),
            Some("missing"),
            Some("parked"),
            None,
        ] {
            assert!(goes_on(ended, [1, 1]), "{ended:?}");
        }
        assert!(goes_on(Some("timeout"), [0, 1]), "not known");
    }

    #[test]
    fn a_task_that_a_person_cancelled_begins_anew() {
        let last = LastAttempt {
            ended: Some("cancelled"),
            number: 1,
            withdrawn: true,
        };
        assert!(!last.resumes_in(1));
    }
}
