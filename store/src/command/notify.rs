//! Notifications: events from outside the store, their delivery, and the end of old ones.

use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::outcome::Outcome;
use crate::sql::notify::{
    AddLost, DeleteDue, DeleteFirstDue, DeleteOldDue, DeleteOrphans, DeleteSomeNotices,
    SelectNotices, SetDelivered, SetFailing,
};
use kirosu_protocol::{Error, ErrorCode, NoticeData, NoticeKind};

/// The most events that wait for a target; the oldest of more are dropped.
pub const NOTICES_PER_TARGET: i64 = 100_000;

/// A request for the events of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakeNotices {
    /// The target's name.
    pub name: String,
    /// The number of the last event that it has got.
    pub done: Option<i64>,
    /// Why the delivery of the next one failed.
    pub error: Option<String>,
    /// With `error`: Unix milliseconds of the next try.
    pub next_ms: Option<i64>,
    /// The most events of the answer.
    pub limit: u32,
}

impl Core {
    fn target(&mut self, name: &str) -> CommandResult<i64> {
        if self.notices.is_stale() {
            self.follow_targets()?;
        }
        let unknown = || {
            let known = self.notices.targets().into_iter().map(|(_, name)| name);
            let mut known: Vec<String> = known.collect();
            known.sort();
            let message = match known.is_empty() {
                true => format!(
                    "no target of notifications is named '{name}': the hub's settings have no [[notify]]"
                ),
                false => format!(
                    "no target of notifications is named '{name}'; there are: {}",
                    known.join(", ")
                ),
            };
            Error::new(ErrorCode::NotFound, message)
        };
        Ok(self.notices.id(name).ok_or_else(unknown)?)
    }

    /// Adds an event that does not come from a change of the store.
    pub(crate) fn add_notice(&mut self, kind: NoticeKind, data: &NoticeData) -> Outcome {
        if self.notices.wants(kind) {
            self.notices.add(kind, data.clone());
        }
        Outcome::Ok
    }

    /// Adds a test for one target.
    pub(crate) fn test_target(&mut self, name: &str) -> CommandResult<Outcome> {
        let target = self.target(name)?;
        let data = NoticeData {
            name: Some(name.to_owned()),
            ..NoticeData::default()
        };
        let number = self.write_notice(NoticeKind::Test, &data, &[target])?;
        Ok(Outcome::Noticed(number))
    }

    /// Records deliveries to a target, and returns its next events.
    pub(crate) fn take_notices(&mut self, take: &TakeNotices) -> CommandResult<Outcome> {
        let id = self.target(&take.name)?;
        if let Some(done) = take.done {
            let deleted = self.write(DeleteDue {
                target: id,
                until: done,
            })?;
            // A repeated report changes nothing.
            if deleted > 0 {
                let delivered_at = self.now();
                self.write(SetDelivered {
                    delivered: done,
                    delivered_at,
                    id,
                })?;
                // As many as can have been the last for them, and some of what other targets left.
                let limit = deleted as i64 + 100;
                self.write(DeleteSomeNotices { limit })?;
            }
        }
        if let Some(error) = &take.error {
            let (at, next_at) = (self.now(), take.next_ms);
            self.write(SetFailing {
                at,
                error,
                next_at,
                id,
            })?;
        }
        let query = SelectNotices {
            target: id,
            limit: i64::from(take.limit),
        };
        let stored = self.db.notices(query)?;
        let notices = stored.iter().map(|notice| notice.info());
        Ok(Outcome::Notices {
            notices: notices.collect::<Result<_>>()?,
            known: self.notices.last(),
        })
    }

    /// Drops events that are from before a time, or too many, and deletes what is left of removed targets.
    pub(crate) fn prune_notices(&mut self, before_ms: i64, limit: u32) -> Result<Outcome> {
        let limit = i64::from(limit.max(1));
        let mut count = self.write(DeleteOrphans { limit })? as i64;
        let mut more = count >= limit;
        for row in self.db.notify_targets()? {
            let id = row.id;
            let old = self.write(DeleteOldDue {
                target: id,
                of: id,
                before: before_ms,
                limit,
            })? as i64;
            let surplus = (row.pending - old - NOTICES_PER_TARGET).clamp(0, limit);
            let first = match surplus {
                0 => 0,
                limit => self.write(DeleteFirstDue {
                    target: id,
                    of: id,
                    limit,
                })? as i64,
            };
            let lost = old + first;
            if lost > 0 {
                self.write(AddLost { count: lost, id })?;
                tracing::error!(
                    target_name = row.name,
                    lost,
                    "events for a target of notifications are dropped: it has not got them in time, or too many wait"
                );
            }
            more |= old >= limit || first >= limit;
            count += lost;
        }
        let deleted = self.write(DeleteSomeNotices { limit })? as i64;
        more |= deleted >= limit;
        Ok(Outcome::Counted {
            count: u64::try_from(count).unwrap_or(0),
            more,
        })
    }
}
