//! The herald: tells systemd now and then how things stand, for `systemctl status`.

use super::Manager;
use super::status::{self, HubView};
use actix::prelude::*;
use kirosu_protocol::client::{Client, ClientOptions, Endpoint, State};
use kirosu_protocol::verbs::pools::PoolsParams;
use kirosu_protocol::verbs::stats::StatsParams;
use kirosu_supervision::{BackoffPolicy, ChildContext, ChildSpec, supervised};
use kirosu_swarm::SwarmHandle;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// The actor.
struct Herald {
    manager: Manager,
    hub: Endpoint,
    key: Option<String>,
    swarm: Option<SwarmHandle>,
    child: ChildContext,
}

supervised!(Herald);

impl Actor for Herald {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let options = ClientOptions {
            key: self.key.clone(),
            delays: Arc::new(|| Box::new(BackoffPolicy::default().delays())),
            request_timeout: EVERY,
            ..ClientOptions::default()
        };
        let client = Client::start(self.hub.clone(), options);
        let (manager, swarm) = (self.manager.clone(), self.swarm.clone());
        let is_here = matches!(self.hub, Endpoint::InMemory(_));
        let news = News {
            client,
            is_here,
            manager,
            swarm,
        };
        ctx.spawn(news.tell(self.child.clone()).into_actor(self));
    }
}

/// The herald of a process whose hub is at `hub`, which may be this process itself.
pub fn spec(
    manager: &Manager,
    hub: &Endpoint,
    key: Option<String>,
    swarm: Option<&SwarmHandle>,
) -> ChildSpec {
    let (manager, hub, swarm) = (manager.clone(), hub.clone(), swarm.cloned());
    ChildSpec::simple("herald", move |child: &ChildContext| Herald {
        manager: manager.clone(),
        hub: hub.clone(),
        key: key.clone(),
        swarm: swarm.clone(),
        child: child.clone(),
    })
}

/// What one incarnation works with.
struct News {
    client: Client,
    /// Whether the hub is in this process.
    is_here: bool,
    manager: Manager,
    swarm: Option<SwarmHandle>,
}

impl News {
    async fn tell(self, child: ChildContext) {
        let mut told = String::new();
        let mut connection = self.client.state();
        loop {
            let pools = match &self.swarm {
                Some(swarm) => swarm
                    .pools(PoolsParams::default())
                    .await
                    .map(|all| all.pools),
                None => Ok(Vec::new()),
            };
            let line = status::line(&self.hub().await, &pools.unwrap_or_default());
            if line != told {
                self.manager.status(&line);
                child.handled();
                told = line;
            }
            // A hub that comes or goes is told at once. The client lives as long as we do, so the wait never fails.
            let _ = tokio::time::timeout(EVERY, connection.changed()).await;
        }
    }

    async fn hub(&self) -> HubView {
        if self.is_here {
            let answer = self.client.request(&StatsParams {}).await;
            return answer.map_or(HubView::Silent, |answer| HubView::Here(answer.stats));
        }
        let place = self.client.endpoint().to_owned();
        match &*self.client.state().borrow() {
            State::Connected(_) => HubView::Connected(place),
            _ => HubView::Away(place),
        }
    }
}
