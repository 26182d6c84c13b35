//! The gateway's specs and handle.

use crate::http::{self, HttpCounts, HttpServer, HttpServerFactory};
use crate::metrics::{self, MetricsServer, MetricsServerFactory};
use crate::options::GatewayOptions;
use kirosu_supervision::{BackoffPolicy, ChildSpec, Intensity, StopPolicy, SupervisorSpec};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A crash of the server itself is rare, and its clients reconnect immediately.
const BACKOFF: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(50), Duration::from_secs(5));

/// Addresses and counters of a gateway.
#[derive(Clone, Debug, Default)]
pub struct GatewayHandle {
    /// Address of REST and MCP, if they are served.
    pub http: Option<SocketAddr>,
    /// Address of the metrics, if they are served.
    pub metrics: Option<SocketAddr>,
    /// Counters of HTTP requests and connections.
    pub counts: Arc<HttpCounts>,
}

/// The spec of the supervisor `gateway` and the handle on it. The supervisor needs a thread of its own
/// ([`ChildSpec::on`]).
pub fn specs(options: GatewayOptions) -> (ChildSpec, GatewayHandle) {
    // A failing gateway must not end the hub's process.
    let mut supervisor = SupervisorSpec::new("gateway").intensity(Intensity::UNLIMITED);
    let mut handle = GatewayHandle::default();
    if let Some(http) = &options.http {
        handle.http = http.socket.local_addr().ok();
        let factory =
            HttpServerFactory::new(&options, http, http.socket.clone(), handle.counts.clone());
        let spec = ChildSpec::simple("http", move |child| {
            HttpServer::new(child.clone(), factory.clone())
        })
        .backoff(BACKOFF)
        .stop(StopPolicy::Grace(http::GRACE + Duration::from_secs(1)));
        supervisor = supervisor.child(spec);
    }
    if let Some(own) = &options.metrics {
        handle.metrics = own.socket.local_addr().ok();
        let http = options.http.as_ref().map(|_| handle.counts.clone());
        let factory = MetricsServerFactory::new(&options, own, http);
        let spec = ChildSpec::simple("metrics", move |child| {
            MetricsServer::new(child.clone(), factory.clone())
        })
        .backoff(BACKOFF)
        .stop(StopPolicy::Grace(metrics::GRACE + Duration::from_secs(1)));
        supervisor = supervisor.child(spec);
    }
    (ChildSpec::supervisor(supervisor), handle)
}
