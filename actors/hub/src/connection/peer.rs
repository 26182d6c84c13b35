//! Who is at the other end, whatever the transport.

use super::io::{Reading, Writing, close, write_now};
use kirosu_protocol::{Error, ErrorCode, RawId, answer};
use rustix::net::sockopt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::{TcpStream, UnixStream};

/// A client that has just connected.
pub struct Peer {
    /// `127.0.0.1:50112`, `unix` or `local`.
    pub name: String,
    pub(super) reading: Reading,
    pub(super) writing: Writing,
}

impl Peer {
    /// Over TCP: without Nagle's delay, and with keep-alive, so that a client whose machine vanished is noticed.
    pub fn tcp(stream: TcpStream, address: SocketAddr) -> Peer {
        let tuned = stream
            .set_nodelay(true)
            .and_then(|()| Ok(keep_alive(&stream)?));
        if let Err(error) = tuned {
            tracing::debug!(%error, %address, "the socket's options could not be set");
        }
        let (reading, writing) = stream.into_split();
        Peer {
            name: address.to_string(),
            reading: Box::new(reading),
            writing: Writing::Tcp(writing),
        }
    }

    /// Over a Unix socket.
    pub fn unix(stream: UnixStream) -> Peer {
        let (reading, writing) = stream.into_split();
        Peer {
            name: "unix".into(),
            reading: Box::new(reading),
            writing: Writing::Unix(writing),
        }
    }

    /// From within the process.
    pub fn local(pipe: DuplexStream) -> Peer {
        let (reading, writing) = tokio::io::split(pipe);
        Peer {
            name: "local".into(),
            reading: Box::new(reading),
            writing: Writing::Local(writing),
        }
    }

    /// Says that there are too many connections, and closes.
    pub fn refuse(mut self, limit: usize) {
        let error = Error::new(
            ErrorCode::Busy,
            format!("the hub has {limit} connections, which is its limit; try again later"),
        );
        let mut line = Vec::new();
        answer::write_error(&mut line, &RawId::null(), false, &error);
        let _ = write_now(&mut self.writing, &line);
        close(self.writing);
    }
}

/// The system asks a silent client after this time whether it is still there,
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(30);
/// again after this one,
const KEEP_ALIVE_PAUSE: Duration = Duration::from_secs(10);
/// and gives it up after so many questions without an answer.
const KEEP_ALIVE_PROBES: u32 = 3;

fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_PAUSE)?;
    sockopt::set_tcp_keepcnt(stream, KEEP_ALIVE_PROBES)
}
