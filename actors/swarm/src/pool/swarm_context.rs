//! State shared by all pools of a swarm.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kirosu_protocol::client::Endpoint;
use kirosu_providers::Provider;
use tokio::sync::watch;

use super::Pool;
use crate::account::Accounts;
use crate::options::SwarmOptions;

/// Longest time from the cancel of a run to the proof that its processes are dead and the hub's answer to the release.
pub(crate) const KILL_TIME: Duration = Duration::from_secs(25);

/// What all pools of a swarm share.
pub(crate) struct SwarmContext {
    pub(crate) endpoint: Endpoint,
    pub(crate) key: Option<String>,
    pub(crate) instance: String,
    pub(crate) host: String,
    pub(crate) drain: Duration,
    /// Whoever waits for running tasks waits no longer.
    hurry: watch::Sender<bool>,
    draining: AtomicBool,
    /// The provider accounts, of all pools.
    pub(crate) accounts: Arc<Accounts>,
    /// Somebody has told the log that the hub cannot be reached.
    lost_hub: AtomicBool,
    pools: Mutex<Vec<Arc<Pool>>>,
}

impl SwarmContext {
    /// An empty swarm with these options; `pools` of the options are ignored.
    pub(crate) fn new(options: &SwarmOptions) -> Self {
        Self {
            endpoint: options.endpoint.clone(),
            key: options.key.clone(),
            instance: options.instance.clone(),
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
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Pool>> {
        self.lock().iter().find(|pool| pool.name == name).cloned()
    }

    /// A provider of any pool, by its name, and that pool's model: a task may ask for another one than that of the pool
    /// that took it.
    pub(crate) fn provider(&self, name: &str) -> Option<(Arc<dyn Provider>, Option<String>)> {
        let pools = self.pools();
        let options = pools.iter().map(|pool| pool.options());
        options
            .filter(|options| !options.provider.dangerous())
            .find(|options| options.provider.name() == name)
            .map(|options| (options.provider.clone(), options.model.clone()))
    }

    /// Whether the whole swarm is being stopped.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Begins to stop all sessions of all pools side by side; does not wait. Done once.
    pub(crate) fn drain_all(&self) {
        if self.draining.swap(true, Ordering::Relaxed) {
            return;
        }
        for pool in self.pools() {
            tokio::spawn(async move { pool.stop_sessions().await });
        }
    }

    /// Skips the drain: running tasks are ended and given back now.
    pub(crate) fn hurry(&self) {
        self.hurry.send_replace(true);
    }

    /// Tells when the drain is to be skipped.
    pub(crate) fn watch_hurry(&self) -> watch::Receiver<bool> {
        self.hurry.subscribe()
    }

    /// Tells the log, once, that the hub cannot be reached.
    pub(crate) fn hub_lost(&self, why: &dyn std::fmt::Display) {
        if !self.lost_hub.swap(true, Ordering::Relaxed) {
            tracing::warn!(hub = %self.endpoint, "{why}; the sessions keep trying");
        }
    }

    /// Tells the log that it can be reached again, if it could not.
    pub(crate) fn hub_found(&self) {
        if self.lost_hub.swap(false, Ordering::Relaxed) {
            tracing::info!(hub = %self.endpoint, "connected to the hub");
        }
    }
}
