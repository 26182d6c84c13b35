//! Credentials, the sessions of browsers, and the audit trail.

use crate::Command;
use crate::audit::{self, AuditRecord, NewEntry, Principal};
use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::credentials::Credential;
use crate::outcome::Outcome;
use crate::plans::PlanOrder;
use crate::sql::access::{
    DeleteCredential, DeleteSomeAudit, DeleteWebSession, InsertAudit, InsertCredential,
    InsertWebSession, SetRevoked, SetUsed,
};
use crate::web_sessions::WebSession;
use kirosu_protocol::{AccessScope, Effect, Error, ErrorCode};
use serde_json::json;
use std::sync::Arc;

/// Entries of the audit trail and uses of credentials that the caller has gathered since its last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRecords {
    /// Entries.
    pub entries: Vec<AuditRecord>,
    /// Credentials by name, each with the time of its last use in Unix milliseconds.
    pub uses: Vec<(String, i64)>,
}

impl Core {
    /// Adds a credential.
    pub(crate) fn add_credential(&mut self, new: &Credential) -> CommandResult<Outcome> {
        self.credentials.check_new(new)?;
        self.write(InsertCredential {
            name: &new.name,
            role: &new.role,
            hash: &new.hash,
            scope: &new.scope,
            created_at: new.created_ms,
            expires_at: new.expires_ms,
        })?;
        self.credentials.insert(new.clone());
        Ok(Outcome::Ok)
    }

    /// Ends the validity of a credential. Repeating it is harmless.
    pub(crate) fn revoke_credential(&mut self, name: &str) -> CommandResult<Outcome> {
        let revoked_at = self.now();
        let credential = self.credentials.get_mut(name)?;
        if credential.revoked_ms.is_none() {
            credential.revoked_ms = Some(revoked_at);
            self.write(SetRevoked { revoked_at, name })?;
        }
        Ok(Outcome::Ok)
    }

    /// Adds the session of a browser.
    pub(crate) fn add_web_session(&mut self, new: &WebSession) -> Result<Outcome> {
        for hash in self.web_sessions.ended_by(new) {
            self.write(DeleteWebSession { hash: &hash })?;
            self.web_sessions.remove(&hash);
        }
        self.write(InsertWebSession {
            hash: &new.hash,
            who: &new.who,
            key_hash: &new.key_hash,
            is_person: i64::from(new.is_person),
            created_at: new.created_ms,
            expires_at: new.expires_ms,
        })?;
        self.web_sessions.insert(new.clone());
        Ok(Outcome::Ok)
    }

    /// Ends the session of a browser. Repeating it is harmless.
    pub(crate) fn end_web_session(&mut self, hash: &str) -> Result<Outcome> {
        if self.web_sessions.remove(hash) {
            self.write(DeleteWebSession { hash })?;
        }
        Ok(Outcome::Ok)
    }

    /// Carries out a change of a task within the limits of a key.
    pub(crate) fn in_scope(
        &mut self,
        scope: &AccessScope,
        command: &Command,
    ) -> CommandResult<Outcome> {
        let task = match command {
            Command::Cancel { task, .. } | Command::Retry { task } => *task,
            Command::Enqueue(new) => {
                if let Some(earlier) = new.continues
                    && let Some((what, limit)) = self.continues_beyond(scope, new, earlier)?
                {
                    return Err(beyond(&what, limit).into());
                }
                return self.execute(command);
            }
            Command::Plan(change) => match &**change {
                PlanOrder::Control { run, .. } => *run,
                _ => return self.execute(command),
            },
            Command::Schedule(change) => {
                if let Some(new) = self.task_of_schedule(change)?
                    && let Some(limit) = scope.excludes(&new.queue, &new.task_type, &new.labels)
                {
                    return Err(beyond("the task of the schedule", limit).into());
                }
                return self.execute(command);
            }
            _ => return Err(Error::internal(Effect::None, "not a change of one task").into()),
        };
        let lane = self.known(task)?.lane;
        let labels = self.task_options(task)?.labels;
        let lane = self.lanes.get(lane);
        let (queue, task_type) = lane.map_or(("", ""), |lane| (&*lane.queue, &*lane.task_type));
        match scope.excludes(queue, task_type, &labels) {
            None => self.execute(command),
            Some(limit) => Err(beyond(&format!("task {task}"), limit).into()),
        }
    }

    /// Stores what the caller has gathered.
    pub(crate) fn record(&mut self, records: &AccessRecords) -> Result<Outcome> {
        for record in &records.entries {
            self.write(InsertAudit {
                at: record.at_ms,
                who: &record.by.who,
                role: record.by.role.as_deref(),
                peer: &record.by.peer,
                method: &record.method,
                first_task: record.task,
                last_task: record.task,
                target: None,
                code: record.code.as_deref(),
                count: record.count,
            })?;
        }
        for (name, used_at) in &records.uses {
            // It may have been deleted meanwhile.
            if let Ok(credential) = self.credentials.get_mut(name) {
                credential.used_ms = Some(*used_at);
                self.write(SetUsed {
                    used_at: *used_at,
                    name,
                })?;
            }
        }
        Ok(Outcome::Ok)
    }

    /// Deletes entries from before a time, the oldest first, then the credentials that ended before it.
    pub(crate) fn prune_audit(&mut self, before_ms: i64, limit: u32) -> Result<Outcome> {
        let limit = i64::from(limit.max(1));
        let before = before_ms;
        let deleted = self.write(DeleteSomeAudit { before, limit })?;
        let more = deleted as i64 >= limit;
        if !more {
            for name in self.credentials.ended_before(before_ms) {
                self.write(DeleteCredential { name: &name })?;
                self.credentials.remove(&name);
            }
        }
        let count = deleted as u64;
        Ok(Outcome::Counted { count, more })
    }

    /// Writes the entries of a batch's commands that succeeded. `by` has one principal per command; commands that have none
    /// leave no entry.
    pub(crate) fn write_audit(
        &mut self,
        batch: &[Command],
        outcomes: &[Result<Outcome, Error>],
        by: &[Option<Arc<Principal>>],
    ) -> Result<()> {
        let mut open: Option<(&Arc<Principal>, NewEntry)> = None;
        for ((command, outcome), by) in batch.iter().zip(outcomes).zip(by) {
            let (Ok(outcome), Some(by)) = (outcome, by) else {
                continue;
            };
            for entry in audit::entries(command, outcome) {
                if let Some((same, last)) = &mut open
                    && *same == by
                    && last.extend(&entry)
                {
                    continue;
                }
                if let Some((by, entry)) = open.replace((by, entry)) {
                    self.write_entry(by, &entry)?;
                }
            }
        }
        match open {
            Some((by, entry)) => self.write_entry(by, &entry),
            None => Ok(()),
        }
    }

    fn write_entry(&mut self, by: &Principal, entry: &NewEntry) -> Result<()> {
        let (first_task, last_task) = entry.tasks.unzip();
        self.write(InsertAudit {
            at: self.now(),
            who: &by.who,
            role: by.role.as_deref(),
            peer: &by.peer,
            method: entry.method,
            first_task,
            last_task,
            target: entry.target.as_deref(),
            code: None,
            count: 1,
        })?;
        Ok(())
    }
}

fn beyond(what: &str, limit: &str) -> Error {
    let message = format!(
        "{what} is beyond the limit `{limit}` of this key; `kirosu key list` shows its limits"
    );
    Error::new(ErrorCode::Forbidden, message).with_data(json!({ "limit": limit }))
}
