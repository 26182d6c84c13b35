//! MCP over standard input and output: how a client starts a server of its own.

use super::tools::Tools;
use crate::link::HubLink;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::stdio_pipes;

/// Why the server ended before its client did.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// What came first was no MCP.
    #[error(
        "standard input does not speak MCP: {0}; let an MCP client start this (docs/mcp.md says how)"
    )]
    NotMcp(String),
    /// It crashed.
    #[error("the MCP server ended badly: {0}")]
    Broken(String),
}

/// Serves until standard input ends. Nothing else may write to standard output meanwhile. The hub may be away: the tools
/// say so, and work once it is there.
///
/// # Errors
/// When what comes is no MCP, or the server crashes.
pub async fn serve_stdio(hub: HubLink) -> Result<(), StdioError> {
    let served = match Tools::new(hub).serve(stdio_pipes()).await {
        Ok(served) => served,
        // A client that leaves before it has said anything has not failed.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(other) => return Err(StdioError::NotMcp(other.to_string())),
    };
    match served.waiting().await {
        Ok(_) => Ok(()),
        Err(why) => Err(StdioError::Broken(why.to_string())),
    }
}
