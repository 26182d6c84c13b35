//! `web_ticket`: makes a ticket with which a browser logs in once.

use super::{Begun, RequestScope, Started};
use crate::identity::{Access, ClientIdentity};
use crate::web::{TICKET_MS, new_web_secret};
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_protocol::{Error, Right, WebTicketAnswer, WebTicketParams};

pub fn begin(params: WebTicketParams, scope: &mut RequestScope<'_>) -> Begun {
    // With the hub's key it is known by now whether a person sits at the client's terminal.
    let is_person = !scope.only_human();
    let (hub, now_ms) = (scope.hub().clone(), scope.now_ms());
    let identity = scope.identity().ok_or_else(Error::unauthorized)?;
    let rights = hub.web_rights(identity, is_person, params.by.as_deref())?;
    let shown = rights_of(identity, rights.is_person);
    let ticket = new_web_secret(true)?;
    let answer = WebTicketAnswer {
        ticket: SessionSecret(ticket.clone()),
        who: rights.who.to_string(),
        rights: shown,
        expires_at: now_ms.saturating_add(TICKET_MS) as f64 / 1000.0,
        url: hub.page().map(str::to_owned),
    };
    hub.tickets().add(&ticket, rights, params.same_user, now_ms);
    scope.answer(&answer);
    Ok(Started::Pending)
}

/// The rights that the page will have.
fn rights_of(identity: &ClientIdentity, is_person: bool) -> Vec<String> {
    match (identity.access, is_person) {
        (Access::Admin, true) => Right::ALL.map(|right| right.to_string()).to_vec(),
        _ => identity.rights(),
    }
}
