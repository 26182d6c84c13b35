//! Who is at the other end, whatever the transport.

use super::io::{Reading, Writing, close, write_now};
use kirosu_protocol::{Error, ErrorCode, RawId, answer};
use std::net::SocketAddr;
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
            .and_then(|()| Ok(rustix::net::sockopt::set_socket_keepalive(&stream, true)?));
        if let Err(error) = tuned {
            tracing::debug!(%error, %address, "the socket's options could not be set");
        }
        let (reading, writing) = stream.into_split();
        Peer {
            name: address.to_string(),
            reading: Box::new(reading),
            writing: Box::new(writing),
        }
    }

    /// Over a Unix socket.
    pub fn unix(stream: UnixStream) -> Peer {
        let (reading, writing) = stream.into_split();
        Peer {
            name: "unix".into(),
            reading: Box::new(reading),
            writing: Box::new(writing),
        }
    }

    /// From within the process.
    pub fn local(pipe: DuplexStream) -> Peer {
        let (reading, writing) = tokio::io::split(pipe);
        Peer {
            name: "local".into(),
            reading: Box::new(reading),
            writing: Box::new(writing),
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
