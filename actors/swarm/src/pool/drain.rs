//! The drain coordinator: the last child of a pool, and so the first one stopped.
//!
//! A supervisor stops its children one after the other, but sessions have to drain at the same time. So this actor
//! stops them all before the supervisor reaches them. When the whole swarm is being stopped, not only this pool, the
//! other pools begin to drain at the same moment.

use std::sync::Arc;

use actix::prelude::*;
use kirosu_supervision::{ChildContext, supervised};

use crate::pool::Pool;

pub(crate) struct DrainCoordinator {
    child: ChildContext,
    pool: Arc<Pool>,
}

supervised!(DrainCoordinator);

impl DrainCoordinator {
    pub(crate) fn new(child: &ChildContext, pool: &Arc<Pool>) -> Self {
        Self {
            child: child.clone(),
            pool: pool.clone(),
        }
    }
}

impl Actor for DrainCoordinator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.child.on_stop(ctx, |drain, ctx| {
            let pool = drain.pool.clone();
            if !pool.is_leaving() {
                pool.swarm.drain_all();
            }
            let drained = async move { pool.stop_sessions().await };
            ctx.spawn(
                drained
                    .into_actor(drain)
                    .map(|(), drain, ctx| drain.child.finish(ctx)),
            );
        });
    }
}
