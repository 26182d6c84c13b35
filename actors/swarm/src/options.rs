//! What the swarm is told when it starts: plain data, validated by whoever read the configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::budget::Budget;
use kirosu_protocol::client::Endpoint;
use kirosu_protocol::task::DEFAULT_QUEUE;
use kirosu_protocol::verbs::reserve::ScopeLimit;
use kirosu_providers::{Containment, DEFAULT_MAX_OUTPUT_BYTES, Provider, Timeouts};
use kirosu_supervision::{BackoffPolicy, Intensity, Restart};

use crate::lane::Account;

use crate::approval::ApprovalPolicy;
use crate::prices::Prices;

/// What a run reserves at a time unless the pool says otherwise: 100,000 tokens and half a dollar.
pub const DEFAULT_RESERVE: Budget = Budget {
    tokens: Some(100_000),
    micros: Some(500_000),
};

/// Tasks whose runs fail at once, one after the other, before the pool of an agent program or a model API tries one task
/// at a time.
pub const DEFAULT_BREAKER: u32 = 5;

/// Which folder a task runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Workspace {
    /// All sessions of the pool in one folder: [`PoolOptions::workdir`], or the working directory of the process. A
    /// task may name a folder inside it.
    #[default]
    Shared,
    /// One private folder a session, kept from task to task: `PARENT/POOL/session-N`.
    Isolated,
    /// One private folder a task: `PARENT/POOL/task-ID-NUMBER`. Removed once the hub has confirmed the result; kept
    /// when the run failed.
    Ephemeral,
    /// A git worktree a task, on the branch `kirosu/task-ID` of the repository that [`PoolOptions::workdir`] lies in:
    /// `WORKSPACES_DIR/POOL/task-ID`. Stays until a person applies or discards it.
    Worktree,
}

/// Programs around each run of a pool, in the run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// Program and arguments before the run; where it fails, the run does not begin. Empty: none.
    pub before: Vec<String>,
    /// Program and arguments after it, however it ended. Empty: none.
    pub after: Vec<String>,
    /// The longest that each may take.
    pub timeout: Duration,
    /// Whether a run whose `after` failed has failed.
    pub after_must_succeed: bool,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            before: Vec::new(),
            after: Vec::new(),
            timeout: Duration::from_secs(60),
            after_must_succeed: false,
        }
    }
}

/// One pool of agent sessions. Everything but `restart`, `backoff` and `intensity` may be changed while it runs.
#[derive(Clone)]
pub struct PoolOptions {
    /// Its name, unique in the swarm; a step of paths and of folder names, so without `/`.
    pub name: String,
    /// What runs its tasks.
    pub provider: Arc<dyn Provider>,
    /// The accounts of the providers that it may end up with; one that is not named has an account of its own name,
    /// without limits. What the pool brings counts for all pools of the process.
    pub accounts: Vec<Account>,
    /// What runs tasks of type `python`; used on trusted pools only.
    pub python: Option<Arc<dyn Provider>>,
    /// Number of sessions; 0 is a pool that waits to be resized.
    pub size: u32,
    /// Queues it takes tasks from; empty means the default queue.
    pub queues: Vec<String>,
    /// Task types it takes; empty means every type that it may run.
    pub types: Vec<String>,
    /// Length of its leases; a heartbeat is sent every third of it.
    pub lease: Duration,
    /// Time limits of a run. A task's own limit counts where it is shorter than `total`.
    pub timeouts: Timeouts,
    /// When a session that ended is started again.
    pub restart: Restart,
    /// Delays before restarts of a session.
    pub backoff: BackoffPolicy,
    /// Restarts of its sessions, all together, that it bears before they are all stopped for a while.
    pub intensity: Intensity,
    /// Which folder a task runs in.
    pub workspace: Workspace,
    /// `Shared`, `Worktree`: the folder itself. Otherwise the parent of the private folders, where not `workspaces_dir`.
    pub workdir: Option<PathBuf>,
    /// `Worktree`: the commit that tasks start from; `None`: what the checkout has at that time.
    pub base: Option<String>,
    /// Parent of private folders. Not in a directory for temporary files: results are there until they are confirmed.
    pub workspaces_dir: PathBuf,
    /// Whether it may run code of tasks on this machine.
    pub trust_all_tools: bool,
    /// Whether it runs the command of a task's `accept` clause, also without trust.
    pub accept_commands: bool,
    /// Whether MCP servers that the folder's own `.kiro/settings/mcp.json` names are handed to agents.
    pub workspace_mcp: bool,
    /// Whether agent programs may change files of their folder where they may not do everything.
    pub may_edit: bool,
    /// Who decides over tool calls, where not all tools are trusted.
    pub approval: ApprovalPolicy,
    /// The model, where a task names none.
    pub model: Option<String>,
    /// Variables added to the environment of its runs.
    pub env: Vec<(String, String)>,
    /// What models cost, for runs whose provider states no cost.
    pub prices: Arc<Prices>,
    /// Bytes of a result, and of a run's streamed output, that are kept; the rest is cut with a mark.
    pub max_output_bytes: usize,
    /// The budgets that its runs may count against: of the hub, of this pool, and of any provider by its name.
    pub budgets: Vec<ScopeLimit>,
    /// How much a run reserves of them at a time.
    pub reserve: Budget,
    /// After runs of so many tasks in a row that failed at once, the pool tries one task at a time; 0: it never does.
    pub breaker: u32,
    /// Whether the model's visible reasoning is shown in the output of a run. It is never in its result.
    pub show_thoughts: bool,
    /// Programs around each run.
    pub hooks: Hooks,
    /// How programs that are no provider (git, hooks, checks) are held. Without it none is run.
    pub containment: Option<Containment>,
}

impl PoolOptions {
    /// A pool of one session with the default queue, leases of five minutes and no limits of time.
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
            workspace: Workspace::Shared,
            workdir: None,
            base: None,
            workspaces_dir: workspaces_dir.into(),
            trust_all_tools: false,
            accept_commands: false,
            may_edit: false,
            workspace_mcp: false,
            approval: ApprovalPolicy::default(),
            model: None,
            env: Vec::new(),
            prices: Arc::default(),
            max_output_bytes: DEFAULT_MAX_OUTPUT_BYTES,
            budgets: Vec::new(),
            reserve: DEFAULT_RESERVE,
            breaker: 0,
            show_thoughts: false,
            hooks: Hooks::default(),
            containment: None,
        }
    }

    /// The queues it takes tasks from, never empty.
    pub(crate) fn queues(&self) -> Vec<String> {
        if self.queues.is_empty() {
            return vec![DEFAULT_QUEUE.to_owned()];
        }
        self.queues.clone()
    }

    /// Whether tasks of type `python` run here.
    pub(crate) fn runs_python(&self) -> bool {
        self.trust_all_tools && self.python.is_some()
    }
}

impl std::fmt::Debug for PoolOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the environment's values nor the provider, which has no form for people.
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

/// The whole swarm of one process.
#[derive(Clone)]
pub struct SwarmOptions {
    /// Where the hub is.
    pub endpoint: Endpoint,
    /// The hub's key.
    pub key: Option<String>,
    /// The pools, in the order in which they are shown.
    pub pools: Vec<PoolOptions>,
    /// Names this start of this process among all that speak to the hub: `HOST:PID-BOOT`. Sessions are named after it.
    pub instance: String,
    /// Name of this machine, as people see it behind a worker's name.
    pub host: String,
    /// How long running tasks may go on after a stop was asked for, before they are ended and given back.
    pub drain: Duration,
}

impl std::fmt::Debug for SwarmOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key itself.
        f.debug_struct("SwarmOptions")
            .field("endpoint", &self.endpoint)
            .field("key", &self.key.as_ref().map(|_| "set"))
            .field("pools", &self.pools)
            .field("instance", &self.instance)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
