//! `key_list`: lists the keys of clients, without their secrets.
//!
//! ```text
//! {"id":1,"method":"key_list"}
//! {"id":1,"result":{"keys":[{"name":"ci","role":"enqueue","queues":["builds"],"created_at":1790000000.0,"used_at":1790000060.0}]},"error":null}
//! ```

use crate::{AccessRole, AccessScope};
use serde::{Deserialize, Serialize};

no_params!(KeyListParams, KeyList -> KeyListAnswer);

/// The keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyListAnswer {
    /// By name. Revoked and expired ones are listed until their entries in the audit trail are deleted.
    pub keys: Vec<KeyInfo>,
}

/// A key of a client.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: AccessRole,
    /// Its limits.
    #[serde(flatten)]
    pub scope: AccessScope,
    /// The fingerprint of the client's certificate, if that is the credential instead of a secret.
    pub certificate: Option<String>,
    /// Unix seconds.
    pub created_at: f64,
    /// Unix seconds. `None` means that it does not expire.
    pub expires_at: Option<f64>,
    /// Unix seconds, exact to a minute. `None` means that it was never used.
    pub used_at: Option<f64>,
    /// Unix seconds. `None` means that it is not revoked.
    pub revoked_at: Option<f64>,
}
