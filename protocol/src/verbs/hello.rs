//! `hello`: who speaks, which protocol, which session; authenticates the connection once for all.
//!
//! ```text
//! {"id":1,"method":"hello","params":{"protocol":1,"session_id":"host-7-pool-a-1","name":"a-1","auth_token":"..."}}
//! {"id":1,"result":{"protocol":1,"server":"kirosu","version":"0.1.0","limits":{...},"session_id":"host-7-pool-a-1","resumed":false,"leases":[],"boot_id":"..."},"error":null}
//! ```

use super::Verb;
use crate::error::Error;
use crate::error::ErrorCode;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{Fence, TaskId};
use serde::{Deserialize, Serialize};

/// The protocol version this crate speaks.
pub const PROTOCOL: u32 = 1;

/// How a speaker introduces itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HelloParams {
    /// The protocol version; 1.
    pub protocol: u32,
    /// The session to open or resume; none: the connection has no session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Whether a session known by that id goes on with its leases. False: a new incarnation, whose older leases are lost
    /// at once.
    pub resume: bool,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Default for HelloParams {
    fn default() -> HelloParams {
        HelloParams {
            protocol: PROTOCOL,
            session_id: None,
            resume: true,
            name: None,
        }
    }
}

/// A lease that a resumed session still holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLease {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence.
    pub fence: Fence,
}

/// How the hub introduces itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// The protocol version that is spoken from here on.
    pub protocol: u32,
    /// The server's name.
    pub server: String,
    /// The server's version.
    pub version: String,
    /// What it takes at most.
    pub limits: Limits,
    /// The session, where one was named.
    #[serde(default)]
    pub session_id: Option<String>,
    /// Whether that session was known and goes on.
    #[serde(default)]
    pub resumed: bool,
    /// What it still holds.
    #[serde(default)]
    pub leases: Vec<HeldLease>,
    /// Another one with each start of the hub: event numbers begin anew.
    pub boot_id: String,
}

impl Verb for HelloParams {
    const METHOD: Method = Method::Hello;
    type Answer = HelloAnswer;

    /// Reads the parameters; another protocol version is `unsupported`. (`auth_token` is in the frame.)
    fn read(params: &Params<'_>, limits: &Limits) -> Result<HelloParams, Error> {
        let protocol = params
            .opt_positive("protocol", 1..=i64::from(u32::MAX))?
            .unwrap_or(1) as u32;
        if protocol != PROTOCOL {
            let message = format!(
                "protocol {protocol} is not spoken here, only {PROTOCOL}; ask for that one"
            );
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        Ok(HelloParams {
            protocol,
            session_id: params.opt_name("session_id", limits)?,
            resume: params.flag("resume", true)?,
            name: params.opt_name("name", limits)?,
        })
    }
}
