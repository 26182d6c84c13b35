//! The listener: accepts TCP and Unix connections and starts an actor for each.
//!
//! The sockets are opened before the tree starts and belong to the child's factory: a crash of the listener loses no client
//! that waits in the kernel's queue.

pub mod bind;
pub mod process;

use crate::connection::{Connection, HandshakeBytes, Peer};
use crate::hub::Hub;
use crate::identity::{ClientIdentity, PeerOwner};
use crate::unknown_clients::ClientOrigin;
use actix::prelude::*;
use futures_util::stream::unfold;
use kirosu_protocol::socket_user::{self, SocketOwner};
use kirosu_protocol::{Error, ErrorCode};
use kirosu_supervision::{ChildContext, DynamicHandle, supervised};
use kirosu_tls::TlsAcceptor;
use process::PeerProcess;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};

/// Pause after a failed accept (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Receives pipes from within the process, which speak the same protocol as a socket. To connect, send one end of a pair.
pub type LocalSocket = Arc<Mutex<mpsc::Receiver<DuplexStream>>>;

/// The listening sockets. `None` means that the hub does not listen there.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    /// Connections from within the process.
    pub local: Option<LocalSocket>,
    /// The TCP socket.
    pub tcp: Option<Arc<std::net::TcpListener>>,
    /// TLS on the TCP socket. `None` means plain TCP.
    pub tls: Option<TlsAcceptor>,
    /// The Unix socket.
    pub unix: Option<Arc<std::os::unix::net::UnixListener>>,
}

/// A new connection, or the error of accepting one.
enum Accepted {
    Tcp(
        io::Result<(TcpStream, std::net::SocketAddr)>,
        ExaminationTurn,
    ),
    Unix(io::Result<UnixStream>, ExaminationTurn),
    Local(DuplexStream),
}

/// The turn of a client to be examined for whether it belongs to a run. `None` means that it is not examined.
type ExaminationTurn = Option<OwnedSemaphorePermit>;

/// The actor that accepts connections.
pub struct Listener {
    child: ChildContext,
    hub: Hub,
    sockets: Sockets,
    connections: DynamicHandle,
    /// Whether the last accept failed. The failure is logged.
    is_failing: bool,
}

supervised!(Listener);

impl Listener {
    /// A listener on sockets that survive it.
    pub fn new(
        child: ChildContext,
        hub: Hub,
        sockets: Sockets,
        connections: DynamicHandle,
    ) -> Listener {
        Listener {
            child,
            hub,
            sockets,
            connections,
            is_failing: false,
        }
    }

    fn listen(&self, ctx: &mut Context<Self>) -> io::Result<()> {
        if let Some(tcp) = &self.sockets.tcp {
            let tcp = TcpListener::from_std(tcp.try_clone()?)?;
            ctx.add_stream(unfold((tcp, self.hub.clone()), |(tcp, hub)| async move {
                let accepted = tcp.accept().await;
                pause_after_failure(&accepted).await;
                // Else programs of runs would take all connections faster than they are found to be that. Meanwhile clients wait
                // in the kernel's queue, in their order.
                let turn = hub.examination_turn().await;
                Some((Accepted::Tcp(accepted, turn), (tcp, hub)))
            }));
        }
        if let Some(unix) = &self.sockets.unix {
            let unix = UnixListener::from_std(unix.try_clone()?)?;
            ctx.add_stream(unfold((unix, self.hub.clone()), |(unix, hub)| async move {
                let accepted = unix.accept().await.map(|(stream, _)| stream);
                pause_after_failure(&accepted).await;
                let turn = hub.examination_turn().await;
                Some((Accepted::Unix(accepted, turn), (unix, hub)))
            }));
        }
        if let Some(local) = &self.sockets.local {
            ctx.add_stream(unfold(local.clone(), |local| async move {
                let pipe = local.lock().await.recv().await?;
                Some((Accepted::Local(pipe), local))
            }));
        }
        Ok(())
    }

    /// The owner of a client, and the way to its process.
    fn owner_of(&self, stream: &TcpStream, peer: SocketAddr) -> (PeerOwner, PeerProcess) {
        match stream.local_addr() {
            Ok(local) => (owner_of_client(peer, local), PeerProcess::Tcp(peer, local)),
            Err(_) => (PeerOwner::Unknown, PeerProcess::None),
        }
    }

    fn accept_tcp(&self, stream: TcpStream, address: SocketAddr, turn: ExaminationTurn) {
        let (owner, process) = self.owner_of(&stream, address);
        let mut peer = match &self.sockets.tls {
            None => Peer::tcp(stream, address, owner, process),
            Some(tls) => {
                let meter = Box::new(HandshakeBytes::new(self.hub.clone()));
                Peer::tls(tls, stream, address, (owner, process), meter)
            }
        };
        if ClientIdentity::keyless(owner, self.hub.options().keyless).is_none() {
            let from = ClientOrigin::Address(address.ip().to_canonical());
            match self.hub.enter_unknown(from) {
                Ok(slot) => peer.slot = Some(slot),
                Err(refusal) => return peer.refuse(&refusal),
            }
        }
        self.start_connection(peer, turn);
    }

    fn start_connection(&self, mut peer: Peer, turn: ExaminationTurn) {
        peer.turn = turn;
        if !self.hub.enter() {
            let limit = self.hub.limits().connections;
            let message =
                format!("the hub has {limit} connections, which is its limit; try again later");
            return peer.refuse(&Error::new(ErrorCode::Busy, message));
        }
        let (id, hub) = (self.hub.next_connection(), self.hub.clone());
        let mut peer = Some(peer);
        let spawned = self.connections.spawn(id, move |child| {
            Connection::new(child.clone(), hub.clone(), id, peer.take())
        });
        if let Err(error) = spawned {
            self.hub.leave();
            tracing::warn!(%error, "a client was turned away");
        }
    }
}

/// The owner of the client that connected from `peer` to `local`; a process of the own user that belongs to a run is
/// [`PeerOwner::Run`]. That takes milliseconds.
pub fn owner_and_run_of_client(peer: SocketAddr, local: SocketAddr) -> PeerOwner {
    match owner_of_client(peer, local) {
        PeerOwner::Own if process::find(PeerProcess::Tcp(peer, local)).in_run => PeerOwner::Run,
        owner => owner,
    }
}

fn owner_of_client(peer: SocketAddr, local: SocketAddr) -> PeerOwner {
    match socket_user::owner_of(peer, local) {
        Ok(SocketOwner::Own) => PeerOwner::Own,
        Ok(SocketOwner::Other) => PeerOwner::Other,
        Ok(SocketOwner::Unknown) if peer.ip().to_canonical().is_loopback() => PeerOwner::Gone,
        Ok(SocketOwner::Unknown) => PeerOwner::Unknown,
        Err(error) => {
            tracing::warn!(%error, "the owners of connections cannot be found out; clients without a key are refused");
            PeerOwner::Unknown
        }
    }
}

async fn pause_after_failure<T>(accepted: &io::Result<T>) {
    if accepted.is_err() {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Err(error) = self.listen(ctx) {
            self.child
                .fail(ctx, format!("cannot accept connections: {error}"));
        }
    }
}

impl StreamHandler<Accepted> for Listener {
    fn handle(&mut self, accepted: Accepted, _: &mut Self::Context) {
        self.child.handled();
        let was_failing = self.is_failing;
        self.is_failing = match &accepted {
            Accepted::Tcp(accepted, _) => accepted.is_err(),
            Accepted::Unix(accepted, _) => accepted.is_err(),
            Accepted::Local(_) => was_failing,
        };
        if was_failing && !self.is_failing {
            tracing::info!("connections are accepted again");
        }
        match accepted {
            Accepted::Tcp(Ok((stream, address)), turn) => self.accept_tcp(stream, address, turn),
            Accepted::Unix(Ok(stream), turn) => self.start_connection(Peer::unix(stream), turn),
            Accepted::Local(pipe) => self.start_connection(Peer::local(pipe), None),
            // Logged once: the accept is repeated ten times per second.
            Accepted::Tcp(Err(_), _) | Accepted::Unix(Err(_), _) if was_failing => {}
            Accepted::Tcp(Err(error), _) | Accepted::Unix(Err(error), _) => {
                tracing::warn!(%error, "a connection could not be accepted");
            }
        }
    }

    /// The default stops the listener when the last sender of local pipes is gone.
    fn finished(&mut self, _: &mut Self::Context) {}
}
