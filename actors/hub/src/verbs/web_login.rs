//! `web_login`: begins a session of a browser.

use super::{Begun, Command, RequestScope, submit_prepared};
use crate::credentials::hash;
use crate::identity::Access;
use crate::web::{SESSION_MS, WebRights, new_secret};
use kirosu_protocol::access::WEB_SESSION_PREFIX;
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_protocol::{Error, ErrorCode, WebLoginAnswer, WebLoginParams};
use kirosu_store::WebSession;

pub fn begin(params: WebLoginParams, scope: &mut RequestScope<'_>) -> Begun {
    let rights = match &params.ticket {
        Some(ticket) => of_ticket(ticket, params.same_user && is_gateway(scope), scope)?,
        None => of_client(scope)?,
    };
    let now_ms = scope.now_ms();
    let expires_ms = now_ms.saturating_add(SESSION_MS);
    let secret = new_secret(WEB_SESSION_PREFIX)?;
    let session = WebSession {
        hash: hash(&secret),
        who: rights.who.to_string(),
        key_hash: rights.key_hash,
        is_person: rights.is_person,
        created_ms: now_ms,
        expires_ms,
    };
    let answer = WebLoginAnswer {
        session: SessionSecret(secret),
        who: session.who.clone(),
        expires_at: expires_ms as f64 / 1000.0,
    };
    submit_prepared(Command::AddWebSession(Box::new(session)), &answer, scope)
}

/// Whether the client may say who the browser's user is: a part of the hub's process, or one with the hub's key. Any other would say it
/// of itself.
fn is_gateway(scope: &mut RequestScope<'_>) -> bool {
    let access = scope.identity().map(|identity| &identity.access);
    matches!(
        access,
        Some(Access::Internal | Access::Everything | Access::Admin)
    )
}

fn of_ticket(
    ticket: &SessionSecret,
    is_same_user: bool,
    scope: &mut RequestScope<'_>,
) -> Result<WebRights, Error> {
    let (hub, now_ms) = (scope.hub().clone(), scope.now_ms());
    let taken = hub.tickets().take(&ticket.0, is_same_user, now_ms);
    let rights = taken.filter(|rights| hub.still_gives(rights, now_ms));
    rights.ok_or_else(|| {
        Error::new(
            ErrorCode::NotFound,
            "this ticket was used before, is over, or is for another user of the machine: `kirosu web` makes another one",
        )
    })
}

/// The rights of the client itself. A program that knows the hub's key is not a person by that.
fn of_client(scope: &mut RequestScope<'_>) -> Result<WebRights, Error> {
    let (hub, owner) = (scope.hub().clone(), scope.owner());
    let identity = scope.identity().ok_or_else(Error::unauthorized)?;
    hub.web_rights(identity, owner, identity.access == Access::Everything, None)
}
