//! The ways to pass MCP servers to an agent CLI.

use std::collections::BTreeMap;

use strum::{EnumString, VariantNames};

use super::table_reader::{TableReader, define_table};

/// The form in which a CLI takes MCP servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum McpForm {
    /// It takes none; the run warns.
    #[default]
    None,
    /// It reads the servers' files by itself.
    Own,
    /// A document `{"mcpServers": {...}}`, as `.kiro/settings/mcp.json` has it.
    Servers,
    /// The same with the key `tools`, as Copilot needs it: the allowed tools of each server.
    Copilot,
    /// The same key in a settings file, merged into the file that the environment names.
    Settings,
    /// opencode's configuration.
    Opencode,
    /// Keys of codex's configuration as arguments, with secrets in variables.
    Codex,
}

define_table! {
    /// The way to pass MCP servers.
    pub struct McpWay {
        /// The form.
        pub form: McpForm = TableReader::choice,
        /// The value of `{mcp_args}`. `{mcp_file}` is a file with the document that only its owner can read.
        pub args: Vec<String>,
        /// Further variables. `{mcp_file}` as above; the value `{mcp_json}` is the document itself.
        pub env: BTreeMap<String, String>,
    }
}
