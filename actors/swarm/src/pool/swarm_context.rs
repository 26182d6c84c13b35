//! State shared by all pools of a swarm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kirosu_protocol::client::Endpoint;
use kirosu_protocol::verbs::hello::SessionSecret;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::Pool;
use crate::account::Accounts;
use crate::options::{AgentHub, PoolOptions, SwarmOptions};

/// Maximum time from the cancel of a run until its processes are proven dead and the hub has answered the release.
pub(crate) const KILL_TIME: Duration = Duration::from_secs(25);

/// State shared by all pools of a swarm.
pub(crate) struct SwarmContext {
    pub(crate) endpoint: Endpoint,
    pub(crate) key: Option<String>,
    pub(crate) agent_hub: Option<AgentHub>,
    pub(crate) instance: String,
    pub(crate) session_secret: SessionSecret,
    pub(crate) host: String,
    pub(crate) drain: Duration,
    /// Set when the drain is to be skipped.
    hurry: watch::Sender<bool>,
    draining: AtomicBool,
    /// The provider accounts of all pools.
    pub(crate) accounts: Arc<Accounts>,
    /// Whether the log says that the hub cannot be reached.
    lost_hub: AtomicBool,
    pools: Mutex<Vec<Arc<Pool>>>,
}

impl SwarmContext {
    /// Creates a swarm without pools; `pools` of the options are ignored.
    pub(crate) fn new(options: &SwarmOptions) -> Self {
        Self {
            endpoint: options.endpoint.clone(),
            key: options.key.clone(),
            agent_hub: options.agent_hub.clone(),
            instance: options.instance.clone(),
            session_secret: options.session_secret.clone(),
            host: options.host.clone(),
            drain: options.drain,
            hurry: watch::Sender::new(false),
            draining: AtomicBool::new(false),
            accounts: Accounts::new(),
            lost_hub: AtomicBool::new(false),
            pools: Mutex::new(Vec::new()),
        }
    }

    /// The pools in their order.
    pub(crate) fn pools(&self) -> Vec<Arc<Pool>> {
        self.lock().clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<Arc<Pool>>> {
        self.pools.lock()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Pool>> {
        self.lock().iter().find(|pool| pool.name == name).cloned()
    }

    /// The options of the pools that have this provider: a task may name another provider than that of its pool.
    pub(crate) fn pools_with(&self, provider: &str) -> Vec<Arc<PoolOptions>> {
        let pools = self.pools();
        let options = pools.iter().map(|pool| pool.options());
        options
            .filter(|options| !options.provider.dangerous())
            .filter(|options| options.provider.name() == provider)
            .collect()
    }

    /// Whether the whole swarm is being stopped.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Begins to stop all sessions of all pools at the same time, once. Does not wait.
    pub(crate) fn drain_all(&self) {
        if self.draining.swap(true, Ordering::Relaxed) {
            return;
        }
        for pool in self.pools() {
            tokio::spawn(async move { pool.stop_sessions().await });
        }
    }

    /// Skips the drain: running tasks are ended and released now.
    pub(crate) fn hurry(&self) {
        self.hurry.send_replace(true);
    }

    /// Notifies when the drain is to be skipped.
    pub(crate) fn watch_hurry(&self) -> watch::Receiver<bool> {
        self.hurry.subscribe()
    }

    /// Logs once that the hub cannot be reached.
    pub(crate) fn hub_lost(&self, why: &dyn std::fmt::Display) {
        if !self.lost_hub.swap(true, Ordering::Relaxed) {
            tracing::warn!(hub = %self.endpoint, "{why}; the sessions keep trying");
        }
    }

    /// Logs that the hub can be reached again, if it could not before.
    pub(crate) fn hub_found(&self) {
        if self.lost_hub.swap(false, Ordering::Relaxed) {
            tracing::info!(hub = %self.endpoint, "connected to the hub");
        }
    }
}
