//! The accept loop: a task for each connection, at most so many, all of them ended with the actor.

use super::counts::Counts;
use super::full;
use super::stream::Patient;
use crate::link::Slot;
use crate::options::Patience;
use actix_http::{HttpService, Request};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use kirosu_supervision::StopToken;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long to wait when the system gives no more connections (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a client may take to close after the last answer.
const CLOSE: Duration = Duration::from_secs(1);

/// What the loop needs.
pub(crate) struct Accept {
    pub(crate) socket: Arc<std::net::TcpListener>,
    /// Most connections at once.
    pub(crate) most: usize,
    pub(crate) patience: Patience,
    /// How long requests under way get at a stop.
    pub(crate) grace: Duration,
    pub(crate) counts: Arc<Counts>,
    pub(crate) stop: StopToken,
}

impl Accept {
    /// Serves until the stop is asked for and requests under way are answered, or the grace is over.
    ///
    /// # Errors
    /// A sentence, when the socket cannot be served.
    pub(crate) async fn run<F>(self, app: F) -> Result<(), String>
    where
        F: ServiceFactory<
                Request,
                Config = AppConfig,
                Response = ServiceResponse<BoxBody>,
                Error = HttpResponse,
                InitError = (),
            > + 'static,
        F::Future: 'static,
        F::Service: 'static,
        <F::Service as Service<Request>>::Future: 'static,
    {
        let listener = self
            .socket
            .try_clone()
            .and_then(TcpListener::from_std)
            .map_err(|error| format!("cannot accept HTTP connections: {error}"))?;
        let at = listener.local_addr().map_err(|error| error.to_string())?;
        let stop = self.stop.clone();
        let service = map_config(app, move |()| AppConfig::default());
        let handler = HttpService::build()
            .keep_alive(self.patience.idle)
            .client_request_timeout(self.patience.head)
            .client_disconnect_timeout(CLOSE)
            // A client that has closed is gone: what it waited for is not waited for any more.
            .h1_allow_half_closed(false)
            .local_addr(at)
            .graceful_shutdown_signal(move || stop.clone().requested())
            .on_connect_ext(|stream: &Patient<TcpStream>, data| {
                data.insert(stream.under_way().clone());
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
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace, ended).await.is_err() {
            tracing::warn!("HTTP requests that did not end in time are cut off");
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
        S: Service<(Patient<TcpStream>, Option<SocketAddr>)>,
        S::Future: 'static,
    {
        let Some(slot) = Slot::take(&self.counts.connections, self.most) else {
            Counts::add(&self.counts.turned_away);
            full::turn_away(stream, self.most, &self.counts, connections);
            return;
        };
        Counts::add(&self.counts.accepted);
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, %peer, "the socket's options could not be set");
        }
        let quiet = self.patience.idle + self.patience.head;
        let stream = Patient::new(stream, quiet, self.patience.stall);
        let serving = handler.call((stream, Some(peer)));
        connections.spawn_local(async move {
            let _slot = slot;
            // What can fail here is the client's: it went away, or sent what is no HTTP.
            let _ = serving.await;
        });
    }
}

/// Answers leave at once.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}
