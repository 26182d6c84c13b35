//! Denied tools, and whether another tool succeeded after them.

use std::collections::VecDeque;

use crate::event::ToolStatus;

/// Calls that are remembered, for denials that are reported later.
const FAILED: usize = 64;

/// The last denial of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    /// The tool, or the program's description of it.
    pub(crate) what: String,
    /// Whether no tool succeeded after it, so that the run found no other way.
    pub(crate) is_last: bool,
}

/// The tool calls of a run, numbered in their order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    count: u64,
    last_good: u64,
    failed: VecDeque<(String, u64)>,
    /// Ids and names of the last calls that began.
    names: VecDeque<(String, String)>,
    denied: Option<(String, u64)>,
}

impl Calls {
    /// Takes the start or the end of a call.
    pub(super) fn take(&mut self, id: &str, name: &str, status: ToolStatus) {
        self.count += 1;
        match status {
            ToolStatus::Started => {
                if self.names.len() == FAILED {
                    self.names.pop_front();
                }
                self.names.push_back((id.to_owned(), name.to_owned()));
            }
            ToolStatus::Done => self.last_good = self.count,
            ToolStatus::Failed => {
                if self.failed.len() == FAILED {
                    self.failed.pop_front();
                }
                self.failed.push_back((id.to_owned(), self.count));
            }
        }
    }

    /// Takes a denial: of the call with this id, else of the last one. `what` is the tool's name; where it is empty, the
    /// start of the call supplies it. Returns the name.
    pub(super) fn deny(&mut self, what: String, id: Option<&str>) -> String {
        let named = id.and_then(|id| self.names.iter().rev().find(|(it, _)| it == id));
        let what = match (what.as_str(), named) {
            ("", Some((_, name))) => name.clone(),
            _ => what,
        };
        let known = id.and_then(|id| self.failed.iter().rev().find(|(it, _)| it == id));
        self.count += 1;
        let at = known.map_or(self.count, |(_, at)| *at);
        if self.denied.as_ref().is_none_or(|(_, last)| *last <= at) {
            self.denied = Some((what.clone(), at));
        }
        what
    }

    pub(super) const fn any(&self) -> bool {
        self.count > 0
    }

    pub(super) fn denial(self) -> Option<Denial> {
        let last_good = self.last_good;
        self.denied.map(|(what, at)| Denial {
            what,
            is_last: at > last_good,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_last_where_no_call_succeeded_after_it() {
        use ToolStatus::{Done, Failed};
        let is_last = |calls: &[(&str, ToolStatus)], id| {
            let mut all = Calls::default();
            for (id, status) in calls {
                all.take(id, "Bash", *status);
            }
            all.deny("Bash".to_owned(), id);
            all.denial().map(|it| it.is_last)
        };
        assert_eq!(is_last(&[], None), Some(true));
        // Denials are reported together at the end. The id shows the order.
        assert_eq!(
            is_last(&[("a", Failed), ("b", Done)], Some("a")),
            Some(false)
        );
        assert_eq!(
            is_last(&[("b", Done), ("a", Failed)], Some("a")),
            Some(true)
        );
        assert_eq!(is_last(&[("b", Done)], None), Some(true));
    }
}
