//! Providers: run one prompt each, and contain its processes.
//!
//! # Theory of operation
//!
//! A [`Provider`] takes a [`Job`] (one attempt of one task), streams [`RunEvent`]s while it works and ends
//! with [`Finished`] or a [`RunFailure`] of a stated [`FailureKind`]. It has no mailbox and knows neither
//! hub nor store: its caller (an invocation actor) decides about retries from the kind alone.
//! [`build`] makes a provider from [`ProviderOptions`]; CONTRIBUTING.md lists the places of a further
//! kind.
//!
//! Adapters that start programs share one path, `invocation`: the prompt on stdin, stdout and stderr pumped
//! through bounded buffers, three timeouts, cancel. Memory is bounded whatever a program prints: the
//! answer has a limit, stderr keeps its tail, and the event channel blocks the program when
//! events are not read.
//!
//! # Agent CLIs
//!
//! The call of an agent CLI and the meaning of its output are data: a [`Definition`], built in or from the
//! configuration. `adapters/command.rs` builds the call from it and `output` reads the result, both without
//! knowing any CLI by name. All providers report the same [`RunEvent`]s.
//!
//! # Model APIs
//!
//! `http` calls a model without a program: no process and no tools; see the documentation of that module.
//!
//! # Containment
//!
//! No process survives its invocation. Each invocation has one *runner*, a small
//! single-threaded process ([`runner::main`], the same executable started with a hidden verb):
//!
//! ```text
//! hub ──control socket──▶ runner (own session, child subreaper) ──▶ program (own process group) ──▶ ...
//!  ▲───────── stdout and stderr pipes, held only by the program and what it started ◀─────────────┘
//! ```
//!
//! - A subreaper inherits every orphan below it, so a double fork or a new session does not escape.
//! - The control socket closes when the hub dies, even by SIGKILL: the runner then ends everything.
//! - Every process has `KIROSU_RUN` and `KIROSU_INSTANCE` in its environment. If the runner itself is
//!   killed, [`containment::sweep_run`] finds its processes; if a hub dies together with its runners,
//!   [`containment::sweep_instance`] finds them at the next start.
//! - A run resolves only after the runner reports that no process is left, and, where the system allows a cgroup per run
//!   (`containment/cgroup/`), after the kernel reports that the group is empty.

mod acp;
mod adapters;
mod agent_file;
mod agent_folder;
mod cancel;
pub mod containment;
pub mod definition;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod http;
mod invocation;
mod job;
mod limits;
mod mcp;
mod options;
mod outcome;
mod output;
mod permission;
mod program;
mod provider;
mod registry;
mod router;
pub mod runner;
mod session;
mod shortage;
mod text;

pub use acp::rpc;
pub use adapters::find::find_program;
pub use agent_file::{AgentFile, FEW_LINES, MANY_LINES};
pub use agent_folder::{AgentFolder, FileMark};
pub use cancel::{Cancel, CancelHandle};
pub use containment::{
    Cgroups, Containment, RunBounds, RunLimits, RunUser, RunnerCommand, Sandbox, signals_missing,
};
pub use definition::Definition;
pub use event::{EventSink, EventStream, RunEvent, RunUsage, ToolStatus};
pub use futures_util::future::BoxFuture;
pub use gate::{AccountClosed, AccountPass, Gatekeeper, ProviderGate};
pub use http::{HttpServiceOptions, http_client, http_reason, read_secret, services};
pub use job::{DEFAULT_MAX_OUTPUT_BYTES, Job, Timeouts, TrustLevel};
pub use mcp::{McpServer, McpTransport, RunHub};
pub use options::{BuildError, KINDS, ProviderOptions};
pub use outcome::{Conversation, Doubt, FailureKind, Finished, RunFailure, RunResult, TimeoutKind};
pub use permission::{Arbiter, PermissionDecision, PermissionRequest, Permissions};
pub use program::{Program, ProgramEnd, ProgramExit};
pub use provider::{ProbeReport, Provider};
pub use registry::build;
pub use router::{ROUTER_CLASSES, RouterOptions};
pub use session::{ProviderSession, SessionOptions, open_session};
pub use shortage::is_shortage;

/// Compiles the example in the user documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/providers.md")]
struct UsersPage;
