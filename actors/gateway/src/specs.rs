//! The gateway's part of the tree.

use crate::http::{Counts, Http, HttpRecipe};
use crate::metrics::{self, Metrics, MetricsRecipe};
use crate::options::GatewayOptions;
use kirosu_supervision::{BackoffPolicy, ChildSpec, Intensity, StopPolicy, SupervisorSpec};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The gateway's supervisor never gives up: a face that cannot live must not take the hub with it.
const NEVER: Intensity = Intensity {
    restarts: u32::MAX,
    period: Duration::from_secs(1),
};

/// A crash of the server itself is rare, and its clients come again at once.
const BACKOFF: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(50),
    max: Duration::from_secs(5),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::from_secs(60),
};

/// How long requests under way get at a stop.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// What the rest of the house may know of a gateway.
#[derive(Clone, Debug, Default)]
pub struct GatewayHandle {
    /// Where REST and MCP are served.
    pub http: Option<SocketAddr>,
    /// Where the figures are served.
    pub metrics: Option<SocketAddr>,
    /// What the gateway counts.
    pub counts: Arc<Counts>,
}

/// The recipe of the supervisor `gateway`, which belongs on a thread of its own ([`ChildSpec::on`]), and the handle on it.
/// Nothing is served until it is started.
pub fn specs(options: GatewayOptions) -> (ChildSpec, GatewayHandle) {
    let mut supervisor = SupervisorSpec::new("gateway").intensity(NEVER);
    let mut handle = GatewayHandle::default();
    if let Some(http) = &options.http {
        handle.http = http.socket.local_addr().ok();
        let recipe = HttpRecipe::new(&options, http, http.socket.clone(), handle.counts.clone());
        let spec = ChildSpec::simple("http", move |child| {
            Http::new(child.clone(), recipe.clone())
        })
        .backoff(BACKOFF)
        .stop(StopPolicy::Grace(GRACE + Duration::from_secs(1)));
        supervisor = supervisor.child(spec);
    }
    if let Some(own) = &options.metrics {
        handle.metrics = own.socket.local_addr().ok();
        let http = options.http.as_ref().map(|_| handle.counts.clone());
        let recipe = MetricsRecipe::new(&options, own.socket.clone(), http);
        let spec = ChildSpec::simple("metrics", move |child| {
            Metrics::new(child.clone(), recipe.clone())
        })
        .backoff(BACKOFF)
        .stop(StopPolicy::Grace(metrics::GRACE + Duration::from_secs(1)));
        supervisor = supervisor.child(spec);
    }
    (ChildSpec::supervisor(supervisor), handle)
}
