//! MCP servers in the form of `session/new`.

use serde_json::{Value, json};

use crate::mcp::{McpServer, McpTransport};

/// Transports that an agent accepts.
#[derive(Debug, Clone, Copy)]
pub(super) struct AcceptedTransports {
    pub(super) stdio: bool,
    pub(super) http: bool,
}

/// The servers that the agent gets, and a warning for each that it does not get. `find` makes a program's path absolute.
pub(super) fn hand_over(
    servers: &[McpServer],
    takes: AcceptedTransports,
    find: impl Fn(&str) -> Option<String>,
) -> (Vec<Value>, Vec<String>) {
    let (mut handed, mut left) = (Vec::new(), Vec::new());
    for server in servers {
        match one(server, takes, &find) {
            Ok(it) => handed.push(it),
            Err(why) => left.push(format!(
                "the MCP server '{}' is not handed to the agent: {why}",
                server.name
            )),
        }
    }
    (handed, left)
}

fn one(
    server: &McpServer,
    takes: AcceptedTransports,
    find: impl Fn(&str) -> Option<String>,
) -> Result<Value, String> {
    let name = &server.name;
    match &server.transport {
        McpTransport::Stdio { .. } if !takes.stdio => Err(
            "the agent takes no servers over standard input and output; offer it over http".into(),
        ),
        McpTransport::Stdio { command, args, env } => {
            let path = find(command).ok_or_else(|| {
                format!("'{command}' is not in PATH or not executable; install it or name its path")
            })?;
            let env: Vec<Value> = pairs(env.iter());
            Ok(json!({"name": name, "command": path, "args": args, "env": env}))
        }
        McpTransport::Http { .. } if !takes.http => {
            Err("the agent takes no servers over http".into())
        }
        McpTransport::Http { url, headers } => {
            let headers = pairs(headers.iter());
            Ok(json!({"type": "http", "name": name, "url": url, "headers": headers}))
        }
    }
}

fn pairs<'m>(map: impl Iterator<Item = (&'m String, &'m String)>) -> Vec<Value> {
    map.map(|(name, value)| json!({"name": name, "value": value}))
        .collect()
}
