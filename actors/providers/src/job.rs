//! What a provider is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use crate::gate::AccountGate;
use crate::mcp::McpServer;
use crate::outcome::Conversation;
use crate::permission::Permissions;

/// The cap on a kept result unless the job says otherwise: 1 MiB.
pub const DEFAULT_MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// How long a run may take. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start to the first sign of life.
    pub start: Option<Duration>,
    /// From one sign of life to the next. Time in which nobody reads our events does not count.
    pub silence: Option<Duration>,
    /// The whole run.
    pub total: Option<Duration>,
}

/// What a program may do without asking a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrustLevel {
    /// Read, and nothing that a person would have to allow.
    #[default]
    Safe,
    /// Change files of its folder, too.
    Edit,
    /// All that its user may do.
    All,
}

/// One attempt of one task.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task's id; programs see it as `KIROSU_TASK_ID`.
    pub task_id: i64,
    /// The lease's fence; programs see it as `KIROSU_FENCE`.
    pub fence: i64,
    /// The task's type as enqueued (`chat`, `python`, ...).
    pub task_type: String,
    /// The prompt. Reaches programs on stdin, never as an argument.
    pub prompt: String,
    /// Instructions that stand above the prompt. Each adapter says how it passes them on.
    pub system_prompt: Option<String>,
    /// The model to use, where the provider has a choice.
    pub model: Option<String>,
    /// The task itself named the model: one that is not there is then the task's fault, and not the pool's.
    pub model_is_tasks: bool,
    /// What it may do. Each adapter says how it passes that on.
    pub trust: TrustLevel,
    /// Who answers when the program asks for permission.
    pub permissions: Permissions,
    /// Which providers may be asked now, for one that chooses among others.
    pub gate: AccountGate,
    /// MCP servers that the agent may use, where its adapter can hand them over.
    pub mcp: Vec<McpServer>,
    /// The conversation to go on with, where the provider can.
    pub conversation: Option<Conversation>,
    /// An existing directory to work in.
    pub workdir: PathBuf,
    /// More environment for programs; wins over the provider's own.
    pub env: Vec<(String, String)>,
    /// The time limits.
    pub timeouts: Timeouts,
    /// Bytes of the answer to keep; what is printed beyond is read and dropped, and marked.
    pub max_output_bytes: usize,
}

impl Job {
    /// A `chat` job without limits of time, for task 0: what tests and probes start from.
    #[must_use]
    pub fn new(prompt: impl Into<String>, workdir: impl Into<PathBuf>) -> Self {
        Self {
            task_id: 0,
            fence: 0,
            task_type: "chat".to_owned(),
            prompt: prompt.into(),
            system_prompt: None,
            model: None,
            model_is_tasks: false,
            trust: TrustLevel::default(),
            permissions: Permissions::deny_all(),
            gate: AccountGate::open(),
            mcp: Vec::new(),
            conversation: None,
            workdir: workdir.into(),
            env: Vec::new(),
            timeouts: Timeouts::default(),
            max_output_bytes: DEFAULT_MAX_OUTPUT_BYTES,
        }
    }
}
