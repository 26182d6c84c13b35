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
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::outcome::FailureKind;
use table_reader::{TableReader, define_table, same_table};

pub use acp::{AcpRules, Modes, SystemWay, TurnUsage};
pub use builtin::{built_in, built_in_names};
pub(crate) use login::place;
pub use login::{Login, LoginSign};
pub use mcp::{McpForm, McpWay};
pub use own_model::OwnModel;
pub(crate) use placeholders::escaped;

define_table! {
    /// The call of one CLI and the meaning of its output.
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
        pub defaults_file: Option<DefaultsFile> = read::defaults_file,
        /// Folders (ending in `/`) and files in which the program keeps its logins, settings and conversations, which it may
        /// write in a sandbox: `~/` is the home folder, `$NAME/` the value of a variable.
        pub state: Vec<String>,
        /// The signal on cancel and timeout.
        pub stop_signal: StopSignal = TableReader::choice,
        /// The meaning of its output.
        pub output: OutputRules,
        /// Settings for kind `acp`.
        pub acp: AcpRules,
    }
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "UPPERCASE")]
pub enum StopSignal {
    /// SIGTERM.
    #[default]
    Term,
    /// SIGINT, as Ctrl-C on a terminal sends it.
    Int,
}

impl StopSignal {
    /// The signal's name without `SIG`.
    pub(crate) fn word(self) -> &'static str {
        self.into()
    }
}

define_table! {
    /// The additions to the call for each trust level.
    pub struct TrustProfiles {
        /// Read only; nothing that needs a permission.
        pub safe: TrustProfile = read::trust_profile,
        /// Also change files of the folder.
        pub edit: TrustProfile = read::trust_profile,
        /// Everything that the user may do.
        pub all: TrustProfile = read::trust_profile,
    }
}

define_table! {
    /// The additions to the call for one trust level.
    pub struct TrustProfile {
        /// The value of `{trust_args}`.
        pub args: Vec<String>,
        /// Further variables.
        pub env: BTreeMap<String, String>,
    }
}

/// The format of a program's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum AnswerMode {
    /// Joined without separators: pieces of a stream.
    #[default]
    Joined,
    /// The last one that is not blank: complete messages.
    Last,
}

define_table! {
    /// The rules for a program's output. A rule selects frames: lines, or the document.
    pub struct OutputRules {
        /// The format.
        pub format: Format = TableReader::choice,
        /// `Format::Text`: removed from the beginning of the answer.
        pub prefix: String,
        /// The id of the conversation.
        pub session: Vec<FrameRule>,
        /// Pieces of the answer.
        pub text: Vec<FrameRule>,
        /// The way in which pieces become the answer.
        pub answer: AnswerMode = TableReader::choice,
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
        pub wait_words: Vec<String> = TableReader::lower_case_list,
        /// Words of a failed run which report that the conversation no longer exists.
        pub lost: Vec<String> = TableReader::lower_case_list,
        /// Whether the codes, words and statuses that all agents share (`limits`) also classify errors, and an answer that is a
        /// limit's notice. The default is true for JSON and false for text.
        pub known_errors: bool = read::known_errors,
        /// MCP servers that the program did not accept; `value` points to the name.
        pub mcp_failed: Vec<FrameRule>,
        /// The bad end; `value` points to the message.
        pub fail: Vec<FailRule>,
        /// Tokens and cost.
        pub usage: Vec<UsageRule>,
        /// Beginnings of answers that are errors.
        pub error_answers: Vec<String>,
        /// Words in the error, or at the end of stderr after a bad exit code, with their failure kind.
        pub errors: Vec<Phrase> = read::phrases,
        /// Exit codes with their failure kind.
        pub exit: BTreeMap<i32, FailureKind> = read::exit_codes,
    }
}

define_table! {
    /// A rule: the frames that it selects, and the value that it takes from them.
    pub struct FrameRule {
        /// JSON pointers and the values that they must have; a list means any of its values.
        pub when: Vec<(String, Value)> = read::match_conditions,
        /// JSON pointer to a list. The rule then applies to each element.
        pub each: Option<String> = TableReader::pointer,
        /// As `when`, for the element.
        pub item: Vec<(String, Value)> = read::conditions,
        /// JSON pointer to the value, from the element where there is `each`, else from the frame.
        pub value: Option<String> = TableReader::pointer,
    }
}

define_table! {
    /// A rule for a wait.
    pub struct WaitRule {
        /// The frames; `value` is the words or the data.
        pub rule: FrameRule = same_table,
        /// Words that they must contain, in any case; empty matches any.
        pub contains: String = TableReader::lower_case,
        /// The failure kind where words and data state none.
        pub class: Option<FailureKind> = read::class,
    }
}

define_table! {
    /// A rule for a denied tool.
    pub struct DeniedRule {
        /// The frames; `value` is the tool.
        pub rule: FrameRule = same_table,
        /// JSON pointer to the call's id, where denials are reported apart from the call.
        pub id: Option<String> = TableReader::pointer,
    }
}

define_table! {
    /// A rule for a bad end.
    pub struct FailRule {
        /// The frames; `value` is the message.
        pub rule: FrameRule = same_table,
        /// Words that the message must contain, in any case; empty matches any.
        pub contains: String = TableReader::lower_case,
        /// JSON pointer to an HTTP status.
        pub status: Option<String> = TableReader::pointer,
        /// The failure kind where the frame alone implies it.
        pub class: Option<FailureKind> = read::class,
    }
}

define_table! {
    /// A rule for tool calls.
    pub struct ToolRule {
        /// The frames; `value` is the arguments or the output.
        pub rule: FrameRule = same_table,
        /// JSON pointer to the call's id.
        pub id: Option<String> = TableReader::pointer,
        /// JSON pointer to the tool's name.
        pub name: Option<String> = TableReader::pointer,
        /// The tool's name where frames contain none.
        pub named: String,
        /// JSON pointer to the arguments, where a program reports a call only at its end.
        pub input: Option<String> = TableReader::pointer,
        /// The progress of the call.
        pub status: crate::event::ToolStatus = TableReader::choice,
    }
}

/// The scope of figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Counting {
    /// Each frame counts what is new: frames are added up.
    #[default]
    Delta,
    /// Each frame counts the whole conversation.
    Running,
}

define_table! {
    /// A rule for figures.
    pub struct UsageRule {
        /// The frames.
        pub rule: FrameRule = same_table,
        /// JSON pointers to the figures.
        pub fields: UsageFields = same_table,
        /// The scope of tokens.
        pub mode: Counting = TableReader::choice,
        /// The scope of the cost. `None`: that of the tokens.
        pub cost_mode: Option<Counting> = TableReader::optional_choice,
        /// Whether `input` includes tokens from a cache.
        pub input_includes_cached: bool,
        /// Whether `output` includes reasoning tokens.
        pub output_includes_reasoning: bool,
    }
}

define_table! {
    /// JSON pointers to figures. `None` where the program does not report the figure.
    pub struct UsageFields {
        /// Input tokens.
        pub input: Option<String> = TableReader::pointer,
        /// Input tokens from a cache.
        pub cached_input: Option<String> = TableReader::pointer,
        /// Input tokens written to a cache.
        pub cache_write: Option<String> = TableReader::pointer,
        /// Output tokens.
        pub output: Option<String> = TableReader::pointer,
        /// Reasoning tokens.
        pub reasoning: Option<String> = TableReader::pointer,
        /// The cost in US dollars.
        pub cost: Option<String> = TableReader::pointer,
    }
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
