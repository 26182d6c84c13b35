//! MCP over standard input and output: how a client starts a server of its own.

use super::tools::Tools;
use super::waiting::Waits;
use crate::link::HubLink;
use kirosu_protocol::TaskId;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::stdio_pipes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

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

/// Serves until standard input ends. `parent`: the task on whose behalf the client runs; what it enqueues is a child of it
/// unless it names another parent. Nothing else may write to standard output meanwhile. The hub may be away: the tools
/// say so, and work once it is there.
///
/// # Errors
/// When what comes is no MCP, or the server crashes.
pub async fn serve_stdio(hub: HubLink, parent: Option<TaskId>) -> Result<(), StdioError> {
    let tools = Tools::new(hub, parent);
    let (reader, writer) = stdio_pipes();
    let reader = Input {
        reader,
        waits: tools.waits(),
    };
    let served = match tools.serve((reader, writer)).await {
        Ok(served) => served,
        // A client that leaves before it has said anything has not failed.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(ServerInitializeError::ExpectedInitializeRequest(_)) => {
            let why = "its first message is no request of an MCP client";
            return Err(StdioError::NotMcp(why.to_owned()));
        }
        Err(other) => return Err(StdioError::Broken(other.to_string())),
    };
    match served.waiting().await {
        Ok(_) => Ok(()),
        Err(why) => Err(StdioError::Broken(why.to_string())),
    }
}

/// Standard input, whose end ends the waits: what else is under way is short, and rmcp lets it finish.
struct Input<R> {
    reader: R,
    waits: Waits,
}

impl<R: AsyncRead + Unpin> AsyncRead for Input<R> {
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
