//! `agents`: who works for the hub: sessions, and connections that hold leases without one.
//!
//! ```text
//! {"id":1,"method":"agents","params":{"all":true,"limit":100}}
//! {"id":1,"result":{"agents":[{"session_id":"host-7-pool-a-1","name":"a-1","connected":true,"leases":[{"task_id":42,"fence":1}],...}]},"error":null}
//! ```

use super::Verb;
use super::hello::HeldLease;
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use serde::{Deserialize, Serialize};

/// Connections told of at once when the client does not say how many.
pub const DEFAULT_LIMIT: u32 = 100;

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentsParams {
    /// Whether the connections are wanted too, with and without a session.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// At most so many connections; 100 when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only connections with a higher number: the last answer's `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// One agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// Its session; none: an old client that opened none.
    #[serde(default)]
    pub session_id: Option<String>,
    /// Its name for people: as said in `hello`, or the last `worker_id`.
    pub name: String,
    /// Where it connects from, as `127.0.0.1:50112`, `unix` or `local`.
    pub peer: String,
    /// Whether its connection stands.
    pub connected: bool,
    /// What it holds.
    pub leases: Vec<HeldLease>,
    /// Unix seconds of its first `hello` or lease.
    pub since: f64,
    /// Unix seconds of its last request.
    pub last_seen: f64,
}

/// One connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// Its number, growing in the order of arrival.
    pub connection: u64,
    /// Where it comes from, as `127.0.0.1:50112`, `unix` or `local`.
    pub peer: String,
    /// Its session; none: it opened none.
    #[serde(default)]
    pub session_id: Option<String>,
    /// Unix seconds of its arrival.
    pub since: f64,
    /// Requests that are not answered, waiting ones included.
    pub in_flight: u64,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentsAnswer {
    /// Oldest first.
    pub agents: Vec<AgentInfo>,
    /// Where asked for: the connections, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<ConnectionInfo>>,
    /// `after` of the next page of connections; none: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

impl Verb for AgentsParams {
    const METHOD: Method = Method::Agents;
    type Answer = AgentsAnswer;

    fn read(params: &Params<'_>, _limits: &Limits) -> Result<AgentsParams, Error> {
        Ok(AgentsParams {
            all: params.flag("all", false)?,
            limit: params.opt_positive("limit", 1..=10_000)?.map(|n| n as u32),
            after: params.opt_int("after", 0..=i64::MAX)?.map(|n| n as u64),
        })
    }
}
