//! `[providers.NAME]`: the definition of what runs a task.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::{IntoStaticStr, VariantNames};

use super::{BudgetSection, HOUR};
use crate::schema::Allowed::{
    Bool, Choice, Command, Int, List, Map as Variables, Name, Path, Program, Table, Text, Time,
    Tree,
};
use crate::schema::KeyDefault::{Is, Required, Unset};
use crate::schema::define_section;

define_section! {
    /// One provider definition. The providers' crate reads the tables of type `Tree`.
    pub struct ProviderSection: Named("providers") {
        /// Adapter that runs the provider.
        kind: ProviderKind = Choice(ProviderKind::VARIANTS), Required;
        /// Built-in definition whose keys the keys below override; for model APIs the built-in service.
        preset: Option<String> = Name, Unset;
        /// Program and arguments. Empty means the preset's; always empty for kinds other than `command` and `acp`.
        command: Vec<String> = Command, Is("[]");
        /// Arguments for the model.
        model_args: Option<Vec<String>> = List, Unset;
        /// Arguments for the system prompt.
        system_args: Option<Vec<String>> = List, Unset;
        /// Arguments that continue a conversation.
        resume_args: Option<Vec<String>> = List, Unset;
        /// Additional arguments.
        extra_args: Option<Vec<String>> = List, Unset;
        /// Arguments and environment for each trust level.
        trust: Option<Value> = Tree, Unset;
        /// Format and rules of the output.
        output: Option<Value> = Tree, Unset;
        /// Options of the Agent Client Protocol, for kind `acp`.
        acp: Option<Value> = Tree, Unset;
        /// Variables that the program sees besides the usual ones.
        env_pass: Option<Vec<String>> = List, Unset;
        /// How MCP servers are passed to the program.
        mcp: Option<Value> = Tree, Unset;
        /// Variable with the path of a file that holds the whole system prompt.
        system_file_env: Option<String> = Text, Unset;
        /// Signal that ends the program on cancel and timeout. `None` means the preset's, or `TERM`.
        stop_signal: Option<String> = Choice(&["TERM", "INT"]), Unset;
        /// Folders and files of the program's own, which it may write in a sandbox.
        state: Option<Vec<String>> = List, Unset;
        /// Arguments that print the program's version.
        version: Option<Vec<String>> = List, Unset;
        /// How a person installs the program.
        install: Option<String> = Text, Unset;
        /// Variables and files that show whether the program is logged in.
        login: Option<Value> = Tree, Unset;
        /// Address of the service, for model APIs (kinds `openai` and `anthropic`) as all keys down to `body`.
        base_url: Option<String> = Text, Unset;
        /// API of kind `openai`. `None` means `chat`.
        api: Option<String> = Choice(&["chat", "responses"]), Unset;
        /// Variable that holds the service's key.
        key_env: Option<String> = Text, Unset;
        /// File that holds the service's key.
        key_file: Option<PathBuf> = Path, Unset;
        /// Header that carries the key. `None` means the usual one of the API.
        key_header: Option<String> = Text, Unset;
        /// Largest number of tokens of an answer.
        max_tokens: Option<u64> = Int(1, 10_000_000), Unset;
        /// Additional headers of each request.
        #[serde(default)]
        headers: BTreeMap<String, String> = Variables, Unset;
        /// Additional fields of each request's body.
        body: Option<Value> = Tree, Unset;
        /// Names of the providers that a router chooses from, the first choice first.
        providers: Option<Vec<String>> = List, Unset;
        /// Kinds of failure at which a router moves on (`ROUTER_CLASSES`).
        on: Option<Vec<String>> = List, Unset;
        /// Whether a router moves on although a tool has run.
        retry_after_tools: Option<bool> = Bool, Unset;
        /// Account that the provider shares with others. `None` means an account of its own name.
        account: Option<String> = Name, Unset;
        /// Concurrent runs of the account; see [`crate::Settings::account_limits`].
        concurrency: Option<u32> = Int(1, 10_000), Unset;
        /// Runs of the account started within any 60 seconds.
        requests_per_minute: Option<u32> = Int(1, 1_000_000), Unset;
        /// Tokens of the account per minute.
        tokens_per_minute: Option<u64> = Int(1, 1_000_000_000_000), Unset;
        /// Python interpreter of kind `python`.
        interpreter: String = Program, Is("\"python3\"");
        /// Delay of each answer of kind `echo`.
        #[serde(default, with = "humantime_serde")]
        delay: Option<Duration> = Time(Duration::ZERO, HOUR), Unset;
        /// Model of pools that name none.
        model: Option<String> = Text, Unset;
        /// Budget of its runs in all pools, as written; [`ProviderSection::budget`] reads it.
        budget: Option<Value> = Table(BudgetSection::SECTION.keys), Unset;
        /// Environment variables of its runs.
        #[serde(default)]
        env: BTreeMap<String, String> = Variables, Unset;
    }
}

/// Keys that override a built-in definition of an agent program.
pub(crate) const DEFINITION: &[&str] = &[
    "model_args",
    "system_args",
    "resume_args",
    "extra_args",
    "trust",
    "output",
    "acp",
    "env_pass",
    "mcp",
    "system_file_env",
    "stop_signal",
    "state",
    "version",
    "install",
    "login",
];

impl ProviderSection {
    /// The keys that are set and override the definition.
    #[must_use]
    pub fn overrides(&self) -> Map<String, Value> {
        let Ok(Value::Object(mut keys)) = serde_json::to_value(self) else {
            return Map::new();
        };
        keys.retain(|key, value| DEFINITION.contains(&key.as_str()) && !value.is_null());
        keys
    }

    /// The budget of its runs. `None` means no budget.
    #[must_use]
    pub fn budget(&self) -> Option<BudgetSection> {
        BudgetSection::of_table(self.budget.as_ref())
    }
}

/// The adapter of a provider.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VariantNames, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ProviderKind {
    /// A program that reads the prompt on its standard input.
    Command,
    /// An agent that speaks the Agent Client Protocol.
    Acp,
    /// Runs the prompt as Python code. Needs `trust_all_tools` of the hub and of the pool.
    Python,
    /// Answers with the prompt.
    Echo,
    /// A model API in OpenAI's form.
    OpenAi,
    /// Anthropic's model API.
    Anthropic,
    /// Chooses from other providers.
    Router,
}

impl ProviderKind {
    /// Whether it is a model API, a service over HTTP.
    #[must_use]
    pub fn is_service(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic)
    }

    /// Whether it is an agent program with a definition: a command line and rules for its output.
    #[must_use]
    pub fn is_program(self) -> bool {
        matches!(self, Self::Command | Self::Acp)
    }
}
