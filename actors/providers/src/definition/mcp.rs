//! How an agent CLI is told of MCP servers.

use std::collections::BTreeMap;

use super::table_reader::TableReader;

/// The form in which a CLI takes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum McpForm {
    /// It cannot be told: a warning says so.
    #[default]
    None,
    /// It reads the files that they come from by itself.
    Own,
    /// A document `{"mcpServers": {...}}`, as `.kiro/settings/mcp.json` has it.
    Servers,
    /// The same, as Copilot has it: each server says which of its tools count.
    Copilot,
    /// The same key in a file of settings, laid over the one that the environment names already.
    Settings,
    /// The configuration of opencode.
    Opencode,
    /// Keys of codex's configuration as arguments, secrets by variables.
    Codex,
}

/// How it is told.
#[derive(Debug, Clone, Default)]
pub struct McpWay {
    /// The form.
    pub form: McpForm,
    /// Stands for `{mcp_args}` in the command; `{mcp_file}` is a file with the document, readable by its owner alone.
    pub args: Vec<String>,
    /// More environment; `{mcp_file}` as above, a value `{mcp_json}` is the document itself.
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
            "cannot hold {mcp_json}: everybody on the machine can read arguments, and it may hold keys; use {mcp_file}",
        );
    }
    way
}
