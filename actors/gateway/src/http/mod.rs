//! The actor that serves HTTP. Its accept loop, connections and connection to the hub end with it.

mod accept_loop;
mod app;
mod counts;
pub(crate) mod guard;
mod session_guard;
mod timed_stream;
mod turn_away;
mod web_stream;

pub(crate) use accept_loop::{AcceptLoop, HttpApp};
pub use counts::HttpCounts;

use crate::clients::KeyLinks;
use crate::link::HubLink;
use crate::options::{GatewayOptions, HttpServerOptions};
use crate::page;
use crate::state::{AppState, GatewayKey};
use crate::v1::EventFeeds;
use actix::prelude::*;
use kirosu_protocol::client::Endpoint;
use kirosu_supervision::{ChildContext, supervised};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Maximum time for current requests to end at a stop.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// State that outlives the actor, and from which its factory makes the next one.
#[derive(Clone)]
pub(crate) struct HttpServerFactory {
    endpoint: Endpoint,
    hub_key: Option<String>,
    key: Option<Arc<str>>,
    options: HttpServerOptions,
    socket: Arc<TcpListener>,
    counts: Arc<HttpCounts>,
}

impl HttpServerFactory {
    /// For an open socket.
    pub(crate) fn new(
        options: &GatewayOptions,
        http: &HttpServerOptions,
        socket: Arc<TcpListener>,
        counts: Arc<HttpCounts>,
    ) -> HttpServerFactory {
        HttpServerFactory {
            endpoint: options.endpoint.clone(),
            hub_key: options.hub_key.clone(),
            key: options.key.as_deref().map(Arc::from),
            options: http.clone(),
            socket,
            counts,
        }
    }
}

/// Serves REST and MCP.
pub(crate) struct HttpServer {
    child: ChildContext,
    factory: HttpServerFactory,
}

supervised!(HttpServer);

impl HttpServer {
    /// An actor that serves from its start to its stop.
    pub(crate) fn new(child: ChildContext, factory: HttpServerFactory) -> HttpServer {
        HttpServer { child, factory }
    }
}

impl Actor for HttpServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let factory = self.factory.clone();
        let hub = HubLink::start(factory.endpoint.clone(), factory.hub_key.clone(), "gateway")
            .with_query_connection();
        let state = AppState {
            hub,
            clients: KeyLinks::default(),
            feeds: EventFeeds::new(factory.options.connections),
            logins: Arc::new(Semaphore::new(page::LOGINS)),
            is_secure: factory.options.tls.is_some(),
            key: GatewayKey {
                own: factory.hub_key.as_deref().map(Arc::from),
                is_required: factory.key.is_some(),
            },
            mcp_decisions: factory.options.mcp_decisions,
            body_bytes: factory.options.body_bytes,
            body_time: factory.options.timeouts.body,
            bodies: Arc::default(),
            counts: factory.counts.clone(),
            child: self.child.clone(),
        };
        let accept = AcceptLoop {
            peer: Some(factory.options.peer),
            socket: factory.socket,
            tls: factory.options.tls,
            most: factory.options.connections,
            timeouts: factory.options.timeouts,
            grace: GRACE,
            counts: factory.counts,
            stop: self.child.stop_token(),
        };
        // In this actor's context, so that a panic of the loop ends the actor.
        let serving = accept.run(app::factory(state)).into_actor(self);
        ctx.spawn(serving.map(|outcome, actor, ctx| match outcome {
            Ok(()) => actor.child.finish(ctx),
            Err(why) => actor.child.fail(ctx, why),
        }));
    }
}
