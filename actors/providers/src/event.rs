//! What a run tells while it works, and the bounded channel it tells it through.

use std::sync::Arc;

use kirosu_protocol::task::Usage;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Tokens and money of a run, normalised: input never includes what was read from a cache.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunUsage {
    /// Input tokens that no cache served.
    pub input: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache.
    pub cache_write: u64,
    /// Output tokens, without the reasoning ones where the provider tells them apart.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
    /// Cost in millionths of a US dollar, where the provider states one.
    pub cost_micros: Option<u64>,
}

impl From<&RunUsage> for Usage {
    /// The hub's figures: output includes reasoning, cost is in dollars.
    fn from(usage: &RunUsage) -> Self {
        Self {
            input_tokens: usage.input,
            cache_read_tokens: usage.cache_read,
            cache_write_tokens: usage.cache_write,
            output_tokens: usage.all_output(),
            cost_usd: usage.cost_micros.map(|micros| micros as f64 / 1e6),
            cost_estimated: false,
        }
    }
}

impl RunUsage {
    /// Adds the tokens of `more`; the cost stays as it is.
    pub(crate) fn add_tokens(&mut self, more: &Self) {
        self.input = self.input.saturating_add(more.input);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.output = self.output.saturating_add(more.output);
        self.reasoning = self.reasoning.saturating_add(more.reasoning);
    }

    /// Adds the tokens and the cost of `more`.
    pub(crate) fn add(&mut self, more: &Self) {
        self.add_tokens(more);
        self.cost_micros = add_cost(self.cost_micros, more.cost_micros);
    }

    /// The difference to `before`, an earlier state of the same totals. A figure that shrank counts as 0.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let cost_before = before.cost_micros.unwrap_or(0);
        Self {
            input: self.input.saturating_sub(before.input),
            cache_read: self.cache_read.saturating_sub(before.cache_read),
            cache_write: self.cache_write.saturating_sub(before.cache_write),
            output: self.output.saturating_sub(before.output),
            reasoning: self.reasoning.saturating_sub(before.reasoning),
            cost_micros: self
                .cost_micros
                .map(|cost| cost.saturating_sub(cost_before)),
        }
    }

    /// Output tokens with the reasoning tokens.
    pub(crate) const fn all_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning)
    }
}

/// The sum of two costs; `None` where neither is stated.
pub(crate) fn add_cost(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    }
}

/// A stated cost in millionths of a dollar. A figure that nobody has ever paid for a run is none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn micros(dollars: f64) -> Option<u64> {
    (0.0..1e9)
        .contains(&dollars)
        .then(|| (dollars * 1e6).round() as u64)
}

/// How far a tool call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// The tool runs.
    Started,
    /// It ended well.
    Done,
    /// It ended with an error, or was denied.
    Failed,
}

/// One thing a run tells. Adapters emit only what their program really says; later adapters add kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The run began. Always the first event.
    Started {
        /// Process id of the program, where there is one.
        pid: Option<u32>,
        /// The provider's own name for the conversation, where it can be resumed.
        session: Option<String>,
        /// The model that answers, where the provider says so.
        model: Option<String>,
    },
    /// The program told its own name for the conversation.
    Session {
        /// The name, by which it can be resumed.
        session: String,
    },
    /// A piece of the answer (stdout of a command). Pieces joined in order are the answer.
    Text {
        /// The piece, at most 48 KiB.
        text: String,
    },
    /// A piece of the program's stderr: its log, never part of the answer.
    Stderr {
        /// The piece, at most 48 KiB.
        text: String,
    },
    /// A piece of the model's visible reasoning.
    Thought {
        /// The piece.
        text: String,
    },
    /// A tool call began or ended.
    Tool {
        /// The provider's id of the call.
        id: String,
        /// The tool's name.
        name: String,
        /// How far it is.
        status: ToolStatus,
        /// Arguments or output, as JSON, where given.
        detail: Option<serde_json::Value>,
    },
    /// The run waits for a person's permission.
    Permission {
        /// The provider's id of the question.
        id: String,
        /// One line for a person.
        title: String,
        /// Arguments of the tool, as JSON, where given.
        detail: Option<serde_json::Value>,
    },
    /// What the run has used up to now (a total of this run, not an increment).
    Usage {
        /// The figures.
        usage: RunUsage,
    },
    /// Something a person should know that does not fail the run.
    Warning {
        /// One sentence.
        message: String,
    },
}

/// The sending side: bounded, so that a flooding program waits for its readers. Cheap to clone.
#[derive(Clone)]
pub struct EventSink {
    sender: Option<mpsc::Sender<RunEvent>>,
    /// What every event goes through.
    through: Option<Through>,
}

type Through = Arc<dyn Fn(RunEvent) -> RunEvent + Send + Sync>;

/// The receiving side of an [`EventSink`].
pub type EventStream = mpsc::Receiver<RunEvent>;

impl EventSink {
    /// A channel that holds at most `capacity` events (at least 1). One event holds at most 48 KiB, so
    /// `capacity` bounds the memory.
    #[must_use]
    pub fn channel(capacity: usize) -> (Self, EventStream) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let sink = Self {
            sender: Some(sender),
            through: None,
        };
        (sink, receiver)
    }

    /// A sink that forgets everything.
    #[must_use]
    pub const fn discard() -> Self {
        Self {
            sender: None,
            through: None,
        }
    }

    /// The same sink, for events that go through `change` first.
    #[must_use]
    pub fn through(&self, change: impl Fn(RunEvent) -> RunEvent + Send + Sync + 'static) -> Self {
        let change: Through = match self.through.clone() {
            Some(outer) => Arc::new(move |event| outer(change(event))),
            None => Arc::new(change),
        };
        Self {
            sender: self.sender.clone(),
            through: Some(change),
        }
    }

    /// Hands over one event, waiting for room. Without a receiver the event is forgotten: a run does not
    /// fail because nobody watches it.
    pub async fn send(&self, event: RunEvent) {
        let event = match &self.through {
            Some(change) => change(event),
            None => event,
        };
        if let Some(sender) = &self.sender {
            drop(sender.send(event).await);
        }
    }
}

impl std::fmt::Debug for EventSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSink")
            .field("watched", &self.sender.is_some())
            .finish_non_exhaustive()
    }
}
