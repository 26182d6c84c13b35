//! Agent CLIs as data: the call of a program and the meaning of its output.
//!
//! # Theory of operation
//!
//! A [`Definition`] is a table. The built-in ones are embedded TOML files in `definitions/`. The configuration can start
//! from one of them (`preset`) and override any key, or define all keys. [`Definition::read`] merges the overrides into the
//! preset (tables such as `trust`, `env` and `output` key by key, everything else as a whole) and returns all faults at once.
//! Two readers that know no CLI by name apply it: `adapters/` builds the call, `output/` turns bytes into events and an
//! outcome.

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

/// The call of one CLI and the meaning of its output.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// The installation command or page: one line for a person.
    pub install: Option<String>,
    /// Arguments that print the version, for the probe. `None`: the probe only looks for the program.
    pub version: Option<Vec<String>>,
    /// The oldest version that is known to work: numbers with dots.
    pub oldest: Option<String>,
    /// The places that show a login.
    pub login: Login,
    /// The model where neither task nor pool names one.
    pub own_model: OwnModel,
    /// Program and arguments, with placeholders: see `docs/providers.md`.
    pub command: Vec<String>,
    /// The value of `{model_args}` where the job names a model.
    pub model_args: Vec<String>,
    /// The value of `{resume_args}` where the job continues a conversation.
    pub resume_args: Vec<String>,
    /// The value of `{system_args}` where there is a system prompt. Empty: the system prompt goes before the prompt.
    pub system_args: Vec<String>,
    /// The value of `{extra_args}`, for arguments of the user.
    pub extra_args: Vec<String>,
    /// Arguments and variables per trust level.
    pub trust: TrustProfiles,
    /// Variables for the program. Those of the configuration win.
    pub env: BTreeMap<String, String>,
    /// Variables that it may see besides the usual ones, `NAME` or `PREFIX_*`. `None` means all.
    pub env_pass: Option<Vec<String>>,
    /// The way to pass MCP servers.
    pub mcp: McpWay,
    /// The variable that names a file with the system prompt, which replaces the program's own.
    pub system_file_env: Option<String>,
    /// Settings that the program reads with the lowest priority.
    pub defaults_file: Option<DefaultsFile>,
    /// The signal on cancel and timeout.
    pub stop_signal: StopSignal,
    /// The meaning of its output.
    pub output: OutputRules,
    /// Settings for kind `acp`.
    pub acp: AcpRules,
}

/// A file of settings that a program reads with the lowest priority.
#[derive(Debug, Clone, Default)]
pub struct DefaultsFile {
    /// The variable that names the file.
    pub env: String,
    /// The file that it reads without the variable. Where it exists, none is written.
    pub machine: Option<String>,
    /// The settings, as JSON.
    pub content: Map<String, Value>,
}

/// The signal that asks a program to exit. After the grace it is killed.
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

/// The additions to the call for each trust level.
#[derive(Debug, Clone, Default)]
pub struct TrustProfiles {
    /// Read only; nothing that needs a permission.
    pub safe: TrustProfile,
    /// Also change files of the folder.
    pub edit: TrustProfile,
    /// Everything that the user may do.
    pub all: TrustProfile,
}

/// The additions to the call for one trust level.
#[derive(Debug, Clone, Default)]
pub struct TrustProfile {
    /// The value of `{trust_args}`.
    pub args: Vec<String>,
    /// Further variables.
    pub env: BTreeMap<String, String>,
}

/// The format of a program's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Text for people: the whole output is the answer, without terminal sequences.
    #[default]
    Text,
    /// One JSON document, at the end.
    Json,
    /// One JSON object per line.
    Jsonl,
}

/// The way in which pieces of text become the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnswerMode {
    /// Joined without separators: pieces of a stream.
    #[default]
    Joined,
    /// The last one that is not blank: complete messages.
    Last,
}

/// The rules for a program's output. A rule selects frames: lines, or the document.
#[derive(Debug, Clone, Default)]
pub struct OutputRules {
    /// The format.
    pub format: Format,
    /// `Format::Text`: removed from the beginning of the answer.
    pub prefix: String,
    /// The id of the conversation.
    pub session: Vec<FrameRule>,
    /// Pieces of the answer.
    pub text: Vec<FrameRule>,
    /// The way in which pieces become the answer.
    pub answer: AnswerMode,
    /// The whole answer, where the program repeats it at the end. It wins over the pieces.
    pub result: Vec<FrameRule>,
    /// Visible reasoning.
    pub thought: Vec<FrameRule>,
    /// Tool calls.
    pub tool: Vec<ToolRule>,
    /// Information for a person.
    pub warning: Vec<FrameRule>,
    /// A tool was denied because no person could give a permission. A run without a good end after it was refused; a good
    /// end is doubted where no tool succeeded after the denial.
    pub denied: Vec<DeniedRule>,
    /// The good end. A run of a JSON format without one has failed, whatever its exit code.
    pub done: Vec<FrameRule>,
    /// Whether the last of `done` and `fail` counts. Otherwise a bad end is final.
    pub last_word: bool,
    /// The account is at its limit; `value` points to data with its end. It counts only where the run fails.
    pub limit: Vec<FrameRule>,
    /// The program waits before it calls its service again; `value` points to the reason and the length.
    pub wait: Vec<WaitRule>,
    /// Words of a stderr line, a line that is not JSON, or a warning, which report a wait.
    pub wait_words: Vec<String>,
    /// Words of a failed run which report that the conversation no longer exists.
    pub lost: Vec<String>,
    /// Whether the codes, words and statuses that all agents share (`limits`) also classify errors, and an answer that is a
    /// limit's notice. The default is true for JSON and false for text.
    pub known_errors: bool,
    /// MCP servers that the program did not accept; `value` points to the name.
    pub mcp_failed: Vec<FrameRule>,
    /// The bad end; `value` points to the message.
    pub fail: Vec<FailRule>,
    /// Tokens and cost.
    pub usage: Vec<UsageRule>,
    /// Beginnings of answers that are errors.
    pub error_answers: Vec<String>,
    /// Words in the error, or at the end of stderr after a bad exit code, with their failure kind.
    pub errors: Vec<Phrase>,
    /// Exit codes with their failure kind.
    pub exit: BTreeMap<i32, FailureKind>,
}

/// A rule: the frames that it selects, and the value that it takes from them.
#[derive(Debug, Clone, Default)]
pub struct FrameRule {
    /// JSON pointers and the values that they must have; a list means any of its values.
    pub when: Vec<(String, Value)>,
    /// JSON pointer to a list. The rule then applies to each element.
    pub each: Option<String>,
    /// As `when`, for the element.
    pub item: Vec<(String, Value)>,
    /// JSON pointer to the value, from the element where there is `each`, else from the frame.
    pub value: Option<String>,
}

/// A rule for a wait.
#[derive(Debug, Clone, Default)]
pub struct WaitRule {
    /// The frames; `value` is the words or the data.
    pub rule: FrameRule,
    /// Words that they must contain, in any case; empty matches any.
    pub contains: String,
    /// The failure kind where words and data state none.
    pub class: Option<FailureKind>,
}

/// A rule for a denied tool.
#[derive(Debug, Clone, Default)]
pub struct DeniedRule {
    /// The frames; `value` is the tool.
    pub rule: FrameRule,
    /// JSON pointer to the call's id, where denials are reported apart from the call.
    pub id: Option<String>,
}

/// A rule for a bad end.
#[derive(Debug, Clone, Default)]
pub struct FailRule {
    /// The frames; `value` is the message.
    pub rule: FrameRule,
    /// Words that the message must contain, in any case; empty matches any.
    pub contains: String,
    /// JSON pointer to an HTTP status.
    pub status: Option<String>,
    /// The failure kind where the frame alone implies it.
    pub class: Option<FailureKind>,
}

/// A rule for tool calls.
#[derive(Debug, Clone)]
pub struct ToolRule {
    /// The frames; `value` is the arguments or the output.
    pub rule: FrameRule,
    /// JSON pointer to the call's id.
    pub id: Option<String>,
    /// JSON pointer to the tool's name.
    pub name: Option<String>,
    /// The tool's name where frames contain none.
    pub named: String,
    /// JSON pointer to the arguments, where a program reports a call only at its end.
    pub input: Option<String>,
    /// The progress of the call.
    pub status: crate::event::ToolStatus,
}

/// The scope of figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counting {
    /// Each frame counts what is new: frames are added up.
    #[default]
    Delta,
    /// Each frame counts the whole conversation.
    Running,
}

/// A rule for figures.
#[derive(Debug, Clone, Default)]
pub struct UsageRule {
    /// The frames.
    pub rule: FrameRule,
    /// JSON pointers to the figures.
    pub fields: UsageFields,
    /// The scope of tokens.
    pub mode: Counting,
    /// The scope of the cost.
    pub cost_mode: Counting,
    /// Whether `input` includes tokens from a cache.
    pub input_includes_cached: bool,
    /// Whether `output` includes reasoning tokens.
    pub output_includes_reasoning: bool,
}

/// JSON pointers to figures. `None` where the program does not report the figure.
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
    /// The cost in US dollars.
    pub cost: Option<String>,
}

/// Words that mean a failure kind.
#[derive(Debug, Clone)]
pub struct Phrase {
    /// The words, in lower case.
    pub contains: String,
    /// The failure kind.
    pub class: FailureKind,
}

impl Definition {
    /// Reads the table `overrides`, merged into the built-in definition `preset` where one is named.
    ///
    /// # Errors
    /// All faults, one sentence each: `output.format: one of text, json, jsonl is allowed`.
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

    /// As [`Definition::read`], for a program that speaks ACP: `[acp]` of the built-in definition wins over the rest of it,
    /// and `overrides` win over both.
    ///
    /// # Errors
    /// All faults, one sentence each.
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

/// Merges tables such as `trust`, `env`, `output` and `acp` key by key. Every other value, rules included, is replaced.
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
