//! The swarm: pools of agent sessions that lease tasks and run them through providers.
//!
//! # Theory of operation
//!
//! ```text
//! pools                    supervisor, one child a pool
//! └── NAME                 supervisor of one pool; never gives up, so that no pool takes the hub with it
//!     ├── probe            looks whether the provider can run; while it cannot, no task is taken
//!     ├── invocations      dynamic: one temporary child a running task, which owns the provider's run
//!     ├── sessions         supervisor: sessions "1" to "n", restarted with exponential backoff
//!     └── foreman          stopped first: lets all sessions drain side by side
//! ```
//!
//! A *session* is the agent. It has a connection to the hub (in memory, or over TCP: the same code), under a session id
//! that stays the same through its restarts. When the lanes of its provider (`lane/`) have room, it parks a `lease`, runs the task as an *invocation*, sends heartbeats
//! meanwhile, and acks with the lease's fence. What it does next is decided by a pure machine (`session/machine.rs`);
//! the actor only carries out the machine's actions and tells it what happened.
//!
//! Promises, and what keeps them:
//!
//! - *An ack is not lost.* It is sent again after each break of the connection until the hub has answered it. Whether
//!   it counts is the hub's decision alone: it knows the newest fence.
//! - *A crash of a session loses no task.* The next incarnation's first `hello` says `resume: false`, so that the hub
//!   gives its older leases back at once. A crash of an invocation is not even that: the session acks it as `crashed`.
//! - *A run never outlives its session's interest.* The invocation hangs on a leash; when the session ends, however,
//!   the leash tears and the provider ends every process of the run.
//! - *A stop costs no attempt.* A run that has not ended within the drain is ended, proven dead, and its lease released.
//!   A lease that the hub granted while the session was leaving is found by asking once more, and released.
//! - *A refused account burns no tasks.* Its lane is parked for all pools, nobody leases for it, and one run finds out when
//!   it is over.
//! - *A missing provider burns no tasks.* The lease goes back, the pool takes no more, and says so once.

mod approval;
mod conversations;
mod going_on;
mod handle;
mod headline;
mod invocation;
mod lane;
mod later;
mod options;
mod pool;
mod prices;
mod session;
mod swarm;
mod workspace;

#[cfg(test)]
mod tests;

pub use approval::{Action, ApprovalPolicy, ArgsText, Rule, RuleText};
pub use handle::{Reloaded, SwarmHandle};
pub use invocation::accept::schema;
pub use lane::{Account, Limits};
pub use options::{DEFAULT_BREAKER, Hooks, PoolOptions, SwarmOptions, Workspace};
pub use prices::Prices;
pub use swarm::specs;
pub use workspace::worktree;
