//! The handle of a running swarm: list, resize, reload, stop, and crash on purpose.

use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::{Error, ErrorCode, PoolsAnswer, PoolsParams, Resize};
use kirosu_supervision::{SupervisorError, SupervisorHandle};

use crate::options::PoolOptions;
use crate::pool::{Pool, SwarmContext};
use crate::pool_tree::pool_spec;

/// Maximum time that the answer of a resize waits for the new sessions.
const RESIZE_WAIT: Duration = Duration::from_secs(2);

/// Handle of the swarm. Cheap to clone; valid before the start and through restarts.
#[derive(Clone)]
pub struct SwarmHandle {
    swarm: Arc<SwarmContext>,
    supervisor: SupervisorHandle,
    /// Serialises reloads.
    reloading: Arc<tokio::sync::Mutex<()>>,
}

/// The effect of a reload, by pool name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// New pools.
    pub added: Vec<String>,
    /// Removed pools; their running tasks were drained.
    pub removed: Vec<String>,
    /// Pools that stay, with the new options.
    pub kept: Vec<String>,
}

impl SwarmHandle {
    pub(crate) fn new(swarm: Arc<SwarmContext>, supervisor: SupervisorHandle) -> Self {
        Self {
            swarm,
            supervisor,
            reloading: Arc::default(),
        }
    }

    /// Resizes a pool and probes a parked account, where `params` ask for it, and returns all pools. A smaller pool
    /// stops its highest sessions; their running tasks are drained, which the answer does not wait for.
    ///
    /// Call this within a tokio runtime that outlives the call.
    ///
    /// # Errors
    /// `not_found` when no pool has that name; `shutting_down` when the pool is being stopped.
    pub async fn pools(&self, ask: PoolsParams) -> Result<PoolsAnswer, Error> {
        if let Some(resize) = ask.resize {
            self.resize(resize).await?;
        }
        if let Some(name) = ask.probe {
            self.probe(&name)?;
        }
        let pools = self.swarm.pools().iter().map(|pool| pool.info()).collect();
        Ok(PoolsAnswer { pools })
    }

    async fn resize(&self, Resize { pool, size }: Resize) -> Result<(), Error> {
        let found = self.find(&pool)?;
        if found.is_leaving() || self.swarm.is_draining() {
            let message = format!("pool '{pool}' is being stopped and cannot be resized");
            return Err(Error::new(ErrorCode::ShuttingDown, message));
        }
        tracing::info!(pool, from = found.size(), to = size, "resized");
        let shrinks = size < found.size();
        found.set_size(size);
        let fitted = tokio::spawn(async move { found.fit().await });
        if !shrinks {
            // A timeout is fine: the size is set, and the sessions start as soon as their supervisor is up.
            let _ = tokio::time::timeout(RESIZE_WAIT, fitted).await;
        }
        Ok(())
    }

    /// Lets the next task probe a parked account: the one of this name, or those of the pool of this name.
    fn probe(&self, name: &str) -> Result<(), Error> {
        let accounts = &self.swarm.accounts;
        match self.swarm.find(name) {
            Some(pool) => {
                accounts.probe(&pool.accounts());
                pool.retry();
            }
            None => {
                let Some(account) = accounts.find(name) else {
                    let known = accounts.names().join(", ");
                    let message = format!(
                        "no pool and no provider account is named '{name}'; the accounts are: {known}"
                    );
                    return Err(Error::new(ErrorCode::NotFound, message));
                };
                accounts.probe(&[account]);
            }
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Arc<Pool>, Error> {
        self.swarm.find(name).ok_or_else(|| {
            let known: Vec<String> = self.swarm.pools().iter().map(|p| p.name.clone()).collect();
            let message = match known.is_empty() {
                true => format!("no pool is named '{name}': this process runs no pools"),
                false => format!("no pool is named '{name}'; there are: {}", known.join(", ")),
            };
            Error::new(ErrorCode::NotFound, message)
        })
    }

    /// Replaces the pools: adds, removes and changes those that differ. Options of a pool that stays apply from its
    /// next task on, except `restart`, `backoff` and `intensity`, which apply to sessions and pools that start later.
    /// Resolves when removed pools have drained.
    pub async fn reload(&self, pools: Vec<PoolOptions>) -> Reloaded {
        let _alone = self.reloading.lock().await;
        self.swarm.accounts.reloaded();
        let mut done = Reloaded::default();
        let leaving: Vec<Arc<Pool>> = {
            let stays = |pool: &Arc<Pool>| pools.iter().any(|options| options.name == pool.name);
            let mut list = self.swarm.lock();
            let leaving = list.iter().filter(|pool| !stays(pool)).cloned().collect();
            list.retain(stays);
            leaving
        };
        let order: Vec<String> = pools.iter().map(|options| options.name.clone()).collect();
        for options in pools {
            let name = options.name.clone();
            match self.swarm.find(&name) {
                Some(pool) => {
                    self.change(&pool, options);
                    done.kept.push(name);
                }
                None => {
                    if self.add(options).await {
                        done.added.push(name);
                    }
                }
            }
        }
        let place = |pool: &Arc<Pool>| order.iter().position(|name| *name == pool.name);
        self.swarm.lock().sort_by_key(place);
        let ends = leaving.iter().map(|pool| self.remove(pool));
        futures_util::future::join_all(ends).await;
        done.removed = leaving.iter().map(|pool| pool.name.clone()).collect();
        tracing::info!(added = ?done.added, removed = ?done.removed, kept = ?done.kept, "pools reloaded");
        done
    }

    fn change(&self, pool: &Arc<Pool>, options: PoolOptions) {
        pool.set_size(options.size);
        pool.set_options(options);
        let pool = pool.clone();
        tokio::spawn(async move { pool.fit().await });
    }

    async fn add(&self, options: PoolOptions) -> bool {
        let (spec, pool) = pool_spec(options, &self.swarm);
        match self.supervisor.start_child(spec).await {
            Ok(()) | Err(SupervisorError::NotStarted(_)) => {
                self.swarm.lock().push(pool);
                true
            }
            Err(error) => {
                tracing::error!(pool = %pool.name, %error, "the pool was not added");
                false
            }
        }
    }

    async fn remove(&self, pool: &Arc<Pool>) {
        pool.set_leaving();
        pool.stop_sessions().await;
        if let Err(error) = self.supervisor.remove_child(pool.name.as_str()).await {
            tracing::error!(pool = %pool.name, %error, "the pool was not removed");
        }
    }

    /// Stops all sessions of all pools at the same time: no more leases; running tasks are drained, then ended and
    /// released. Resolves when all have ended. Shutting down the tree earlier has the same effect.
    pub async fn drain(&self) {
        self.swarm.drain_all();
        let ends = self.swarm.pools();
        let ends = ends.iter().map(|pool| pool.stop_sessions());
        futures_util::future::join_all(ends).await;
    }

    /// Skips the drain of a present or later stop: running tasks are ended and released at once.
    pub fn stop_now(&self) {
        self.swarm.hurry();
    }

    /// Crashes a session on purpose, to show that its supervisor restarts it: its actor panics. Sessions count from
    /// 1.
    ///
    /// # Errors
    /// `not_found` when there is no such pool or session.
    pub fn kill_session(&self, pool: &str, index: u32) -> Result<(), Error> {
        let found = self.find(pool)?;
        if found.crash(index) {
            return Ok(());
        }
        let message = format!(
            "pool '{pool}' has no session {index}; its sessions are numbered from 1 to {}",
            found.size()
        );
        Err(Error::new(ErrorCode::NotFound, message))
    }
}

impl std::fmt::Debug for SwarmHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SwarmHandle")
            .field("pools", &self.swarm.pools().len())
            .finish_non_exhaustive()
    }
}
