//! `key_revoke`: ends the validity of a key.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::KeyRevokeParams;

pub fn begin(params: KeyRevokeParams, _: &mut RequestScope<'_>) -> Begun {
    let command = Command::RevokeCredential(params.name);
    Ok(Started::Submit(command, finish_ok))
}
