//! Figures for Prometheus, on a listener of their own: an actor beside the one that serves REST, so that neither a flood
//! there nor a crash here reaches the other.
//!
//! A scrape is one question to the hub (`metrics`), written down in Prometheus' text format. The names, kinds and help are
//! the hub's, so there is nothing to register and no second set of counters to keep in step; that is why the text is
//! written here (`text`), in a page of code, and not by a client library with a registry. The process's own figures and
//! those of the gateway come on top.
//!
//! When the hub does not answer, the scrape still does: `kirosu_up 0`, so that an alert tells a hub that is down from an
//! exporter that is gone. It asks for no key: whoever can reach the address reads the figures, which name queues, pools
//! and providers, but no prompt, result or key.

mod page;
mod process;
mod text;

use crate::http::{Accept, Counts};
use crate::link::HubLink;
use crate::options::{GatewayOptions, Patience};
use actix::prelude::*;
use kirosu_protocol::client::Endpoint;
use kirosu_supervision::{ChildContext, supervised};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// Most connections at once: Prometheus keeps one open, a person with a browser a few.
const CONNECTIONS: usize = 16;
/// How long a scrape under way gets at a stop.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// What survives the actor.
#[derive(Clone)]
pub(crate) struct MetricsRecipe {
    endpoint: Endpoint,
    key: Option<Arc<str>>,
    socket: Arc<TcpListener>,
    /// Connections to this listener.
    own: Arc<Counts>,
    /// What the actor beside it counts, where REST is served.
    http: Option<Arc<Counts>>,
}

impl MetricsRecipe {
    /// For a socket that is open already.
    pub(crate) fn new(
        options: &GatewayOptions,
        socket: Arc<TcpListener>,
        http: Option<Arc<Counts>>,
    ) -> MetricsRecipe {
        MetricsRecipe {
            endpoint: options.endpoint.clone(),
            key: options.key.as_deref().map(Arc::from),
            socket,
            own: Arc::default(),
            http,
        }
    }
}

/// The actor.
pub(crate) struct Metrics {
    child: ChildContext,
    recipe: MetricsRecipe,
}

supervised!(Metrics);

impl Metrics {
    /// Serves from its start to its stop.
    pub(crate) fn new(child: ChildContext, recipe: MetricsRecipe) -> Metrics {
        Metrics { child, recipe }
    }
}

impl Actor for Metrics {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let recipe = self.recipe.clone();
        let key = recipe.key.as_deref().map(str::to_owned);
        let sources = page::Sources {
            hub: HubLink::start(recipe.endpoint, key, "metrics"),
            http: recipe.http,
            child: self.child.clone(),
        };
        let accept = Accept {
            socket: recipe.socket,
            most: CONNECTIONS,
            patience: Patience::default(),
            grace: GRACE,
            counts: recipe.own,
            stop: self.child.stop_token(),
        };
        let serving = accept.run(page::factory(sources)).into_actor(self);
        ctx.spawn(serving.map(|outcome, actor, ctx| match outcome {
            Ok(()) => actor.child.finish(ctx),
            Err(why) => actor.child.fail(ctx, why),
        }));
    }
}
