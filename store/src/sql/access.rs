//! Credentials, the sessions of browsers, and the audit trail.

use super::{insert, row, statement};
use crate::audit::{AuditEntry, MAX_TASKS};
use crate::credentials::Credential;
use crate::web_sessions::WebSession;

row! { Credential { name, role, hash, scope, created_ms, expires_ms, used_ms, revoked_ms } }

row! { WebSession { hash, who, key_hash, is_person, created_ms, expires_ms } }

row! { AuditEntry { id, at_ms, who, role, peer, method, first_task, last_task, target, code, count } }

statement! {
    /// All credentials.
    SelectCredentials {}
    "SELECT name, role, hash, scope, created_at, expires_at, used_at, revoked_at FROM credential ORDER BY name"
}

insert! {
    /// A new credential.
    InsertCredential<'a> {
        name: &'a str,
        role: &'a str,
        hash: &'a str,
        scope: &'a str,
        created_at: i64,
        expires_at: Option<i64>,
    } "INSERT INTO credential"
}

statement! {
    /// Ends the validity of a credential.
    SetRevoked<'a> { revoked_at: i64, name: &'a str } "UPDATE credential SET revoked_at = ? WHERE name = ?"
}

statement! {
    /// Records the last use of a credential.
    SetUsed<'a> { used_at: i64, name: &'a str } "UPDATE credential SET used_at = ? WHERE name = ?"
}

statement! {
    /// Deletes a credential.
    DeleteCredential<'a> { name: &'a str } "DELETE FROM credential WHERE name = ?"
}

statement! {
    /// All sessions of browsers.
    SelectWebSessions {}
    "SELECT hash, who, key_hash, is_person, created_at, expires_at FROM web_session ORDER BY hash"
}

insert! {
    /// A new session of a browser.
    InsertWebSession<'a> {
        hash: &'a str,
        who: &'a str,
        key_hash: &'a str,
        is_person: i64,
        created_at: i64,
        expires_at: i64,
    } "INSERT INTO web_session"
}

statement! {
    /// Deletes a session of a browser.
    DeleteWebSession<'a> { hash: &'a str } "DELETE FROM web_session WHERE hash = ?"
}

insert! {
    /// A row of the audit trail. Refusals of one kind within a minute are one row with their number.
    InsertAudit<'a> {
        at: i64,
        who: &'a str,
        role: Option<&'a str>,
        peer: &'a str,
        method: &'a str,
        first_task: Option<i64>,
        last_task: Option<i64>,
        target: Option<&'a str>,
        code: Option<&'a str>,
        count: i64,
    } "INSERT INTO audit" " ON CONFLICT (at, who, method, code) WHERE code IS NOT NULL \
       DO UPDATE SET count = count + excluded.count, peer = excluded.peer"
}

statement! {
    /// Deletes the oldest rows of the audit trail from before a time.
    DeleteSomeAudit { before: i64, limit: i64 }
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? ORDER BY at LIMIT ?)"
}

/// The columns of an [`AuditEntry`].
pub(crate) const SELECT_AUDIT: &str = "SELECT id, at, who, role, peer, method, first_task, last_task, target, code, count \
    FROM audit ";

/// The condition for rows about the task with this id.
pub(crate) fn about_task(id: i64) -> String {
    // A row has at most `MAX_TASKS` tasks, so the index on the first one bounds the search.
    let from = id.saturating_sub(MAX_TASKS);
    format!("first_task BETWEEN {from} AND {id} AND last_task >= {id}")
}
