//! `web_ticket`: makes a ticket with which a browser logs in once.

use super::{Begun, RequestScope, Started};
use crate::identity::{Access, PeerOwner};
use crate::web::all_rights;
use kirosu_protocol::{Error, WebTicketParams};

pub fn begin(params: WebTicketParams, scope: &mut RequestScope<'_>) -> Begun {
    // With the hub's key it is known by now whether a person sits at the client's terminal.
    let is_person = !scope.only_human();
    let (hub, now_ms) = (scope.hub().clone(), scope.now_ms());
    let owner = scope.owner();
    let identity = scope.identity().ok_or_else(Error::unauthorized)?;
    let rights = hub.web_rights(identity, owner, is_person, params.by.as_deref())?;
    let shown = match identity.access == Access::Admin && is_person {
        true => all_rights(),
        false => identity.rights(),
    };
    // Another user's browser is not one of the gateway's user.
    let same_user = params.same_user && owner == PeerOwner::Own;
    let answer = hub.new_ticket(rights, shown, same_user, now_ms)?;
    scope.answer(&answer);
    Ok(Started::Pending)
}
