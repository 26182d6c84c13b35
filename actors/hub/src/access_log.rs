//! Refusals and uses of keys since the last commit. The writer stores them with its next one, or after a second.
//!
//! Refusals of one kind in a minute are counted, so that a client that repeats a refused request costs no more than its
//! requests.

use kirosu_protocol::{ErrorCode, Method, VerbEffect};
use kirosu_store::{AccessRecords, AuditRecord, Principal};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most kinds of refusals between two commits. Further ones are not recorded.
const KINDS: usize = 1000;
const MINUTE_MS: i64 = 60_000;

/// The name under which wrong keys are recorded as a method.
pub const AUTH: &str = "auth";

/// The minute, the party without its address, the method and the error code.
type RefusalKey = (i64, String, Option<String>, &'static str, &'static str);

/// See the module.
#[derive(Debug, Default)]
struct Gathered {
    refusals: BTreeMap<RefusalKey, Refusals>,
    actions: Vec<AuditRecord>,
    uses: BTreeMap<String, i64>,
}

/// Refusals of one kind in a minute.
#[derive(Debug)]
struct Refusals {
    by: Arc<Principal>,
    count: i64,
}

/// Whether the refusal of a method is recorded: it would have changed something, or the client lacks the right.
pub fn is_recorded(method: Method, code: ErrorCode) -> bool {
    method.effect() == VerbEffect::Change
        || matches!(code, ErrorCode::Forbidden | ErrorCode::Unauthorized)
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.refusals.is_empty() && self.actions.is_empty() && self.uses.is_empty()
    }

    fn refused(&mut self, now_ms: i64, refusal: &Refusal<'_>) {
        let minute = now_ms - now_ms.rem_euclid(MINUTE_MS);
        let by = refusal.by;
        let key = (
            minute,
            by.who.clone(),
            by.role.clone(),
            refusal.method,
            refusal.code.as_str(),
        );
        if self.refusals.len() >= KINDS && !self.refusals.contains_key(&key) {
            return;
        }
        let refusals = self.refusals.entry(key).or_insert_with(|| Refusals {
            by: by.clone(),
            count: 0,
        });
        refusals.count += 1;
        refusals.by = by.clone();
    }

    fn take(&mut self) -> AccessRecords {
        let refusals = std::mem::take(&mut self.refusals).into_iter();
        let refusals = refusals.map(|((at_ms, _, _, method, code), refusals)| AuditRecord {
            at_ms,
            by: refusals.by,
            method: method.to_owned(),
            task: None,
            code: Some(code.to_owned()),
            count: refusals.count,
        });
        let mut entries = std::mem::take(&mut self.actions);
        entries.extend(refusals);
        AccessRecords {
            entries,
            uses: std::mem::take(&mut self.uses).into_iter().collect(),
        }
    }
}

/// A refused request.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// The party.
    pub by: &'a Arc<Principal>,
    /// The method's name.
    pub method: &'static str,
    /// The error code.
    pub code: ErrorCode,
}

/// The records, shared by connections and the writer. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AccessLog(Arc<Mutex<Gathered>>);

impl AccessLog {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records with `record`. Returns whether this is the first record since the last [`take`](AccessLog::take).
    fn add(&self, record: impl FnOnce(&mut Gathered)) -> bool {
        let mut gathered = self.gathered();
        let was_empty = gathered.is_empty();
        record(&mut gathered);
        was_empty && !gathered.is_empty()
    }

    /// Records a refusal at a time in Unix milliseconds. Returns whether it is the first record.
    pub fn refused(&self, now_ms: i64, refusal: &Refusal<'_>) -> bool {
        self.add(|gathered| gathered.refused(now_ms, refusal))
    }

    /// Records an action that is not a change of the store. Returns whether it is the first record.
    pub fn acted(&self, at_ms: i64, by: &Arc<Principal>, method: &'static str) -> bool {
        let record = AuditRecord {
            at_ms,
            by: by.clone(),
            method: method.to_owned(),
            task: None,
            code: None,
            count: 1,
        };
        self.add(|gathered| {
            if gathered.actions.len() < KINDS {
                gathered.actions.push(record);
            }
        })
    }

    /// Records the use of a key at a time in Unix milliseconds. Returns whether it is the first record.
    pub fn used(&self, name: &str, at_ms: i64) -> bool {
        self.add(|gathered| {
            gathered.uses.insert(name.to_owned(), at_ms);
        })
    }

    /// Puts back what a commit could not store.
    pub fn put_back(&self, records: AccessRecords) {
        let mut gathered = self.gathered();
        let room = KINDS.saturating_sub(gathered.actions.len());
        gathered
            .actions
            .extend(records.entries.into_iter().take(room));
        gathered.uses.extend(records.uses);
    }

    /// Takes everything, for the next commit. `None` if there is nothing.
    pub fn take(&self) -> Option<AccessRecords> {
        let mut gathered = self.gathered();
        (!gathered.is_empty()).then(|| gathered.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(who: &str, peer: &str) -> Arc<Principal> {
        Arc::new(Principal {
            who: who.to_owned(),
            role: None,
            peer: peer.to_owned(),
        })
    }

    #[test]
    fn refusals_of_one_kind_in_a_minute_are_counted() {
        let log = AccessLog::default();
        let mut first = Vec::new();
        for (now_ms, peer) in [(59_999, "a"), (60_000, "b"), (60_001, "c")] {
            let refusal = Refusal {
                by: &by("ci", peer),
                method: "cancel",
                code: ErrorCode::Forbidden,
            };
            first.push(log.refused(now_ms, &refusal));
        }
        assert_eq!(first, [true, false, false]);
        let entries = log.take().unwrap().entries;
        let seen: Vec<_> = entries
            .iter()
            .map(|it| (it.at_ms, it.count, it.by.peer.as_str()))
            .collect();
        assert_eq!(seen, [(0, 1, "a"), (60_000, 2, "c")]);
        assert_eq!(log.take(), None);
    }

    #[test]
    fn the_number_of_kinds_is_bounded() {
        let log = AccessLog::default();
        for number in 0..2 * KINDS {
            let refusal = Refusal {
                by: &by(&number.to_string(), "a"),
                method: AUTH,
                code: ErrorCode::Unauthorized,
            };
            log.refused(0, &refusal);
        }
        assert_eq!(log.take().unwrap().entries.len(), KINDS);
    }

    #[test]
    fn refused_reads_are_recorded_only_for_lack_of_a_right() {
        assert!(is_recorded(Method::Cancel, ErrorCode::UnknownTask));
        assert!(is_recorded(Method::List, ErrorCode::Forbidden));
        assert!(!is_recorded(Method::Get, ErrorCode::UnknownTask));
    }
}
