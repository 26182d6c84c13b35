//! The swarm: pools of agent sessions that lease tasks and run them through providers.
//!
//! # Theory of operation
//!
//! ```text
//! pools                    supervisor, one child per pool
//! └── NAME                 supervisor of one pool; never gives up, so that no pool stops the hub
//!     ├── probe            checks whether the provider can run; while it cannot, no task is leased
//!     ├── invocations      dynamic: one temporary child per running task, which owns the provider's run
//!     ├── sessions         supervisor: sessions "1" to "n", restarted with exponential backoff
//!     └── drain            stopped first: lets all sessions drain at the same time
//! ```
//!
//! A *session* is the agent. It has a connection to the hub (in memory or over TCP, by the same code), under a
//! session id that survives its restarts. When the account of its provider (`account/`) has capacity, it parks a `lease`
//! request, runs the task as an *invocation*, sends heartbeats, and acks with the lease's fence. A pure machine
//! (`session/machine/`) decides what the session does; the actor carries out the machine's actions and reports the
//! results.
//!
//! Guarantees, and the mechanisms behind them:
//!
//! - *No ack is lost.* It is sent again after each break of the connection until the hub has answered it. Only the
//!   hub decides whether it counts, by the fence.
//! - *A crash of a session loses no task.* The first `hello` of the next incarnation sets `resume: false`, so that
//!   the hub takes its older leases back at once. When an invocation crashes, its session acks the task as `crashed`.
//! - *A run never outlives its session.* The invocation has a cancel handle. When the session ends, for any reason,
//!   the handle is dropped and the provider ends every process of the run.
//! - *A stop costs no attempt.* A run that has not ended within the drain is ended, its processes are proven dead,
//!   and its lease is released. A lease that the hub granted while the session was leaving is found by one more
//!   `hello`, and released.
//! - *A refused account burns no tasks.* The account is parked for all pools, no session leases for it, and one run
//!   probes it when the pause is over.
//! - *A missing provider burns no tasks.* The lease goes back, and the pool leases nothing until the provider is
//!   there; this is logged once.

mod account;
mod conversations;
mod down;
mod handle;
mod headline;
mod invocation;
mod link;
mod options;
mod permission;
mod pool;
mod pool_tree;
mod prices;
mod resume;
mod run_end;
mod session;
mod sleep_until;
mod swarm;
mod workspace;

#[cfg(test)]
mod tests;

pub use account::{AccountLimits, AccountOptions};
pub use down::down_reports;
pub use handle::{Reloaded, SwarmHandle};
pub use invocation::accept::schema;
pub use options::{
    AgentAddress, AgentHub, DEFAULT_BREAKER, HookOptions, PoolOptions, SwarmOptions, WorkspaceMode,
};
pub use permission::{ArgsText, PermissionPolicy, PermissionRule, RuleAction, RuleText};
pub use prices::Prices;
pub use swarm::specs;
pub use workspace::worktree;
