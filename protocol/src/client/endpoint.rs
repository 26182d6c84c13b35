//! The address of the hub, and streams to it.

use kirosu_tls::ClientTls;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
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
    /// The same over TLS.
    Tls(String, u16, Arc<ClientTls>),
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
    /// The error of the system; the reason why the hub is not the trusted one; `ConnectionRefused` if the listener in this process is gone.
    pub async fn open(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Endpoint::Tcp(host, port) => Ok(Box::new(tcp(host, *port).await?)),
            Endpoint::Tls(host, port, tls) => {
                Ok(Box::new(tls.connect(host, tcp(host, *port).await?).await?))
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

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
            Endpoint::Tls(host, port, _) if host.contains(':') => {
                write!(f, "tls://[{host}]:{port}")
            }
            Endpoint::Tls(host, port, _) => write!(f, "tls://{host}:{port}"),
            #[cfg(unix)]
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
            Endpoint::InMemory(_) => f.write_str("this process"),
        }
    }
}
