//! MCP servers for a run's agent, in one form for all adapters.

use std::collections::BTreeMap;

/// An MCP server, as in `.kiro/settings/mcp.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServer {
    /// Its name, unique within a run.
    pub name: String,
    /// The way to reach it.
    pub transport: McpTransport,
}

/// The way to reach a server.
#[derive(Clone, PartialEq, Eq)]
pub enum McpTransport {
    /// A program that the agent starts and talks to over standard input and output.
    Stdio {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment variables.
        env: BTreeMap<String, String>,
    },
    /// Streamable HTTP.
    Http {
        /// The URL.
        url: String,
        /// Headers of each request.
        headers: BTreeMap<String, String>,
    },
}

impl std::fmt::Debug for McpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of variables and headers may be keys, so they are never shown.
        match self {
            Self::Stdio { command, args, .. } => f
                .debug_struct("Stdio")
                .field("command", command)
                .field("args", args)
                .finish_non_exhaustive(),
            Self::Http { url, .. } => f
                .debug_struct("Http")
                .field("url", url)
                .finish_non_exhaustive(),
        }
    }
}
