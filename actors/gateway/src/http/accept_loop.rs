//! The accept loop: one task per connection, up to a maximum. All tasks end with the actor.

use super::counts::HttpCounts;
use super::timed_stream::TimedStream;
use super::turn_away::turn_away;
use super::web_stream::{ClientCertificate, WebStream};
use crate::link::RequestSlot;
use crate::options::{HttpPeer, HttpTimeouts, PeerCheck};
use actix_http::{HttpService, Request};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use kirosu_supervision::StopToken;
use kirosu_tls::TlsAcceptor;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Delay after a failed accept, as with too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Maximum time for a client to close its side after the last response.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The factory of an application that answers HTTP requests.
pub(crate) trait HttpApp:
    ServiceFactory<
        Request,
        Config = AppConfig,
        Response = ServiceResponse<BoxBody>,
        Error = HttpResponse,
        InitError = (),
        Service: Service<Request, Future: 'static> + 'static,
        Future: 'static,
    > + 'static
{
}

impl<F> HttpApp for F where
    F: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = HttpResponse,
            InitError = (),
            Service: Service<Request, Future: 'static> + 'static,
            Future: 'static,
        > + 'static
{
}

/// Socket, limits and counters of the loop.
pub(crate) struct AcceptLoop {
    pub(crate) socket: Arc<std::net::TcpListener>,
    /// `None` means plain connections.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Most connections at once.
    pub(crate) most: usize,
    pub(crate) timeouts: HttpTimeouts,
    /// Maximum time for current requests to end at a stop.
    pub(crate) grace: Duration,
    pub(crate) counts: Arc<HttpCounts>,
    pub(crate) stop: StopToken,
    /// `None`: the owner of a connection does not matter.
    pub(crate) peer: Option<PeerCheck>,
}

/// The process at the other end of a connection. Without a check every one is the own user's.
fn peer_of(stream: &WebStream, check: Option<PeerCheck>) -> HttpPeer {
    let Some(check) = check else {
        return HttpPeer::Own;
    };
    let addresses = stream.socket().map(|it| (it.peer_addr(), it.local_addr()));
    match addresses {
        Some((Ok(peer), Ok(local))) => check(peer, local),
        _ => HttpPeer::Other,
    }
}

impl AcceptLoop {
    /// Serves until the stop is requested, then until all current requests are answered or the grace is over.
    ///
    /// # Errors
    /// A sentence, if connections cannot be accepted on the socket.
    pub(crate) async fn run(self, app: impl HttpApp) -> Result<(), String> {
        let listener = self
            .socket
            .try_clone()
            .and_then(TcpListener::from_std)
            .map_err(|error| format!("cannot accept HTTP connections: {error}"))?;
        let at = listener.local_addr().map_err(|error| error.to_string())?;
        let (stop, peer) = (self.stop.clone(), self.peer);
        let service = map_config(app, move |()| AppConfig::default());
        let handler = HttpService::build()
            .keep_alive(self.timeouts.idle)
            .client_request_timeout(self.timeouts.head)
            .client_disconnect_timeout(CLOSE_TIMEOUT)
            // A client that has closed its side has disconnected, and its request is dropped.
            .h1_allow_half_closed(false)
            .local_addr(at)
            .graceful_shutdown_signal(move || stop.clone().requested())
            .on_connect_ext(move |stream: &TimedStream<WebStream>, data| {
                data.insert(stream.active().clone());
                data.insert(peer_of(stream.inner(), peer));
                data.insert(stream.inner().certificate());
            })
            .h1(service)
            .new_service(())
            .await
            .map_err(|()| "cannot build the HTTP service".to_owned())?;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.stop.clone().requested() => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.welcome(stream, peer, &handler, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "an HTTP connection could not be accepted");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace, ended).await.is_err() {
            tracing::warn!("HTTP requests have not ended in time, closing their connections");
        }
        Ok(())
    }

    fn welcome<S>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        handler: &S,
        connections: &mut JoinSet<()>,
    ) where
        S: Service<(TimedStream<WebStream>, Option<SocketAddr>)>,
        S::Future: 'static,
    {
        let Some(slot) = RequestSlot::take(&self.counts.connections, self.most) else {
            HttpCounts::add(&self.counts.turned_away);
            // A response within TLS would cost a handshake.
            if self.tls.is_some() {
                return;
            }
            turn_away(stream, self.most, &self.counts, connections);
            return;
        };
        HttpCounts::add(&self.counts.accepted);
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, %peer, "the socket's options could not be set");
        }
        let idle = self.timeouts.idle + self.timeouts.head;
        let stream = match &self.tls {
            None => WebStream::Plain(stream),
            Some(tls) => WebStream::Tls {
                stream: Box::new(tls.accept(stream, None)),
                is_refused: false,
                certificate: ClientCertificate::default(),
            },
        };
        let stream = TimedStream::new(stream, idle, self.timeouts.stall);
        let serving = handler.call((stream, Some(peer)));
        connections.spawn_local(async move {
            let _slot = slot;
            // Errors are the client's: it has disconnected, or has not sent HTTP.
            let _ = serving.await;
        });
    }
}

/// Sends responses without delay.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}
