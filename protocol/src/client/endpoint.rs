//! The address of the hub, and streams to it.

use std::io;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// The capacity of an in-memory pipe in each direction, in bytes.
const PIPE_BYTES: usize = 64 << 10;

/// The address of the hub.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A host (name or address) and a port.
    Tcp(String, u16),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(PathBuf),
    /// A hub in this process: its end of a new pipe is sent to its listener.
    InMemory(mpsc::Sender<DuplexStream>),
}

/// A stream to the hub.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Endpoint {
    /// Opens a stream to the hub.
    ///
    /// # Errors
    /// The error of the system; `ConnectionRefused` if the listener in this process is gone.
    pub async fn open(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Endpoint::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Endpoint::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            Endpoint::InMemory(listener) => {
                let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
                let gone = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
                listener.send(theirs).await.map_err(gone)?;
                Ok(Box::new(ours))
            }
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
            #[cfg(unix)]
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
            Endpoint::InMemory(_) => f.write_str("this process"),
        }
    }
}
