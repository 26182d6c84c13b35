//! The job of a provider: one attempt of one task.

use std::path::PathBuf;
use std::time::Duration;

pub use kirosu_protocol::settings::TrustLevel;

use crate::gate::ProviderGate;
use crate::mcp::{McpServer, RunHub};
use crate::outcome::{Conversation, FailureKind, RunFailure};
use crate::permission::Permissions;

/// Bytes of an answer that are kept, unless the job sets another limit: 1 MiB.
pub const DEFAULT_MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// Time limits of a run. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start to the first sign of life.
    pub start: Option<Duration>,
    /// From one sign of life to the next. Time in which the reader of the events blocks the program does not count.
    pub silence: Option<Duration>,
    /// The whole run.
    pub total: Option<Duration>,
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
    /// The prompt. Programs read it on stdin; it is never an argument.
    pub prompt: String,
    /// Instructions with priority over the prompt. Each adapter documents how it passes them.
    pub system_prompt: Option<String>,
    /// The model to use, where the provider has a choice.
    pub model: Option<String>,
    /// Whether the task itself named the model. Then a missing model is the task's fault and not the pool's.
    pub model_is_tasks: bool,
    /// The trust level. Each adapter documents how it applies it.
    pub trust: TrustLevel,
    /// The decisions about the program's permission requests.
    pub permissions: Permissions,
    /// The decision which providers may run now, for a provider that chooses among others.
    pub gate: ProviderGate,
    /// MCP servers for the agent, where its adapter can pass them.
    pub mcp: Vec<McpServer>,
    /// The agent's access to the hub. Programs see it as `KIROSU_HUB` and `KIROSU_TOKEN`, except for those that serve several
    /// jobs one after another; agents get it as a further MCP server.
    pub hub: Option<RunHub>,
    /// The conversation to continue, where the provider can.
    pub conversation: Option<Conversation>,
    /// Whether the job fails with [`FailureKind::BadInput`] where the conversation cannot be continued. Otherwise a new one
    /// begins.
    pub must_continue: bool,
    /// The folder to work in. It must exist.
    pub workdir: PathBuf,
    /// Further variables for programs. They win over the provider's own.
    pub env: Vec<(String, String)>,
    /// The time limits.
    pub timeouts: Timeouts,
    /// Bytes of the answer that are kept. Output beyond that is read and dropped, and the answer marked.
    pub max_output_bytes: usize,
}

impl Job {
    /// A `chat` job for task 0 without time limits, as a base for tests and probes.
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
            gate: ProviderGate::open(),
            mcp: Vec::new(),
            hub: None,
            conversation: None,
            must_continue: false,
            workdir: workdir.into(),
            env: Vec::new(),
            timeouts: Timeouts::default(),
            max_output_bytes: DEFAULT_MAX_OUTPUT_BYTES,
        }
    }

    /// The failure of a job that must continue its conversation and cannot.
    pub(crate) fn cannot_continue(&self, why: &str) -> RunFailure {
        let session = self.conversation.as_ref().map(|it| it.session.as_str());
        let session = session.unwrap_or("of the earlier task");
        let message = format!("the conversation {session} cannot be continued: {why}");
        RunFailure::new(FailureKind::BadInput, message)
    }

    /// Checks the folder.
    ///
    /// # Errors
    /// When it is not a directory.
    pub(crate) fn check_workdir(&self) -> Result<(), RunFailure> {
        if self.workdir.is_dir() {
            return Ok(());
        }
        let message = format!(
            "cannot work in {}: it is not a directory; create it or name another workdir",
            self.workdir.display()
        );
        Err(RunFailure::new(FailureKind::ProviderError, message))
    }
}
