//! `key_add`: adds a key for a client, with a role and limits. The answer is the only one that contains its secret.
//!
//! ```text
//! {"id":1,"method":"key_add","params":{"name":"ci","role":"enqueue","queues":["builds"],"expires_seconds":2592000}}
//! {"id":1,"result":{"name":"ci","role":"enqueue","key":"krs_kZ0...","expires_at":1793000000.0},"error":null}
//! {"id":2,"method":"key_add","params":{"name":"gpu-1","role":"work","certificate":"sha256:7d1f..."}}
//! {"id":2,"result":{"name":"gpu-1","role":"work","certificate":"sha256:7d1f..."},"error":null}
//! ```

use super::seconds_or_null;
use crate::limits::DAY_MS;
use crate::{AccessRole, AccessScope, Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};

/// The longest name of a key, in bytes.
pub const KEY_NAME_BYTES: usize = 64;
/// The shortest validity, in milliseconds.
const EXPIRES_MS_MIN: u64 = 1000;
/// The longest validity, in milliseconds: ten years.
const EXPIRES_MS_MAX: u64 = 3660 * DAY_MS;

/// The key to add.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyAddParams {
    /// Its unique name: letters, digits, `.`, `-`, `_` and `@`; at most [`KEY_NAME_BYTES`].
    pub name: String,
    /// Its role.
    pub role: AccessRole,
    /// Its limits.
    #[serde(flatten)]
    pub scope: AccessScope,
    /// The time after which it is not valid, in milliseconds from now. `None` means that it does not expire.
    #[serde(rename = "expires_seconds", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub expires_ms: Option<u64>,
    /// The fingerprint of the client's TLS certificate, which is the credential instead of a secret: `sha256:` and 64 hexadecimal
    /// digits.
    pub certificate: Option<String>,
}

/// The added key.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyAddAnswer {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: AccessRole,
    /// The secret, which clients send as `auth_token`. The hub does not store it and cannot return it again. `None` if a
    /// certificate is the credential.
    pub key: Option<String>,
    /// The fingerprint of the certificate that is the credential.
    pub certificate: Option<String>,
    /// Unix seconds. `None` means that it does not expire.
    pub expires_at: Option<f64>,
}

/// Reads the name of a key.
///
/// # Errors
/// `invalid_params` if it is missing or has other characters than letters, digits, `.`, `-`, `_` and `@`.
pub(super) fn key_name(params: &Params<'_>) -> Result<String, Error> {
    let name = params.text("name")?;
    let is_name = name.len() <= KEY_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@'));
    match is_name {
        true => Ok(name),
        false => Err(params.refuse(
            "name",
            "1 to 64 letters, digits, `.`, `-`, `_` and `@` that begin with a letter or digit",
        )),
    }
}

/// The validity in milliseconds. 0 is refused: elsewhere it means no limit, and here that would be a surprise.
fn read_expiry(params: &Params<'_>) -> Result<Option<u64>, Error> {
    const NAME: &str = "expires_seconds";
    let given = params.opt_seconds(NAME, EXPIRES_MS_MIN..=EXPIRES_MS_MAX)?;
    match given.is_none() && params.raw(NAME).is_some() {
        true => Err(params.refuse(NAME, "at least 1; leave it out for a key without an end")),
        false => Ok(given),
    }
}

impl Verb for KeyAddParams {
    const METHOD: Method = Method::KeyAdd;
    type Answer = KeyAddAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<KeyAddParams, Error> {
        let name = key_name(params)?;
        let role: Option<AccessRole> = params.opt_word("role")?;
        let role =
            role.ok_or_else(|| params.refuse("role", "observe, enqueue, work, person or admin"))?;
        let scope = AccessScope::read(params, limits)?;
        if let Some(limit) = scope.foreign_to(role) {
            let message = format!(
                "invalid params: `{limit}` does not limit a key of the role `{role}`; leave it out"
            );
            return Err(Error::invalid_params(message));
        }
        Ok(KeyAddParams {
            name,
            role,
            scope,
            expires_ms: read_expiry(params)?,
            certificate: params.opt_text("certificate")?,
        })
    }
}
