//! Metrics for Prometheus, on a socket and in an actor of their own, so that a flood of REST requests does not affect
//! scrapes, and a crash here does not affect REST.
//!
//! A scrape is one request to the hub (`metrics`), written in Prometheus' text format. Names, kinds and help texts come
//! from the hub, so the gateway needs no registry and no second set of counters, and writes the text itself (`text`)
//! instead of using a client library. The metrics of the process and of the gateway are added.
//!
//! A scrape succeeds even if the hub does not answer, with `kirosu_up 0`: an alert can distinguish a hub that is down from
//! a missing exporter. Scrapes need no key: every program that can reach the address can read the metrics, which name
//! queues, pools and providers, but contain no prompt, result or key. On loopback, requests of web pages are refused.

mod page;
mod process;
mod series;
mod text;

use crate::http::{AcceptLoop, HttpCounts};
use crate::link::HubLink;
use crate::options::{GatewayOptions, HttpTimeouts, MetricsOptions};
use actix::prelude::*;
use kirosu_protocol::client::Endpoint;
use kirosu_supervision::{ChildContext, supervised};
use kirosu_tls::TlsAcceptor;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// Maximum number of connections: Prometheus uses one, a browser a few.
const CONNECTIONS: usize = 16;
/// Maximum time for current scrapes to end at a stop.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// State that outlives the actor, and from which its factory makes the next one.
#[derive(Clone)]
pub(crate) struct MetricsServerFactory {
    endpoint: Endpoint,
    hub_key: Option<String>,
    socket: Arc<TcpListener>,
    tls: Option<TlsAcceptor>,
    /// Connections to this listener.
    own: Arc<HttpCounts>,
    /// Counters of the actor that serves REST, if it is served.
    http: Option<Arc<HttpCounts>>,
}

impl MetricsServerFactory {
    /// For an open socket.
    pub(crate) fn new(
        options: &GatewayOptions,
        own: &MetricsOptions,
        http: Option<Arc<HttpCounts>>,
    ) -> MetricsServerFactory {
        MetricsServerFactory {
            endpoint: options.endpoint.clone(),
            hub_key: options.hub_key.clone(),
            socket: own.socket.clone(),
            tls: own.tls.clone(),
            own: Arc::default(),
            http,
        }
    }
}

/// Serves the metrics.
pub(crate) struct MetricsServer {
    child: ChildContext,
    factory: MetricsServerFactory,
}

supervised!(MetricsServer);

impl MetricsServer {
    /// An actor that serves from its start to its stop.
    pub(crate) fn new(child: ChildContext, factory: MetricsServerFactory) -> MetricsServer {
        MetricsServer { child, factory }
    }
}

impl Actor for MetricsServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let factory = self.factory.clone();
        let sources = page::Sources {
            hub: HubLink::start(factory.endpoint, factory.hub_key, "metrics"),
            http: factory.http,
            child: self.child.clone(),
            // An unknown address counts as local.
            is_local: (factory.socket.local_addr())
                .map_or(true, |address| address.ip().to_canonical().is_loopback()),
        };
        let accept = AcceptLoop {
            socket: factory.socket,
            tls: factory.tls,
            most: CONNECTIONS,
            timeouts: HttpTimeouts::default(),
            grace: GRACE,
            counts: factory.own,
            peer: None,
            stop: self.child.stop_token(),
        };
        let serving = accept.run(page::factory(sources)).into_actor(self);
        ctx.spawn(serving.map(|outcome, actor, ctx| match outcome {
            Ok(()) => actor.child.finish(ctx),
            Err(why) => actor.child.fail(ctx, why),
        }));
    }
}
