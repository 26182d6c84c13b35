//! MCP over standard input and output, for clients that start their own server process.

use super::prompts::SavedPlans;
use super::tools::McpTools;
use super::waiting::TaskWaits;
use crate::link::HubLink;
use kirosu_protocol::TaskId;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::stdio_pipes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// Error of a server that ended before its client.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The first message is not an MCP initialize request.
    #[error(
        "standard input does not speak MCP: {0}; let an MCP client start this (docs/mcp.md says how)"
    )]
    NotMcp(String),
    /// The server failed.
    #[error("the MCP server failed: {0}")]
    Broken(String),
}

/// The options of a server over standard input and output.
#[derive(Clone, Default)]
pub struct McpOptions {
    /// The task for which the client runs: tasks that it enqueues without a parent become its children.
    pub parent: Option<TaskId>,
    /// Whether it gets the tools that decide in a person's name.
    pub decisions: bool,
    /// The plans that it gets as prompts.
    pub plans: Option<Arc<dyn SavedPlans>>,
}

/// Serves until standard input ends. Nothing else may write to standard output meanwhile. While the hub is unreachable, the tools
/// return an error.
///
/// # Errors
/// The client does not send MCP, or the server fails.
pub async fn serve_stdio(hub: HubLink, options: McpOptions) -> Result<(), StdioError> {
    let mut tools = McpTools::new(hub, options.decisions);
    tools.parent = options.parent;
    tools.plans = options.plans;
    let (reader, writer) = stdio_pipes();
    let reader = McpInput {
        reader,
        waits: tools.waits(),
    };
    let served = match tools.serve((reader, writer)).await {
        Ok(served) => served,
        // A client that disconnects before its first message is not an error.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(ServerInitializeError::ExpectedInitializeRequest(_)) => {
            let why = "its first message is not a request of an MCP client";
            return Err(StdioError::NotMcp(why.to_owned()));
        }
        Err(other) => return Err(StdioError::Broken(other.to_string())),
    };
    match served.waiting().await {
        Ok(_) => Ok(()),
        Err(why) => Err(StdioError::Broken(why.to_string())),
    }
}

/// Standard input, whose end ends the waits. All other calls are short, and rmcp completes them.
struct McpInput<R> {
    reader: R,
    waits: TaskWaits,
}

impl<R: AsyncRead + Unpin> AsyncRead for McpInput<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.reader).poll_read(cx, buffer);
        let ended = match &read {
            Poll::Pending => false,
            Poll::Ready(Err(_)) => true,
            Poll::Ready(Ok(())) => before.1 > 0 && buffer.filled().len() == before.0,
        };
        if ended {
            self.waits.end();
        }
        read
    }
}
