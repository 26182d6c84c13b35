//! The systemd status reporter: keeps the status line of `systemctl status` up to date.

use super::Manager;
use super::status::{self, HubView};
use actix::prelude::*;
use kirosu_protocol::client::{Client, ClientOptions, ConnectionState, Endpoint};
use kirosu_protocol::{PoolsParams, StatsParams};
use kirosu_supervision::{BackoffPolicy, ChildContext, ChildSpec, supervised};
use kirosu_swarm::SwarmHandle;
use std::sync::Arc;
use std::time::Duration;

/// Interval between two updates, and timeout of requests to the hub.
const INTERVAL: Duration = Duration::from_secs(5);

/// Runs one [`StatusLoop`] per incarnation.
struct SystemdReporter {
    manager: Manager,
    hub: Endpoint,
    key: Option<String>,
    swarm: Option<SwarmHandle>,
    child: ChildContext,
}

supervised!(SystemdReporter);

impl Actor for SystemdReporter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let options = ClientOptions {
            key: self.key.clone(),
            delays: Arc::new(|| Box::new(BackoffPolicy::default().delays())),
            request_timeout: INTERVAL,
            ..ClientOptions::default()
        };
        let client = Client::start(self.hub.clone(), options);
        let (manager, swarm) = (self.manager.clone(), self.swarm.clone());
        let status = StatusLoop {
            client,
            hub_is_local: matches!(self.hub, Endpoint::InMemory(_)),
            manager,
            swarm,
        };
        ctx.spawn(status.run(self.child.clone()).into_actor(self));
    }
}

/// Spec of the reporter of a process whose hub is at `hub`, which may be this process.
pub fn spec(
    manager: &Manager,
    hub: &Endpoint,
    key: Option<String>,
    swarm: Option<&SwarmHandle>,
) -> ChildSpec {
    let (manager, hub, swarm) = (manager.clone(), hub.clone(), swarm.cloned());
    ChildSpec::simple("systemd", move |child: &ChildContext| SystemdReporter {
        manager: manager.clone(),
        hub: hub.clone(),
        key: key.clone(),
        swarm: swarm.clone(),
        child: child.clone(),
    })
}

/// Sends the status line when it has changed.
struct StatusLoop {
    client: Client,
    hub_is_local: bool,
    manager: Manager,
    swarm: Option<SwarmHandle>,
}

impl StatusLoop {
    async fn run(self, child: ChildContext) {
        let mut sent = String::new();
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
            if line != sent {
                self.manager.status(&line);
                child.handled();
                sent = line;
            }
            // A change of the connection is reported immediately. The wait cannot fail, because `self` holds the client.
            let _ = tokio::time::timeout(INTERVAL, connection.changed()).await;
        }
    }

    async fn hub(&self) -> HubView {
        if self.hub_is_local {
            let answer = self.client.request(&StatsParams {}).await;
            return answer.map_or(HubView::Silent, |answer| HubView::Local(answer.stats));
        }
        let address = self.client.endpoint().to_owned();
        match &*self.client.state().borrow() {
            ConnectionState::Connected(_) => HubView::Connected(address),
            _ => HubView::Unreachable(address),
        }
    }
}
