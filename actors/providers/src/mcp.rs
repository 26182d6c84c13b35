//! MCP servers for a run's agent, in one form for all adapters.

use crate::job::Job;
use kirosu_protocol::access::{RUN_HUB_VARIABLE, RUN_TOKEN_VARIABLE};
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

/// The access of a run's agent to the hub.
#[derive(Clone, PartialEq, Eq)]
pub struct RunHub {
    /// The hub's address, in the form of `KIROSU_HUB`.
    pub address: String,
    /// The variable with which `kirosu` verifies the hub's certificate, with its value.
    pub tls: Option<(String, String)>,
    /// The token of the run.
    pub token: String,
    /// The program that serves MCP with `mcp` as its argument.
    pub program: String,
}

impl RunHub {
    /// The variables that give it to a program.
    pub fn variables(&self) -> impl Iterator<Item = (&str, String)> {
        let own = [
            (RUN_HUB_VARIABLE, self.address.clone()),
            (RUN_TOKEN_VARIABLE, self.token.clone()),
        ];
        let tls = self.tls.iter();
        own.into_iter()
            .chain(tls.map(|(name, value)| (name.as_str(), value.clone())))
    }

    /// The MCP server with which an agent adds tasks. `None`: a server of the job has its name.
    fn server(&self, others: &[McpServer]) -> Option<McpServer> {
        const NAME: &str = "kirosu";
        let is_free = others.iter().all(|server| server.name != NAME);
        is_free.then(|| McpServer {
            name: NAME.to_owned(),
            transport: McpTransport::Stdio {
                command: self.program.clone(),
                args: vec!["mcp".to_owned()],
                env: self.variables().map(owned).collect(),
            },
        })
    }
}

fn owned((name, value): (&str, String)) -> (String, String) {
    (name.to_owned(), value)
}

impl std::fmt::Debug for RunHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the token.
        f.debug_struct("RunHub")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// The job's MCP servers, and that of the hub.
    pub(crate) fn servers(&self) -> Vec<McpServer> {
        let mut servers = self.mcp.clone();
        let own = self.hub.as_ref().and_then(|hub| hub.server(&servers));
        servers.extend(own);
        servers
    }
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
