//! The ways to pass MCP servers to an agent CLI.

use std::collections::BTreeMap;

use super::table_reader::TableReader;

/// The form in which a CLI takes MCP servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

/// The way to pass MCP servers.
#[derive(Debug, Clone, Default)]
pub struct McpWay {
    /// The form.
    pub form: McpForm,
    /// The value of `{mcp_args}`. `{mcp_file}` is a file with the document that only its owner can read.
    pub args: Vec<String>,
    /// Further variables. `{mcp_file}` as above; the value `{mcp_json}` is the document itself.
    pub env: BTreeMap<String, String>,
}

pub(super) fn read(taker: &TableReader<'_>) -> McpWay {
    let forms = [
        ("none", McpForm::None),
        ("own", McpForm::Own),
        ("servers", McpForm::Servers),
        ("copilot", McpForm::Copilot),
        ("settings", McpForm::Settings),
        ("opencode", McpForm::Opencode),
        ("codex", McpForm::Codex),
    ];
    let way = McpWay {
        form: taker.choice("form", &forms).unwrap_or_default(),
        args: taker.texts("args").unwrap_or_default(),
        env: taker.map("env"),
    };
    if way.form != McpForm::Codex && way.args.iter().any(|it| it.contains("{mcp_json}")) {
        taker.fault(
            "args",
            "cannot hold {mcp_json}: every user of the machine can read arguments, and it may contain keys; use {mcp_file}",
        );
    }
    way
}
