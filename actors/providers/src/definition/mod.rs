//! Agent CLIs as data: how a program is called, and what its output means.
//!
//! # Theory of operation
//!
//! A [`Definition`] is a table. The ones that come with the house are TOML files in `definitions/`, embedded; the
//! configuration may start from one of them (`preset`) and override any key, or write its own from nothing.
//! [`Definition::read`] lays overrides over the preset (`trust`, `env` and `output` key by key, everything else as a whole) and reads the
//! result with all faults at once. What is in it is applied by two readers that know no CLI by name: `adapters/`
//! builds the call, `output/` turns bytes into events and an outcome.

mod acp;
mod builtin;
mod login;
mod mcp;
mod own_model;
mod placeholders;
mod read;
mod table_reader;
mod version;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::outcome::FailureKind;

pub use acp::{AcpRules, Modes, SystemWay, TurnUsage};
pub use builtin::{built_in, built_in_names};
pub use login::{Login, LoginSign};
pub use mcp::{McpForm, McpWay};
pub use own_model::OwnModel;
pub(crate) use placeholders::escaped;

/// How one CLI is called and understood.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// How a person gets the program: one line.
    pub install: Option<String>,
    /// Arguments that make the program print its version, for the probe. `None`: it is only looked for.
    pub version: Option<Vec<String>>,
    /// The oldest version that is known to work: numbers with dots.
    pub oldest: Option<String>,
    /// Where its login shows.
    pub login: Login,
    /// The model that it is given where neither task nor pool names one.
    pub own_model: OwnModel,
    /// Program and arguments, with places: see `docs/providers.md`.
    pub command: Vec<String>,
    /// Stands for `{model_args}` when the job names a model.
    pub model_args: Vec<String>,
    /// Stands for `{resume_args}` when the job goes on with a conversation.
    pub resume_args: Vec<String>,
    /// Stands for `{system_args}` when there is a system prompt; empty: it is put before the prompt.
    pub system_args: Vec<String>,
    /// Stands for `{extra_args}`: for whoever runs it to add.
    pub extra_args: Vec<String>,
    /// What the job's trust adds.
    pub trust: TrustProfiles,
    /// Environment of its own; weaker than the configuration's.
    pub env: BTreeMap<String, String>,
    /// Variables that it may see besides the usual ones, `NAME` or `PREFIX_*`. `None`: all.
    pub env_pass: Option<Vec<String>>,
    /// How it is told of MCP servers.
    pub mcp: McpWay,
    /// Where it takes a whole system prompt from a file: the variable that names the file. It replaces the program's own.
    pub system_file_env: Option<String>,
    /// Settings that it reads below all others.
    pub defaults_file: Option<DefaultsFile>,
    /// What it is asked to end with, on cancel and timeout.
    pub stop_signal: StopSignal,
    /// What its output means.
    pub output: OutputRules,
    /// How it is spoken to, for kind `acp`.
    pub acp: AcpRules,
}

/// A file of settings that a program reads below all others.
#[derive(Debug, Clone, Default)]
pub struct DefaultsFile {
    /// The variable that names the file.
    pub env: String,
    /// The file that it reads without the variable: where it exists, none is written.
    pub machine: Option<String>,
    /// The settings, as JSON.
    pub content: Map<String, Value>,
}

/// The signal that asks a program to end; after a grace it is killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    #[default]
    Term,
    /// SIGINT, as Ctrl-C on a terminal sends it.
    Int,
}

impl StopSignal {
    /// The signal's name without `SIG`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
        }
    }
}

/// What is added to the call for each trust profile.
#[derive(Debug, Clone, Default)]
pub struct TrustProfiles {
    /// Reads, and does nothing that a person would have to allow.
    pub safe: TrustProfile,
    /// May change files of its folder.
    pub edit: TrustProfile,
    /// May do all its user may do.
    pub all: TrustProfile,
}

/// What is added to the call.
#[derive(Debug, Clone, Default)]
pub struct TrustProfile {
    /// Stands for `{trust_args}`.
    pub args: Vec<String>,
    /// More environment.
    pub env: BTreeMap<String, String>,
}

/// The form of what a program prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Text for people: all of it is the answer. Colours are taken out.
    #[default]
    Text,
    /// One JSON document, at the end.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// How the pieces of text become the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnswerMode {
    /// Joined as they are: pieces of a stream.
    #[default]
    Joined,
    /// The last one that is not blank: whole messages.
    Last,
}

/// What is read from a program's output.
#[derive(Debug, Clone, Default)]
pub struct OutputRules {
    /// The form.
    pub format: Format,
    /// `Format::Text`: taken off the beginning of the answer.
    pub prefix: String,
    /// The conversation's id; `value` points to it.
    pub session: Vec<FrameRule>,
    /// Pieces of the answer.
    pub text: Vec<FrameRule>,
    /// How pieces become the answer.
    pub answer: AnswerMode,
    /// The answer as a whole, where the program says it again at the end; wins over the pieces.
    pub result: Vec<FrameRule>,
    /// Visible reasoning.
    pub thought: Vec<FrameRule>,
    /// Tool calls.
    pub tool: Vec<ToolRule>,
    /// Things a person should know.
    pub warning: Vec<FrameRule>,
    /// A person's permission would have been needed. Without a good end after it, the run was refused; with one it is
    /// doubted where no tool succeeded after the denial.
    pub denied: Vec<DeniedRule>,
    /// The good end. Without it a run of a JSON format has failed, whatever its exit code.
    pub done: Vec<FrameRule>,
    /// Whether the last of `done` and `fail` counts. Else a bad end stays, whatever is printed after it.
    pub last_word: bool,
    /// The account is at its limit; `value` points to what says until when. Counts only where the run fails.
    pub limit: Vec<FrameRule>,
    /// The program waits before it asks its service again; `value` points to the words or the data that say why and how
    /// long.
    pub wait: Vec<WaitRule>,
    /// Words of a line of stderr, of a line that is no JSON or of a warning, in which the program says that it waits.
    pub wait_words: Vec<String>,
    /// Words of a failed run by which the program says that it no longer has the conversation it was to go on with.
    pub lost: Vec<String>,
    /// Whether errors are also read by the words, codes and statuses that all agents share (`limits`), and an answer that
    /// is a limit's notice as that limit. The default is true for JSON, false for text.
    pub known_errors: bool,
    /// MCP servers that the program did not take; `value` points to the name.
    pub mcp_failed: Vec<FrameRule>,
    /// The bad end; `value` points to the message.
    pub fail: Vec<FailRule>,
    /// Tokens and money.
    pub usage: Vec<UsageRule>,
    /// Beginnings of answers that are errors in truth.
    pub error_answers: Vec<String>,
    /// Words in the error, or in the end of stderr after a bad exit code, and their class.
    pub errors: Vec<Phrase>,
    /// Exit codes that mean a class.
    pub exit: BTreeMap<i32, FailureKind>,
}

/// Which frames (lines, documents), and what of them.
#[derive(Debug, Clone, Default)]
pub struct FrameRule {
    /// Pointers and the values that must stand there; a list means any of them.
    pub when: Vec<(String, Value)>,
    /// Pointer to a list, each element of which is looked at on its own.
    pub each: Option<String>,
    /// As `when`, for the element.
    pub item: Vec<(String, Value)>,
    /// What is taken: from the element where there is `each`, else from the frame.
    pub value: Option<String>,
}

/// A rule for a wait.
#[derive(Debug, Clone, Default)]
pub struct WaitRule {
    /// Which frames; `value` is the words or the data.
    pub rule: FrameRule,
    /// Words that they must hold, in any case; empty: any words.
    pub contains: String,
    /// The class, where words and data say none.
    pub class: Option<FailureKind>,
}

/// A rule for a denied tool.
#[derive(Debug, Clone, Default)]
pub struct DeniedRule {
    /// Which frames; `value` is the tool.
    pub rule: FrameRule,
    /// Pointer to the call's id, where denials are stated apart from the call.
    pub id: Option<String>,
}

/// A rule for a bad end.
#[derive(Debug, Clone, Default)]
pub struct FailRule {
    /// Which frames; `value` is the message.
    pub rule: FrameRule,
    /// Words that the message must hold, in any case; empty: any message.
    pub contains: String,
    /// Pointer to an HTTP status.
    pub status: Option<String>,
    /// The class, where the frame itself says it.
    pub class: Option<FailureKind>,
}

/// A rule for tool calls.
#[derive(Debug, Clone)]
pub struct ToolRule {
    /// Which frames; `value` is the arguments or the output.
    pub rule: FrameRule,
    /// Pointer to the call's id.
    pub id: Option<String>,
    /// Pointer to the tool's name.
    pub name: Option<String>,
    /// The tool's name, where frames say none.
    pub named: String,
    /// Pointer to the arguments, where a program tells a call only when it is over.
    pub input: Option<String>,
    /// How far the call is.
    pub status: crate::event::ToolStatus,
}

/// Whether figures count from the start of the run or of the conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counting {
    /// Each frame says what came to it: they are added up.
    #[default]
    Delta,
    /// Each frame says the total of the whole conversation.
    Running,
}

/// A rule for figures.
#[derive(Debug, Clone, Default)]
pub struct UsageRule {
    /// Which frames.
    pub rule: FrameRule,
    /// Pointers to the figures.
    pub fields: UsageFields,
    /// Tokens.
    pub mode: Counting,
    /// Money.
    pub cost_mode: Counting,
    /// Whether `input` counts what came from a cache.
    pub input_includes_cached: bool,
    /// Whether `output` counts the reasoning.
    pub output_includes_reasoning: bool,
}

/// Pointers to figures; what a program does not tell stays `None`.
#[derive(Debug, Clone, Default)]
pub struct UsageFields {
    /// Input tokens.
    pub input: Option<String>,
    /// Input tokens from a cache.
    pub cached_input: Option<String>,
    /// Input tokens written to a cache.
    pub cache_write: Option<String>,
    /// Output tokens.
    pub output: Option<String>,
    /// Reasoning tokens.
    pub reasoning: Option<String>,
    /// US dollars.
    pub cost: Option<String>,
}

/// Words that mean a class.
#[derive(Debug, Clone)]
pub struct Phrase {
    /// The words, whatever their case.
    pub contains: String,
    /// What they mean.
    pub class: FailureKind,
}

impl Definition {
    /// Reads the table `overrides`, laid over the built-in definition `preset` where one is named.
    ///
    /// # Errors
    /// Every fault, one sentence each: `output.format: one of text, json, jsonl is allowed`.
    pub fn read(
        preset: Option<&str>,
        overrides: &Map<String, Value>,
    ) -> Result<Definition, Vec<String>> {
        let mut table = match preset {
            Some(name) => built_in(name).ok_or_else(|| {
                vec![format!(
                    "preset: no definition {name} comes with kirosu; there are {}",
                    built_in_names().collect::<Vec<_>>().join(", ")
                )]
            })?,
            None => Map::new(),
        };
        table.remove("acp");
        lay_over(&mut table, overrides);
        read::definition(&table)
    }

    /// As [`Definition::read`], for a program that is spoken to over ACP: what the built-in one says in `[acp]` stands
    /// above the rest of it, and `overrides` above both.
    ///
    /// # Errors
    /// Every fault, one sentence each.
    pub fn read_acp(
        preset: Option<&str>,
        overrides: &Map<String, Value>,
    ) -> Result<Definition, Vec<String>> {
        let mut table = match preset {
            Some(name) => acp::table(name).map_err(|fault| vec![fault])?,
            None => acp::defaults(),
        };
        lay_over(&mut table, overrides);
        read::definition(&table)
    }
}

/// `trust`, `env`, `output` and `acp` are merged key by key; anything else, rules above all, is replaced as a whole.
fn lay_over(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (name, value) in over {
        match (under.get_mut(name), value) {
            (Some(Value::Object(below)), Value::Object(above)) => below.extend(above.clone()),
            _ => {
                under.insert(name.clone(), value.clone());
            }
        }
    }
}
