//! Providers: what runs one prompt, and how its processes are held.
//!
//! # Theory of operation
//!
//! A [`Provider`] takes a [`Job`] (one attempt of one task), streams [`RunEvent`]s while it works and ends
//! with [`Finished`] or a [`RunFailure`] of a stated [`FailureKind`]. It has no mailbox and knows neither
//! hub nor store: whoever calls it (an invocation actor) decides about retries from the class alone.
//! [`build`] makes a provider from plain [`ProviderOptions`]; a later adapter is one more file under
//! `adapters/` and one more line in `registry.rs`.
//!
//! Adapters that start programs share one road, `invocation`: prompt on stdin, stdout and stderr pumped
//! through bounded buffers, three timeouts, cancel. Memory is bounded whatever a program prints: the
//! kept result has a cap, stderr keeps its tail, and the event channel slows the program down when
//! nobody reads.
//!
//! # Agent CLIs
//!
//! How an agent CLI is called and what its output means is data: a [`Definition`], built in or from the
//! configuration. `adapters/command.rs` builds the call from it, `output` reads what comes back, both without knowing
//! any CLI by name. Whatever runs, what it tells is an [`RunEvent`], one vocabulary for all providers.
//!
//! # Model APIs
//!
//! `http` asks a model without a program between: no process, no tools; see its first page.
//!
//! # Containment
//!
//! No process survives its invocation, whatever it does. Per invocation there is one *runner*, a small
//! single-threaded process ([`runner::main`], the same executable started with a hidden verb):
//!
//! ```text
//! hub ──control socket──▶ runner (own session, child subreaper) ──▶ program (own process group) ──▶ ...
//!  ▲───────── stdout and stderr pipes, held only by the program and what it started ◀─────────────┘
//! ```
//!
//! - A subreaper inherits every orphan below it, so a double fork or a new session does not get away.
//! - The control socket closes when the hub dies, even by SIGKILL: the runner then ends everything.
//! - Every process carries `KIROSU_RUN` and `KIROSU_INSTANCE` in its environment: should the runner itself
//!   be killed, [`containment::sweep_run`] finds what it left, and [`containment::sweep_instance`] does
//!   so at the next start of a hub that died together with its runners.
//! - The answer is given only after the runner reports that nothing is left.

mod acp;
mod adapters;
mod cancel;
pub mod containment;
pub mod definition;
mod event;
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

pub use adapters::find::find_program;
pub use cancel::{Cancel, CancelHandle};
pub use containment::{Containment, RunnerCommand};
pub use definition::Definition;
pub use event::{EventSink, EventStream, RunEvent, RunUsage, ToolStatus};
pub use futures_util::future::BoxFuture;
pub use gate::{AccountClosed, AccountGate, AccountPass, Gatekeeper};
pub use http::{HttpServiceOptions, services};
pub use job::{DEFAULT_MAX_OUTPUT_BYTES, Job, Timeouts, TrustLevel};
pub use mcp::{McpServer, McpTransport};
pub use options::{BuildError, KINDS, ProviderOptions};
pub use outcome::{Conversation, Doubt, FailureKind, Finished, RunFailure, TimeoutKind};
pub use permission::{Arbiter, PermissionDecision, PermissionRequest, Permissions};
pub use program::{Program, ProgramEnd, ProgramExit};
pub use provider::{ProbeReport, Provider};
pub use registry::build;
pub use router::{ROUTER_CLASSES, RouterOptions};
pub use session::{ProviderSession, SessionOptions, open_session};
pub use shortage::is_shortage;
pub use text::{ceil_boundary, floor_boundary};

/// Compiles the example of the users' page.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/providers.md")]
struct UsersPage;
