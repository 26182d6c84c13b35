//! Events of a run, and the bounded channel for them.

use std::sync::Arc;

use kirosu_protocol::task::Usage;
use serde::{Deserialize, Serialize};
use strum::{EnumString, VariantNames};
use tokio::sync::mpsc;

/// Tokens and cost of a run, normalised: input excludes tokens that were read from a cache.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunUsage {
    /// Input tokens that did not come from a cache.
    pub input: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache.
    pub cache_write: u64,
    /// Output tokens, without reasoning tokens where the provider separates them.
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

/// A stated cost in millionths of a dollar. `None` for a negative or an impossibly high figure.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn micros(dollars: f64) -> Option<u64> {
    (0.0..1e9)
        .contains(&dollars)
        .then(|| (dollars * 1e6).round() as u64)
}

/// The progress of a tool call.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ToolStatus {
    /// The tool runs.
    #[default]
    Started,
    /// It ended well.
    Done,
    /// It ended with an error, or was denied.
    Failed,
}

/// An event of a run. Adapters send only what their program reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The run began. Always the first event.
    Started {
        /// Process id of the program. `None` without a program.
        pid: Option<u32>,
        /// The provider's id of the conversation. `None` where it cannot be resumed or is not known yet.
        session: Option<String>,
        /// The model. `None` where the provider does not state it.
        model: Option<String>,
    },
    /// The program stated the id of its conversation.
    Session {
        /// The id, by which the conversation can be resumed.
        session: String,
    },
    /// A piece of the answer (stdout of a command). The joined pieces are the answer.
    Text {
        /// The piece, at most 48 KiB.
        text: String,
    },
    /// A piece of the program's stderr. It is a log and never part of the answer.
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
        /// The progress of the call.
        status: ToolStatus,
        /// Arguments or output, as JSON. `None` where the program states none.
        detail: Option<serde_json::Value>,
    },
    /// The run waits for a person's permission.
    Permission {
        /// The provider's id of the tool call.
        id: String,
        /// One line for a person.
        title: String,
        /// Arguments of the tool, as JSON. `None` where the program states none.
        detail: Option<serde_json::Value>,
    },
    /// The usage of the run so far (a total of this run, not an increment).
    Usage {
        /// The figures.
        usage: RunUsage,
    },
    /// Information for a person that does not fail the run.
    Warning {
        /// One sentence.
        message: String,
    },
}

/// The sending side. It is bounded: a flooding program waits for its reader. Cheap to clone.
#[derive(Clone)]
pub struct EventSink {
    sender: Option<mpsc::Sender<RunEvent>>,
    /// The function that changes each event.
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

    /// A sink that drops every event.
    #[must_use]
    pub const fn discard() -> Self {
        Self {
            sender: None,
            through: None,
        }
    }

    /// The same sink, which applies `change` to each event first.
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

    /// Sends one event and waits for space in the channel. Without a receiver the event is dropped: a run does not fail
    /// because it has no reader.
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
