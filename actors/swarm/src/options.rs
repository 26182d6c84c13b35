//! Options of the swarm: plain data, validated by the reader of the settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::ScopeLimit;
use kirosu_protocol::budget::Budget;
use kirosu_protocol::client::Endpoint;
pub use kirosu_protocol::settings::{HookOptions, WorkspaceMode};
use kirosu_protocol::task::DEFAULT_QUEUE;
use kirosu_protocol::verbs::hello::SessionSecret;
use kirosu_providers::{Containment, DEFAULT_MAX_OUTPUT_BYTES, Provider, RunBounds, Timeouts};
use kirosu_supervision::{BackoffPolicy, Intensity, Restart};

use crate::account::AccountOptions;

use crate::permission::PermissionPolicy;
use crate::prices::Prices;

/// Default budget that a run reserves at a time: 100,000 tokens and 0.50 dollars.
pub const DEFAULT_RESERVE: Budget = Budget {
    tokens: Some(100_000),
    micros: Some(500_000),
};

/// Default of [`PoolOptions::breaker`] for pools of agent programs and model APIs.
pub const DEFAULT_BREAKER: u32 = 5;

/// Options of one pool of agent sessions. All but `restart`, `backoff` and `intensity` can be changed while it runs.
#[derive(Clone)]
pub struct PoolOptions {
    /// Name, unique in the swarm; part of paths and folder names, so without `/`.
    pub name: String,
    /// Runs the pool's tasks.
    pub provider: Arc<dyn Provider>,
    /// The accounts of the providers that the pool may use. A provider that is not named has an account of its own
    /// name, without limits. The accounts apply to all pools of the process.
    pub accounts: Vec<AccountOptions>,
    /// Runs tasks of type `python`; used on trusted pools only.
    pub python: Option<Arc<dyn Provider>>,
    /// Number of sessions; a pool of 0 sessions runs nothing until it is resized.
    pub size: u32,
    /// Queues to lease from; empty means the default queue.
    pub queues: Vec<String>,
    /// Task types to lease; empty means every type that the pool may run.
    pub types: Vec<String>,
    /// Length of a lease; a heartbeat is sent every third of it.
    pub lease: Duration,
    /// Time limits of a run. A task's own limit applies if it is shorter than `total`.
    pub timeouts: Timeouts,
    /// When a session that ended is restarted.
    pub restart: Restart,
    /// Delays before restarts of a session.
    pub backoff: BackoffPolicy,
    /// Restarts of all sessions together after which all of them are stopped for a while.
    pub intensity: Intensity,
    /// The folder in which a task runs.
    pub workspace: WorkspaceMode,
    /// `Shared` and `Worktree`: the folder itself. Otherwise the parent of the private folders, if not
    /// `workspaces_dir`.
    pub workdir: Option<PathBuf>,
    /// `Worktree`: the commit that tasks start from; `None` means the commit checked out at that time.
    pub base: Option<String>,
    /// Parent of private folders. Must not be a directory for temporary files: results stay there until they are
    /// confirmed.
    pub workspaces_dir: PathBuf,
    /// Whether tasks may run code on this machine.
    pub trust_all_tools: bool,
    /// Whether commands of `accept` clauses are run even without trust.
    pub accept_commands: bool,
    /// Whether agents get a token of their run, with which they can add tasks below their own.
    pub run_token: bool,
    /// Whether agents get the MCP servers that the folder's own `.kiro/settings/mcp.json` names.
    pub workspace_mcp: bool,
    /// Whether agent programs that are not trusted may change files of their folder.
    pub may_edit: bool,
    /// Decides permission requests of tool calls, on pools that are not trusted.
    pub approval: PermissionPolicy,
    /// Model for tasks that name none.
    pub model: Option<String>,
    /// Variables added to the environment of runs.
    pub env: Vec<(String, String)>,
    /// Prices of models, for runs whose provider states no cost.
    pub prices: Arc<Prices>,
    /// Maximum size in bytes of a result, and of a run's streamed output; the rest is cut with a mark.
    pub max_output_bytes: usize,
    /// The budgets that runs may count against: the hub's, this pool's, and each provider's.
    pub budgets: Vec<ScopeLimit>,
    /// Budget that a run reserves at a time.
    pub reserve: Budget,
    /// Number of different tasks in a row that fail at once after which the pool tries one task at a time; 0 means
    /// never.
    pub breaker: u32,
    /// Whether the model's visible reasoning is part of a run's output. It is never part of its result.
    pub show_thoughts: bool,
    /// Programs before and after each run.
    pub hooks: HookOptions,
    /// Contains Kirosu's own programs (git, checks of schemas). `None` means that none of them runs, nor hooks and commands
    /// of `accept` clauses.
    pub containment: Option<Containment>,
    /// The bounds of runs, which hooks and commands of `accept` clauses have, too: they execute files that agents wrote.
    pub bounds: Arc<RunBounds>,
}

impl PoolOptions {
    /// A pool of one session with the default queue, leases of five minutes and no time limits.
    pub fn new(
        name: impl Into<String>,
        provider: Arc<dyn Provider>,
        workspaces_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            provider,
            accounts: Vec::new(),
            python: None,
            size: 1,
            queues: Vec::new(),
            types: Vec::new(),
            lease: Duration::from_secs(300),
            timeouts: Timeouts::default(),
            restart: Restart::Permanent,
            backoff: BackoffPolicy::default(),
            intensity: Intensity::default(),
            workspace: WorkspaceMode::Shared,
            workdir: None,
            base: None,
            workspaces_dir: workspaces_dir.into(),
            trust_all_tools: false,
            accept_commands: false,
            may_edit: false,
            run_token: true,
            workspace_mcp: false,
            approval: PermissionPolicy::default(),
            model: None,
            env: Vec::new(),
            prices: Arc::default(),
            max_output_bytes: DEFAULT_MAX_OUTPUT_BYTES,
            budgets: Vec::new(),
            reserve: DEFAULT_RESERVE,
            breaker: 0,
            show_thoughts: false,
            hooks: HookOptions::default(),
            containment: None,
            bounds: Arc::default(),
        }
    }

    /// The containment of hooks and of commands of `accept` clauses.
    pub(crate) fn bounded(&self) -> Option<Containment> {
        let containment = self.containment.as_ref()?;
        Some(containment.bounded(self.bounds.clone()))
    }

    /// The queues to lease from: those that are set, or the default one, and that with the pool's own name, which steps of plans
    /// use.
    pub(crate) fn queues(&self) -> Vec<String> {
        let mut queues = self.queues.clone();
        if queues.is_empty() {
            queues.push(DEFAULT_QUEUE.to_owned());
        }
        if !queues.contains(&self.name) {
            queues.push(self.name.clone());
        }
        queues
    }

    /// Whether tasks of type `python` run here.
    pub(crate) fn runs_python(&self) -> bool {
        self.trust_all_tools && self.python.is_some()
    }
}

impl std::fmt::Debug for PoolOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the values of the environment, which may be secret.
        f.debug_struct("PoolOptions")
            .field("name", &self.name)
            .field("provider", &self.provider.name())
            .field("size", &self.size)
            .field("queues", &self.queues)
            .field("workspace", &self.workspace)
            .field("trust_all_tools", &self.trust_all_tools)
            .finish_non_exhaustive()
    }
}

/// Options of the whole swarm of one process.
#[derive(Clone)]
pub struct SwarmOptions {
    /// Address of the hub.
    pub endpoint: Endpoint,
    /// The hub's key, if it needs one.
    pub key: Option<String>,
    /// The way to the hub for agents. `None`: they get no tokens.
    pub agent_hub: Option<AgentHub>,
    /// The pools, in the order in which they are listed.
    pub pools: Vec<PoolOptions>,
    /// Identifies this start of the process at the hub: `HOST:PID-BOOT`. Part of session ids.
    pub instance: String,
    /// A secret of this start of the process, without which no other client can take its sessions over.
    pub session_secret: SessionSecret,
    /// Name of this machine, shown as part of worker names.
    pub host: String,
    /// Time that running tasks have to end after a stop, before they are ended and released.
    pub drain: Duration,
}

/// The hub's address for agents.
#[derive(Clone, Debug)]
pub struct AgentAddress {
    /// The address, in the form of `KIROSU_HUB`.
    pub address: String,
    /// The variable with which `kirosu` verifies the hub's certificate, with its value.
    pub tls: Option<(String, String)>,
}

/// The way to the hub for agents.
#[derive(Clone, Debug)]
pub struct AgentHub {
    /// Its address.
    pub at: AgentAddress,
    /// This program, which serves MCP with `mcp` as its argument.
    pub program: String,
}

impl std::fmt::Debug for SwarmOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key, which is secret.
        f.debug_struct("SwarmOptions")
            .field("endpoint", &self.endpoint)
            .field("key", &self.key.as_ref().map(|_| "set"))
            .field("pools", &self.pools)
            .field("instance", &self.instance)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
