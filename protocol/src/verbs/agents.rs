//! `agents`: lists the sessions, the connections that hold leases without a session, and on request all connections.
//!
//! ```text
//! {"id":1,"method":"agents","params":{"all":true,"limit":100}}
//! {"id":1,"result":{"agents":[{"session_id":"host-7-pool-a-1","name":"a-1","connected":true,"leases":[{"task_id":42,"fence":1}],...}]},"error":null}
//! ```

use crate::{Error, HeldLease, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};

/// The default of `limit`: connections per page.
pub const AGENTS_LIMIT: u32 = 100;

/// Whether, and which, connections to list.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AgentsParams {
    /// Whether to list all connections too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub all: bool,
    /// The most connections, 1 to 10,000. `None` means 100.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 10000))]
    pub limit: Option<u32>,
    /// Only connections with a greater number: `next` of the previous answer.
    pub after: Option<u64>,
}

/// A session, or a connection that holds leases without one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AgentInfo {
    /// The session. `None` for a client that opened none.
    pub session_id: Option<String>,
    /// The name for people: that of `hello`, or the last `worker_id`.
    pub name: String,
    /// The client's address, such as `127.0.0.1:50112`; `unix`, `local` or `away`.
    pub peer: String,
    /// Whether it is connected.
    pub connected: bool,
    /// The leases that it holds.
    pub leases: Vec<HeldLease>,
    /// Unix seconds of its first `hello` or lease.
    pub since: f64,
    /// Unix seconds of its last connect or disconnect.
    pub last_seen: f64,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConnectionInfo {
    /// The connection's number, in the order of arrival.
    pub connection: u64,
    /// The client's address, such as `127.0.0.1:50112`; `unix` or `local`.
    pub peer: String,
    /// The session. `None` for a client that opened none.
    pub session_id: Option<String>,
    /// Unix seconds of the connect.
    pub since: f64,
    /// The number of unanswered requests, waiting ones included.
    pub in_flight: u64,
}

/// The agents, and a page of the connections.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AgentsAnswer {
    /// The agents, oldest first.
    pub agents: Vec<AgentInfo>,
    /// The connections, oldest first, if requested.
    pub connections: Option<Vec<ConnectionInfo>>,
    /// `after` of the next page of connections. `None` means that this is the last page.
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
