//! `lease`: take tasks, or wait for one.

/// What a worker asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseAsk {
    /// The worker's name, for people; leases belong to the session or the connection.
    pub worker_id: String,
    /// Most tasks to hand out.
    pub max_tasks: u32,
    /// How long the lease holds without a heartbeat, in milliseconds; the hub's default when none.
    pub lease_ms: Option<u64>,
    /// How long to park the request when nothing is ready, in milliseconds; 0 answers at once.
    pub wait_ms: u64,
    /// Queues to take from; never empty (`default` when none was named).
    pub queues: Vec<String>,
    /// Types to take; empty: every type but `human`.
    pub types: Vec<String>,
    /// Types not to take (wins over `types`).
    pub exclude_types: Vec<String>,
}
