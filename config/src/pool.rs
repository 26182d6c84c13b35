//! `[[pool]]` and `[providers.NAME]`: which agents run, how many, and on what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::hooks::Hooks;

/// Longest silence of agent programs where a pool sets none. Generous: a tool may run long and print nothing.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Longest time to the first output of agent programs where a pool sets none.
pub const START_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// One pool of agent sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Unique name of `[a-z0-9_-]`, at most 64 characters.
    pub name: String,
    /// Name of a provider that is defined.
    pub provider: String,
    /// Number of sessions, 0 to 10000; 0 is a pool that waits to be resized.
    pub size: u32,
    /// Queues that are leased from; never empty.
    pub queues: Vec<String>,
    /// Task types that are leased; empty means all that the provider may run.
    pub types: Vec<String>,
    /// Length of its leases, within `lease.min..=lease.max`.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Longest run of one task; `None` is without limit.
    #[serde(default, with = "humantime_serde")]
    pub timeout: Option<Duration>,
    /// Longest time without output of a running task. Zero: no limit; `None`: [`SILENCE_TIMEOUT`] for agent programs.
    #[serde(default, with = "humantime_serde")]
    pub silence_timeout: Option<Duration>,
    /// Longest time to the first output. Zero: no limit; `None`: [`START_TIMEOUT`] for agent programs, or
    /// `silence_timeout` where the pool sets it.
    #[serde(default, with = "humantime_serde")]
    pub start_timeout: Option<Duration>,
    /// When an ended session is started again.
    pub restart: Restart,
    /// Which folder a task runs in.
    pub workspace: Workspace,
    /// `shared`, `worktree`: the folder itself (`None`: the hub's working directory). Else: the parent of the private folders
    /// (`None`: [`crate::Settings::workspaces_dir`]).
    pub workdir: Option<PathBuf>,
    /// `worktree`: the commit that tasks start from; `None`: what is checked out at that time.
    pub base: Option<String>,
    /// Programs around each run, as written; [`Pool::hooks`] reads it.
    #[serde(default, deserialize_with = "tree")]
    pub hooks: Option<serde_json::Value>,
    /// What agent programs may do unasked; `None`: as `trust_all_tools` says.
    pub trust: Option<Trust>,
    /// Whether the pool may run code of tasks on this machine; counts only together with `hub.trust_all_tools`.
    pub trust_all_tools: bool,
    /// Whether MCP servers that the folder's own `.kiro/settings/mcp.json` names reach agents; `None`: as
    /// `trust_all_tools` says.
    pub workspace_mcp: Option<bool>,
    /// Whether the commands of tasks' `accept` clauses run here though tasks are not trusted otherwise.
    pub accept_commands: bool,
    /// Model, the provider's own where the pool names none; `None` leaves the choice to the program.
    pub model: Option<String>,
    /// Variables added to the environment of its runs; they override the provider's.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Most output kept of one run, in bytes; the rest is cut with a mark.
    pub max_output: u64,
    /// How much its runs may use, as written; [`Pool::budget`] reads it.
    #[serde(default, deserialize_with = "tree")]
    pub budget: Option<serde_json::Value>,
    /// Tokens that a run reserves of its budgets at a time.
    pub reserve_tokens: u64,
    /// Dollars that a run reserves of its budgets at a time.
    pub reserve_usd: f64,
    /// Whether the output of its runs shows the model's reasoning, where a provider tells it.
    pub show_thoughts: bool,
}

impl Pool {
    /// How much its runs may use; checked settings have no faults in it.
    #[must_use]
    pub fn budget(&self) -> Option<Budget> {
        self.budget
            .as_ref()
            .and_then(|table| Budget::read(table).ok())
    }

    /// Programs around each run; checked settings have no faults in it.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        let read = self.hooks.as_ref().map(Hooks::read);
        read.and_then(Result::ok).unwrap_or_default()
    }
}

/// What agent programs may do without asking a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Read.
    Safe,
    /// Change files of their folder, too.
    Edit,
    /// All that their user may do: `trust_all_tools`.
    All,
}

/// When a session that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// Always.
    Permanent,
    /// Only after a crash.
    Transient,
    /// Never.
    Temporary,
}

/// Which folder a task runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workspace {
    /// All agents of the pool in one folder.
    Shared,
    /// One private folder an agent.
    Isolated,
    /// One private folder a task.
    Ephemeral,
    /// One git worktree and branch a task.
    Worktree,
}

/// One provider definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// Which adapter runs it.
    pub kind: ProviderKind,
    /// For kinds `command` and `acp`: the built-in definition that the keys below change; those that say nothing are its.
    pub preset: Option<String>,
    /// Program and arguments; for kinds `command` and `acp` without a preset not empty, for the other kinds empty.
    pub command: Vec<String>,
    /// Arguments that name the model.
    pub model_args: Option<Vec<String>>,
    /// Arguments that hand over the system prompt.
    pub system_args: Option<Vec<String>>,
    /// Arguments that go on with a conversation.
    pub resume_args: Option<Vec<String>>,
    /// More arguments.
    pub extra_args: Option<Vec<String>>,
    /// Arguments and environment for each trust profile, as written; the providers' room reads it.
    #[serde(default, deserialize_with = "tree")]
    pub trust: Option<serde_json::Value>,
    /// What the output means, as written; the providers' room reads it.
    #[serde(default, deserialize_with = "tree")]
    pub output: Option<serde_json::Value>,
    /// How it is spoken to over ACP, as written; the providers' room reads it. For kind `acp` alone.
    #[serde(default, deserialize_with = "tree")]
    pub acp: Option<serde_json::Value>,
    /// Variables that the program sees beside the usual ones.
    pub env_pass: Option<Vec<String>>,
    /// How it is told of MCP servers, as written; the providers' room reads it.
    #[serde(default, deserialize_with = "tree")]
    pub mcp: Option<serde_json::Value>,
    /// The variable that names a file with the whole system prompt.
    pub system_file_env: Option<String>,
    /// What the program is asked to end with: `TERM` (so where nothing says otherwise) or `INT`.
    pub stop_signal: Option<String>,
    /// Arguments that print the program's version.
    pub version: Option<Vec<String>>,
    /// How the program is got, for people.
    pub install: Option<String>,
    /// Where its login shows, as written; the providers' room reads it.
    #[serde(default, deserialize_with = "tree")]
    pub login: Option<serde_json::Value>,
    /// For kinds `openai` and `anthropic`, as all keys down to `body`: where the service is, where the preset does not say.
    pub base_url: Option<String>,
    /// For kind `openai`: `chat` or `responses`.
    pub api: Option<String>,
    /// The variable that holds the service's key.
    pub key_env: Option<String>,
    /// The file that holds the service's key.
    pub key_file: Option<PathBuf>,
    /// The header that carries the key, where it is not the usual one.
    pub key_header: Option<String>,
    /// Most tokens of an answer.
    pub max_tokens: Option<u64>,
    /// More headers of a request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// More fields of a request, as written; the providers' room reads it.
    #[serde(default, deserialize_with = "tree")]
    pub body: Option<serde_json::Value>,
    /// For kind `router`: whom it chooses among, the first choice first.
    pub providers: Option<Vec<String>>,
    /// For kind `router`: at which failures it moves on.
    pub on: Option<Vec<String>>,
    /// For kind `router`: whether it moves on though a tool has run.
    pub retry_after_tools: Option<bool>,
    /// The account that it shares with others of the same word; its own name where none is said.
    pub account: Option<String>,
    /// Runs of the account side by side; [`crate::Settings::account_of`] has what counts, as for the next two.
    pub concurrency: Option<u32>,
    /// Runs of the account begun within a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens of the account a minute.
    pub tokens_per_minute: Option<u64>,
    /// Python interpreter; used by kind `python`.
    pub interpreter: String,
    /// Wait before an answer; used by kind `echo`.
    #[serde(default, with = "humantime_serde")]
    pub delay: Option<Duration>,
    /// How much its runs may use, as written; [`Provider::budget`] reads it.
    #[serde(default, deserialize_with = "tree")]
    pub budget: Option<serde_json::Value>,
    /// Model of pools that name none.
    pub model: Option<String>,
    /// Variables added to the environment of its runs.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

impl Provider {
    /// How much its runs may use; checked settings have no faults in it.
    #[must_use]
    pub fn budget(&self) -> Option<Budget> {
        self.budget
            .as_ref()
            .and_then(|table| Budget::read(table).ok())
    }
}

/// A table came through the layers as the text of its JSON.
pub(crate) fn tree<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<serde_json::Value>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| serde_json::from_str(&text).map_err(serde::de::Error::custom))
        .transpose()
}

/// The adapter behind a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Any program that reads the prompt on its standard input.
    Command,
    /// An agent that speaks the Agent Client Protocol.
    Acp,
    /// A model API of OpenAI's form.
    OpenAi,
    /// Anthropic's model API.
    Anthropic,
    /// The prompt is run as Python code. Dangerous: needs `trust_all_tools` on hub and pool.
    Python,
    /// Answers with the prompt.
    Echo,
    /// Chooses among other providers.
    Router,
}

impl ProviderKind {
    /// Whether it is a model API: a service that is asked over HTTP.
    #[must_use]
    pub fn is_service(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic)
    }
}
