//! `web_logout`: ends a session of a browser.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use crate::credentials::hash;
use kirosu_protocol::WebLogoutParams;

pub fn begin(params: WebLogoutParams, _: &mut RequestScope<'_>) -> Begun {
    let command = Command::EndWebSession(hash(&params.session.0));
    Ok(Started::Submit(command, finish_ok))
}
