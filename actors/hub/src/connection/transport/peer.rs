//! A client that has just connected, over any transport.

use crate::identity::PeerOwner;
use crate::listener::process::PeerProcess;
use crate::unknown_clients::UnknownSlot;

use super::socket::{ReadHalf, SendHalf, close, write_now};
use kirosu_protocol::{Error, RawId, answer};
use kirosu_tls::{HandshakeMeter, TlsAcceptor, shared};
use rustix::net::sockopt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;

/// A client that has just connected.
pub struct Peer {
    /// `127.0.0.1:50112`, `unix` or `local`.
    pub name: String,
    /// The owner of the client's process.
    pub owner: PeerOwner,
    /// The way to that process.
    pub process: PeerProcess,
    /// That of a client which needs a key.
    pub slot: Option<UnknownSlot>,
    /// Its turn to be examined.
    pub turn: Option<OwnedSemaphorePermit>,
    pub(super) reading: ReadHalf,
    pub(super) writing: SendHalf,
}

impl Peer {
    /// Over TCP, without Nagle's delay, and with keep-alive probes, which detect a client whose machine vanished.
    pub fn tcp(
        stream: TcpStream,
        address: SocketAddr,
        owner: PeerOwner,
        process: PeerProcess,
    ) -> Peer {
        tune(&stream, address);
        let (reading, writing) = stream.into_split();
        Peer {
            name: address.to_string(),
            owner,
            process,
            slot: None,
            turn: None,
            reading: ReadHalf::Plain(Box::new(reading)),
            writing: SendHalf::Tcp(writing),
        }
    }

    /// Over TLS over TCP. `meter` counts the bytes of the handshake.
    pub fn tls(
        acceptor: &TlsAcceptor,
        stream: TcpStream,
        address: SocketAddr,
        (owner, process): (PeerOwner, PeerProcess),
        meter: Box<dyn HandshakeMeter>,
    ) -> Peer {
        tune(&stream, address);
        let (reading, writing) = shared(acceptor.accept(stream, Some(meter)));
        Peer {
            name: address.to_string(),
            owner,
            process,
            slot: None,
            turn: None,
            reading: ReadHalf::Tls(reading),
            writing: SendHalf::Tls(writing),
        }
    }

    /// Over a Unix socket.
    pub fn unix(stream: UnixStream) -> Peer {
        let peer = stream.peer_cred();
        let owner = match &peer {
            Ok(peer) if peer.uid() == rustix::process::geteuid().as_raw() => PeerOwner::Own,
            Ok(_) => PeerOwner::Other,
            Err(_) => PeerOwner::Unknown,
        };
        let id = peer.ok().and_then(|peer| peer.pid());
        let (reading, writing) = stream.into_split();
        Peer {
            name: "unix".into(),
            owner,
            process: id.map_or(PeerProcess::None, PeerProcess::Id),
            slot: None,
            turn: None,
            reading: ReadHalf::Plain(Box::new(reading)),
            writing: SendHalf::Unix(writing),
        }
    }

    /// A pipe within the process.
    pub fn local(pipe: DuplexStream) -> Peer {
        let (reading, writing) = tokio::io::split(pipe);
        Peer {
            name: "local".into(),
            owner: PeerOwner::Internal,
            process: PeerProcess::None,
            slot: None,
            turn: None,
            reading: ReadHalf::Plain(Box::new(reading)),
            writing: SendHalf::Local(writing),
        }
    }

    /// Sends the client an error, and closes the socket.
    pub fn refuse(mut self, error: &Error) {
        let mut line = Vec::new();
        answer::write_error(&mut line, &RawId::null(), false, error);
        let _ = write_now(&mut self.writing, &line);
        close(self.writing);
    }
}

/// Silence of a client after which the system sends a keep-alive probe.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(30);
/// Time between two probes.
const KEEP_ALIVE_PAUSE: Duration = Duration::from_secs(10);
/// Unanswered probes after which the system closes the connection.
const KEEP_ALIVE_PROBES: u32 = 3;

fn tune(stream: &TcpStream, address: SocketAddr) {
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| Ok(keep_alive(stream)?));
    if let Err(error) = tuned {
        tracing::debug!(%error, %address, "the socket's options could not be set");
    }
}

fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_PAUSE)?;
    sockopt::set_tcp_keepcnt(stream, KEEP_ALIVE_PROBES)
}
