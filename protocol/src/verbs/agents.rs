//! `agents`: who works for the hub: sessions, and connections that hold leases without one.
//!
//! ```text
//! {"id":1,"method":"agents"}
//! {"id":1,"result":{"agents":[{"session_id":"host-7-pool-a-1","name":"a-1","connected":true,"leases":[{"task_id":42,"fence":1}],...}]},"error":null}
//! ```

use super::Verb;
use super::hello::HeldLease;
use crate::method::Method;
use serde::{Deserialize, Serialize};

/// No parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentsAsk {}

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

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentsAnswer {
    /// Oldest first.
    pub agents: Vec<AgentInfo>,
}

impl Verb for AgentsAsk {
    const METHOD: Method = Method::Agents;
    type Answer = AgentsAnswer;
}
