//! The actor that serves HTTP: accept loop, connections and the connection to the hub live and die with it.

mod accept;
mod app;
mod counts;
mod full;
mod guard;
mod stream;

pub(crate) use accept::Accept;
pub(crate) use app::Desk;
pub use counts::Counts;

use crate::link::HubLink;
use crate::options::{GatewayOptions, HttpOptions};
use crate::specs::GRACE;
use actix::prelude::*;
use kirosu_protocol::client::Endpoint;
use kirosu_supervision::{ChildContext, supervised};
use std::net::TcpListener;
use std::sync::Arc;

/// What survives the actor.
#[derive(Clone)]
pub(crate) struct HttpRecipe {
    endpoint: Endpoint,
    key: Option<Arc<str>>,
    options: HttpOptions,
    socket: Arc<TcpListener>,
    counts: Arc<Counts>,
}

impl HttpRecipe {
    /// For a socket that is open already.
    pub(crate) fn new(
        options: &GatewayOptions,
        http: &HttpOptions,
        socket: Arc<TcpListener>,
        counts: Arc<Counts>,
    ) -> HttpRecipe {
        HttpRecipe {
            endpoint: options.endpoint.clone(),
            key: options.key.as_deref().map(Arc::from),
            options: http.clone(),
            socket,
            counts,
        }
    }
}

/// The actor.
pub(crate) struct Http {
    child: ChildContext,
    recipe: HttpRecipe,
}

supervised!(Http);

impl Http {
    /// Serves from its start to its stop.
    pub(crate) fn new(child: ChildContext, recipe: HttpRecipe) -> Http {
        Http { child, recipe }
    }
}

impl Actor for Http {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let recipe = self.recipe.clone();
        let hub = HubLink::start(
            recipe.endpoint.clone(),
            recipe.key.as_deref().map(str::to_owned),
            "gateway",
        )
        .with_questions();
        let desk = app::Desk {
            hub,
            key: recipe.key,
            body_bytes: recipe.options.body_bytes,
            body_time: recipe.options.patience.body,
            bodies: Arc::default(),
            counts: recipe.counts.clone(),
            child: self.child.clone(),
        };
        let accept = Accept {
            socket: recipe.socket,
            most: recipe.options.connections,
            patience: recipe.options.patience,
            grace: GRACE,
            counts: recipe.counts,
            stop: self.child.stop_token(),
        };
        // In this actor's context, so that a panic of the loop is the actor's.
        let serving = accept.run(app::factory(desk)).into_actor(self);
        ctx.spawn(serving.map(|outcome, actor, ctx| match outcome {
            Ok(()) => actor.child.finish(ctx),
            Err(why) => actor.child.fail(ctx, why),
        }));
    }
}
