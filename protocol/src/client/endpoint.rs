//! The address of the hub, and streams to it.

use crate::socket_user::{SocketOwner, owner_of_server};
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
    /// One of the others, whose server must be a process of this process's user. For a key that the client has found, and was not
    /// given for this address: another program may listen there.
    OwnUser(Box<Endpoint>),
    /// A hub in this process: its end of a new pipe is sent to its listener.
    InMemory(mpsc::Sender<DuplexStream>),
}

/// A stream to the hub.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Endpoint {
    /// The endpoint without a condition on its server.
    pub fn address(&self) -> &Endpoint {
        match self {
            Endpoint::OwnUser(endpoint) => endpoint.address(),
            endpoint => endpoint,
        }
    }

    /// Opens a stream to the hub.
    ///
    /// # Errors
    /// The error of the system; the reason why the hub is not the trusted one; `ConnectionRefused` if the listener in this process
    /// is gone; [`ForeignServer`] if the server is not a process of the user that the endpoint needs.
    pub async fn open(&self) -> io::Result<Box<dyn Stream>> {
        let only_own = matches!(self, Endpoint::OwnUser(_));
        match self.address() {
            Endpoint::Tcp(host, port) => Ok(Box::new(tcp(host, *port, only_own).await?)),
            Endpoint::Tls(host, port, tls) => {
                let stream = tcp(host, *port, only_own).await?;
                Ok(Box::new(tls.connect(host, stream).await?))
            }
            #[cfg(unix)]
            Endpoint::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await?;
                if only_own {
                    let owner = stream.peer_cred()?.uid();
                    own_user_only(owner == rustix::process::geteuid().as_raw())?;
                }
                Ok(Box::new(stream))
            }
            // `address` has removed it.
            Endpoint::OwnUser(_) => Err(io::ErrorKind::InvalidInput.into()),
            Endpoint::InMemory(listener) => {
                let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
                let gone = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
                listener.send(theirs).await.map_err(gone)?;
                Ok(Box::new(ours))
            }
        }
    }
}

async fn tcp(host: &str, port: u16, only_own: bool) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    if only_own {
        let owner = owner_of_server(stream.peer_addr()?, stream.local_addr()?)?;
        own_user_only(owner == SocketOwner::Own)?;
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The source of the error of an endpoint whose server must belong to this process's user and does not.
#[derive(Debug, thiserror::Error)]
#[error(
    "the program that listens there is not one of this user, so the hub's key from the data folder is not sent to it"
)]
pub struct ForeignServer;

impl ForeignServer {
    /// Whether this is the reason of an error.
    pub fn is_source_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|it| it.is::<ForeignServer>())
    }
}

fn own_user_only(is_own: bool) -> io::Result<()> {
    match is_own {
        true => Ok(()),
        false => Err(io::Error::other(ForeignServer)),
    }
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
            Endpoint::OwnUser(endpoint) => endpoint.fmt(f),
            Endpoint::InMemory(_) => f.write_str("this process"),
        }
    }
}
