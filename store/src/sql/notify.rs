//! Targets of notifications, and events for them.

use super::{insert, row, statement};
use crate::notify::{StoredNotice, TargetRow};

row! { TargetRow { id, name, delivered, delivered_at, lost, failures, failing_at, error, next_at, pending } }

row! { StoredNotice { id, nonce, at, kind, data } }

statement! {
    /// All targets by name, each with the number of its events.
    SelectTargets {}
    "SELECT t.id, t.name, t.delivered, t.delivered_at, t.lost, t.failures, t.failing_at, t.error, t.next_at, \
            (SELECT count(*) FROM notice_due d WHERE d.target = t.id) \
     FROM notify_target t ORDER BY t.name"
}

statement! {
    /// The id of a target.
    SelectTargetId<'a> { name: &'a str } "SELECT id FROM notify_target WHERE name = ?"
}

statement! {
    /// The number of the newest event.
    SelectLastNotice {} "SELECT coalesce(max(id), 0) FROM notice"
}

statement! {
    /// The next events for a target.
    SelectNotices { target: i64, limit: i64 }
    "SELECT n.id, n.nonce, n.at, n.kind, n.data FROM notice_due d JOIN notice n ON n.id = d.notice \
     WHERE d.target = ? ORDER BY d.notice LIMIT ?"
}

insert! {
    /// A new target.
    InsertTarget<'a> { name: &'a str } "INSERT INTO notify_target"
}

statement! {
    /// Removes a target. Its events are deleted later.
    DeleteTarget { id: i64 } "DELETE FROM notify_target WHERE id = ?"
}

insert! {
    /// A new event.
    InsertNotice<'a> { id: i64, nonce: i64, at: i64, kind: &'a str, data: &'a str } "INSERT INTO notice"
}

insert! {
    /// An event for a target.
    InsertDue { target: i64, notice: i64 } "INSERT INTO notice_due"
}

statement! {
    /// Deletes the events of a target up to one that it has got.
    DeleteDue { target: i64, until: i64 } "DELETE FROM notice_due WHERE target = ? AND notice <= ?"
}

statement! {
    /// Records a delivery.
    SetDelivered { delivered: i64, delivered_at: i64, id: i64 }
    "UPDATE notify_target SET delivered = ?, delivered_at = ?, failures = 0, failing_at = NULL, error = NULL, next_at = NULL \
     WHERE id = ?"
}

statement! {
    /// Records a failed delivery.
    SetFailing<'a> { at: i64, error: &'a str, next_at: Option<i64>, id: i64 }
    "UPDATE notify_target SET failures = failures + 1, failing_at = coalesce(failing_at, ?), error = ?, next_at = ? WHERE id = ?"
}

statement! {
    /// Deletes the oldest events of a target that are from before a time.
    DeleteOldDue { target: i64, of: i64, before: i64, limit: i64 }
    "DELETE FROM notice_due WHERE target = ? AND notice IN (\
        SELECT d.notice FROM notice_due d JOIN notice n ON n.id = d.notice \
        WHERE d.target = ? AND n.at < ? ORDER BY d.notice LIMIT ?)"
}

statement! {
    /// Deletes the oldest events of a target.
    DeleteFirstDue { target: i64, of: i64, limit: i64 }
    "DELETE FROM notice_due WHERE target = ? AND notice IN (\
        SELECT notice FROM notice_due WHERE target = ? ORDER BY notice LIMIT ?)"
}

statement! {
    /// Counts dropped events.
    AddLost { count: i64, id: i64 } "UPDATE notify_target SET lost = lost + ? WHERE id = ?"
}

statement! {
    /// Deletes some events of removed targets.
    DeleteOrphans { limit: i64 }
    "DELETE FROM notice_due WHERE (target, notice) IN (\
        SELECT target, notice FROM notice_due WHERE target NOT IN (SELECT id FROM notify_target) LIMIT ?)"
}

statement! {
    /// Deletes some events that all targets have got, but never the newest one.
    DeleteSomeNotices { limit: i64 }
    "DELETE FROM notice WHERE id IN (\
        SELECT id FROM notice \
        WHERE id < (SELECT max(id) FROM notice) \
          AND id < coalesce((SELECT min(first) FROM (\
                SELECT (SELECT min(notice) FROM notice_due d WHERE d.target = t.id) AS first FROM notify_target t)), 9223372036854775807) \
        ORDER BY id LIMIT ?)"
}
