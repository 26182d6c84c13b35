//! `key_revoke`: ends the validity of a key at once. Requests that wait under it are answered with `unauthorized`, and its
//! leases go back to the queue. Repeating it is harmless.
//!
//! ```text
//! {"id":1,"method":"key_revoke","params":{"name":"ci"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use super::key_add::key_name;
use crate::{Error, Limits, Method, Params, Verb};
use serde::Serialize;

/// The key to revoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyRevokeParams {
    /// Its name.
    pub name: String,
}

impl Verb for KeyRevokeParams {
    const METHOD: Method = Method::KeyRevoke;
    type Answer = Done;

    fn read(params: &Params<'_>, _: &Limits) -> Result<KeyRevokeParams, Error> {
        let name = key_name(params)?;
        Ok(KeyRevokeParams { name })
    }
}
