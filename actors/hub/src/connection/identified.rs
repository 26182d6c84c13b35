//! The parties for which a connection speaks: their limits, their entries in the audit trail, and the end of their keys.

use super::Connection;
use super::pending::{REVOKED, UNANSWERED};
use super::responses::Tag;
use crate::access_log::{Refusal, is_recorded};
use crate::clock::now_ms;
use crate::identity::ClientIdentity;
use crate::key_limits::limits_tasks;
use crate::writer::messages::StoreRecords;
use actix::prelude::*;
use kirosu_protocol::{Error, ErrorCode, Method, Request, Right, VerbEffect};
use kirosu_store::{Command, Outcome, Principal};
use std::sync::Arc;

/// Whether a request acts on the hub without changing the store, so that no command of it leaves an entry.
fn is_action(request: &Request) -> bool {
    request.effect() == VerbEffect::Read
        && !matches!(request.method(), Method::KeyList | Method::Audit)
        && request.rights().any(|right| right == Right::Admin)
}

impl Connection {
    fn identity_of(&mut self, tag: Tag) -> Option<Arc<ClientIdentity>> {
        self.responses.get_mut(tag)?.identity.clone()
    }

    /// Refuses a request whose key or token is not valid any more.
    pub(super) fn check_valid(&mut self, tag: Tag) -> Result<(), Error> {
        let now_ms = now_ms(&self.child);
        let pending = self.responses.get_mut(tag);
        let identity = pending.and_then(|pending| pending.identity.as_ref());
        match identity.filter(|identity| !identity.is_valid(now_ms)) {
            Some(ended) => Err(ended.ended()),
            None => Ok(()),
        }
    }

    /// The time until the key of a request expires, in milliseconds.
    pub(super) fn validity_ms(&mut self, tag: Tag) -> u64 {
        let now_ms = now_ms(&self.child);
        let identity = self.identity_of(tag);
        let expires_ms = identity.and_then(|identity| identity.expires_ms());
        expires_ms.map_or(u64::MAX, |at| {
            u64::try_from(at.saturating_sub(now_ms)).unwrap_or(0)
        })
    }

    /// The party of a request for the audit trail.
    pub(super) fn principal(&mut self, tag: Tag) -> Option<Arc<Principal>> {
        let identity = self.responses.get_mut(tag)?.identity.as_ref()?;
        // Almost every request has the party of the one before.
        if let Some((who, principal)) = &self.principal
            && Arc::ptr_eq(who, &identity.who)
        {
            return Some(principal.clone());
        }
        let principal = Arc::new(identity.principal(&self.transport.peer));
        self.principal = Some((identity.who.clone(), principal.clone()));
        Some(principal)
    }

    /// Prepares for a command of a request: commands of one submission have one party.
    pub(super) fn set_commands_by(&mut self, tag: Tag, ctx: &mut Context<Self>) {
        let by = self.principal(tag);
        if self.commands_by != by {
            self.send_commands(ctx);
            self.commands_by = by;
        }
    }

    /// Makes the store check that the task of a command is within the limits of its request's key.
    pub(super) fn within_limits(&mut self, tag: Tag, command: Command) -> Command {
        let continues = matches!(&command, Command::Enqueue(new) if new.continues.is_some());
        let changes_task = matches!(
            command,
            Command::Cancel { .. }
                | Command::Retry { .. }
                | Command::Plan(_)
                | Command::Schedule(_)
        );
        if !changes_task && !continues {
            return command;
        }
        let key = self
            .identity_of(tag)
            .and_then(|identity| identity.key.clone());
        match key.filter(|key| limits_tasks(key)) {
            Some(key) => Command::InScope {
                scope: Arc::new(key.scope.clone()),
                command: Box::new(command),
            },
            None => command,
        }
    }

    /// Records a request that acts on the hub without changing the store.
    pub(super) fn record_action(&mut self, tag: Tag, request: &Request) {
        if !is_action(request) {
            return;
        }
        let (method, now_ms) = (request.method().name(), now_ms(&self.child));
        if let Some(by) = self.principal(tag)
            && self.hub.access_log().acted(now_ms, &by, method)
        {
            self.hub.writer().do_send(StoreRecords);
        }
    }

    /// Records a refused request, unless it is a query that was refused for another reason than a missing right.
    pub(super) fn record_refused(&mut self, tag: Tag, code: ErrorCode) {
        let method = self.responses.get_mut(tag).and_then(|it| it.method);
        if let Some(method) = method.filter(|method| is_recorded(*method, code))
            && let Some(by) = self.principal(tag)
        {
            self.record_refusal(&by, method.name(), code);
        }
    }

    pub(super) fn record_refusal(
        &self,
        by: &Arc<Principal>,
        method: &'static str,
        code: ErrorCode,
    ) {
        let refusal = Refusal { by, method, code };
        if self.hub.access_log().refused(now_ms(&self.child), &refusal) {
            self.hub.writer().do_send(StoreRecords);
        }
    }

    /// Keys were revoked: refuses the requests that wait under them, and gives their leases back.
    pub(super) fn end_revoked(&mut self, ctx: &mut Context<Self>) {
        let parked: Vec<Tag> = self.responses.parked().map(|(tag, _)| tag).collect();
        for tag in parked {
            let Err(error) = self.check_valid(tag) else {
                continue;
            };
            let pending = self.responses.get_mut(tag);
            let (park, timer) = pending.map_or((None, None), |pending| {
                (pending.park.take(), pending.timer.take())
            });
            if let Some(timer) = timer {
                ctx.cancel_future(timer);
            }
            // If the store has answered the lease meanwhile, its tasks find no request and are given back.
            let unpark = park.map(|park| (UNANSWERED, Command::Unpark(park)));
            self.commands.extend(unpark);
            self.refuse(tag, error);
        }
        let now_ms = now_ms(&self.child);
        self.end_watches_of_ended(now_ms);
        if self.last_key.take_if(|key| !key.is_valid(now_ms)).is_some() {
            let leases = self.leases.all();
            self.release(&leases);
            self.begin_to_give_session_back();
        }
    }

    fn begin_to_give_session_back(&mut self) {
        if let Some(session) = &self.session {
            let command = Command::ReleaseSession {
                session: session.to_string(),
                counted: false,
            };
            self.commands.push((REVOKED, command));
        }
    }

    /// Goes on to give back the leases of the session: each command takes as many as fit into a short commit.
    pub(super) fn give_session_back(&mut self, step: &Result<Outcome, Error>) {
        if let Ok(Outcome::Ended { more: true, .. }) = step {
            self.begin_to_give_session_back();
        }
    }
}
