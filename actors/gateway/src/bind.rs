//! Opens a listening socket before the tree starts, so that a taken port is one sentence and an exit code.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use tokio::net::TcpSocket;

/// Connections that the kernel may hold for us before we accept them.
const BACKLOG: u32 = 4096;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host has no address.
    #[error("cannot listen on {host}: {source}")]
    Resolve {
        /// The host as configured.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The address lies beyond loopback and no key is set.
    #[error(
        "refusing to listen on {address}, beyond loopback, without a key: set KIRO_SWARM_KEY or `key_file` in [hub], or `host` in [{section}] to 127.0.0.1"
    )]
    NoKey {
        /// The address.
        address: SocketAddr,
        /// Where the host is set.
        section: &'static str,
    },
    /// The port is taken or not ours to take.
    #[error(
        "cannot listen on {address}: {source}; choose another `port` in [{section}], or 0 for any free one"
    )]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Where the port is set.
        section: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Listens on `host:port`, beyond loopback only with a key. `section` of the settings is named in errors. Needs a tokio
/// runtime.
pub fn tcp(
    host: &str,
    port: u16,
    has_key: bool,
    section: &'static str,
) -> Result<TcpListener, BindError> {
    let resolve = |source| BindError::Resolve {
        host: host.to_owned(),
        source,
    };
    // An IPv6 address may be written in brackets, as in a URL.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses = (bare, port).to_socket_addrs().map_err(resolve)?;
    let address = addresses.next().ok_or_else(|| resolve(none()))?;
    if !address.ip().is_loopback() && !has_key {
        return Err(BindError::NoKey { address, section });
    }
    listen(address).map_err(|source| BindError::Tcp {
        address,
        section,
        source,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A gateway that restarts must not wait for its old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
