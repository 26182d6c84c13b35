//! `hello`: authenticates the connection, agrees on the protocol version and opens or resumes a session.
//!
//! ```text
//! {"id":1,"method":"hello","params":{"protocol":1,"session_id":"host-7-pool-a-1","name":"a-1","auth_token":"..."}}
//! {"id":1,"result":{"protocol":1,"server":"kirosu","version":"0.1.0","limits":{...},"session_id":"host-7-pool-a-1","resumed":false,"leases":[],"boot_id":"..."},"error":null}
//! ```

use crate::{Error, ErrorCode, Fence, Limits, Method, Params, TaskId, Verb};
use serde::{Deserialize, Serialize};

/// The version of the protocol that this crate implements.
pub const PROTOCOL_VERSION: u32 = 1;

/// The client's introduction.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HelloParams {
    /// The version of the protocol: 1.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub protocol: u32,
    /// The session to open or resume. `None` means no session.
    pub session_id: Option<String>,
    /// Whether to resume a known session with its leases. False means a new worker under the same id: the session's leases are
    /// lost at once.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub resume: bool,
    /// A name for people.
    pub name: Option<String>,
    /// A secret of the client's choice for the session: while the hub knows the session, only a `hello` with the same one can
    /// take it over. `None`: any client with the same rights can.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub session_secret: Option<SessionSecret>,
}

/// The secret of a session, or one that begins a session. It is not shown in the form for developers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionSecret(pub String);

impl std::fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Default for HelloParams {
    fn default() -> HelloParams {
        HelloParams {
            protocol: PROTOCOL_VERSION,
            session_id: None,
            resume: true,
            name: None,
            session_secret: None,
        }
    }
}

/// A current lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeldLease {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence.
    pub fence: Fence,
}

/// The hub's introduction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HelloAnswer {
    /// The version of the protocol.
    pub protocol: u32,
    /// The server's name.
    pub server: String,
    /// The server's version.
    pub version: String,
    /// The hub's limits.
    pub limits: Limits,
    /// The session, if one was given.
    pub session_id: Option<String>,
    /// Whether the session was known and is resumed.
    #[serde(default)]
    pub resumed: bool,
    /// The leases that the session holds.
    #[serde(default)]
    pub leases: Vec<HeldLease>,
    /// Unique per start of the hub. Event numbers start again with each start.
    pub boot_id: String,
    /// The client's name in records: that of its key, `admin` with the hub's key, the person's in the web page.
    #[serde(default)]
    pub name: String,
    /// The role of its key, or `admin` with the hub's, `keyless` without one, `run` with the token of a run.
    #[serde(default)]
    pub role: String,
    /// Its rights. A client with the hub's key may also have the right `person`, which depends on its process.
    #[serde(default)]
    pub rights: Vec<String>,
}

impl Verb for HelloParams {
    const METHOD: Method = Method::Hello;
    type Answer = HelloAnswer;

    /// # Errors
    /// `unsupported` for another version of the protocol. `auth_token` is read with the frame.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<HelloParams, Error> {
        let protocol = params
            .opt_positive("protocol", 1..=i64::from(u32::MAX))?
            .unwrap_or(1) as u32;
        if protocol != PROTOCOL_VERSION {
            let message = format!(
                "protocol {protocol} is not spoken here, only {PROTOCOL_VERSION}; ask for that one"
            );
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        Ok(HelloParams {
            protocol,
            session_id: params.opt_name("session_id", limits)?,
            resume: params.flag("resume", true)?,
            name: params.opt_name("name", limits)?,
            session_secret: params
                .opt_text_within("session_secret", limits.name_bytes)?
                .filter(|secret| !secret.is_empty())
                .map(SessionSecret),
        })
    }
}
