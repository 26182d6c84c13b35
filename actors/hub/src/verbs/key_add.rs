//! `key_add`: adds a key for a client.

use super::{Begun, Command, RequestScope, submit_prepared};
use crate::credentials;
use crate::identity::{ADMIN, INTERNAL, KEYLESS, UNKNOWN};
use kirosu_protocol::{Effect, Error, ErrorCode, KeyAddAnswer, KeyAddParams, access::new_secret};
use kirosu_store::Credential;
use kirosu_tls::Fingerprint;

/// The parties of the audit trail that are not keys.
const RESERVED: [&str; 4] = [ADMIN, KEYLESS, INTERNAL, UNKNOWN];

pub fn begin(params: KeyAddParams, scope: &mut RequestScope<'_>) -> Begun {
    let KeyAddParams {
        name,
        role,
        scope: limits,
        expires_ms,
        certificate,
    } = params;
    if RESERVED.contains(&name.as_str()) {
        let message = format!(
            "the audit trail calls a client without a key of its own `{name}`; choose another name"
        );
        return Err(Error::new(ErrorCode::WrongState, message));
    }
    let certificate: Option<Fingerprint> = match certificate {
        Some(text) => Some(text.parse().map_err(|fault| {
            Error::invalid_params(format!("invalid params: `certificate`: {fault}"))
        })?),
        None => None,
    };
    let (hash, secret) = match certificate {
        Some(certificate) => (credentials::certificate_hash(certificate), None),
        None => {
            let secret = new_secret().map_err(|error| {
                let message = format!("the system gives no random bytes for a key: {error}");
                Error::internal(Effect::None, message)
            })?;
            (credentials::hash(&secret), Some(secret))
        }
    };
    let limits = serde_json::to_string(&limits).map_err(|error| {
        let message = format!("the limits of the key could not be stored: {error}");
        Error::internal(Effect::None, message)
    })?;
    let created_ms = scope.now_ms();
    let expires_ms = expires_ms.map(|ms| created_ms.saturating_add_unsigned(ms));
    let credential = Credential {
        name: name.clone(),
        role: role.as_str().to_owned(),
        hash,
        scope: limits,
        created_ms,
        expires_ms,
        used_ms: None,
        revoked_ms: None,
    };
    let answer = KeyAddAnswer {
        name,
        role,
        key: secret,
        certificate: certificate.map(|it| it.to_string()),
        expires_at: expires_ms.map(|ms| ms as f64 / 1000.0),
    };
    submit_prepared(Command::AddCredential(Box::new(credential)), &answer, scope)
}
